package eventsapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws/eventsapi"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/history"
)

func sdk(s *server) *eventbridge.Client {
	return eventbridge.New(eventbridge.Options{
		Region: "eu-west-1", BaseEndpoint: awssdk.String(s.url),
		Credentials:      credentials.NewStaticCredentialsProvider("111122223333", "secret", ""),
		RetryMaxAttempts: 1,
	})
}

// TestSDK goes through the life of everything with AWS's own client.
func TestSDK(t *testing.T) {
	s := serve(t, eventsapi.Options{}, false)
	c, ctx := sdk(s), t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	bus, err := c.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{
		Name: awssdk.String("orders"), Tags: []types.Tag{{Key: awssdk.String("team"), Value: awssdk.String("shop")}},
		DeadLetterConfig: &types.DeadLetterConfig{Arn: awssdk.String("arn:aws:sqs:eu-west-1:111122223333:dead")},
	})
	ok(err)
	if want := "arn:aws:events:eu-west-1:111122223333:event-bus/orders"; *bus.EventBusArn != want {
		t.Errorf("the bus is %s, want %s", *bus.EventBusArn, want)
	}
	_, err = c.UpdateEventBus(ctx, &eventbridge.UpdateEventBusInput{Name: awssdk.String("orders"), Description: awssdk.String("all orders")})
	ok(err)
	_, err = c.PutPermission(ctx, &eventbridge.PutPermissionInput{
		EventBusName: awssdk.String("orders"), Action: awssdk.String("events:PutEvents"),
		Principal: awssdk.String("222233334444"), StatementId: awssdk.String("other"),
	})
	ok(err)
	shown, err := c.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: bus.EventBusArn})
	ok(err)
	if *shown.Description != "all orders" || !strings.Contains(*shown.Policy, "222233334444") || !shown.CreationTime.Equal(s.clock.Now()) {
		t.Errorf("the bus is shown as %s, %s, made %v", *shown.Description, *shown.Policy, shown.CreationTime)
	}
	buses, err := c.ListEventBuses(ctx, &eventbridge.ListEventBusesInput{})
	ok(err)
	if len(buses.EventBuses) != 2 {
		t.Errorf("%d buses, want 2", len(buses.EventBuses))
	}

	rule, err := c.PutRule(ctx, &eventbridge.PutRuleInput{
		Name: awssdk.String("paid"), EventBusName: awssdk.String("orders"), EventPattern: awssdk.String(`{"source":["shop"]}`),
	})
	ok(err)
	put, err := c.PutTargets(ctx, &eventbridge.PutTargetsInput{
		Rule: awssdk.String("paid"), EventBusName: awssdk.String("orders"), Targets: []types.Target{{
			Id: awssdk.String("queue"), Arn: awssdk.String("arn:aws:sqs:eu-west-1:111122223333:billing"),
			InputTransformer: &types.InputTransformer{InputPathsMap: map[string]string{"id": "$.detail.id"}, InputTemplate: awssdk.String(`{"id": <id>}`)},
			RetryPolicy:      &types.RetryPolicy{MaximumRetryAttempts: awssdk.Int32(3)},
		}},
	})
	ok(err)
	if put.FailedEntryCount != 0 {
		t.Errorf("%d targets failed", put.FailedEntryCount)
	}
	targets, err := c.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: awssdk.String("paid"), EventBusName: bus.EventBusArn})
	ok(err)
	if len(targets.Targets) != 1 || *targets.Targets[0].InputTransformer.InputTemplate != `{"id": <id>}` || *targets.Targets[0].RetryPolicy.MaximumRetryAttempts != 3 {
		t.Errorf("the targets are %+v", targets.Targets)
	}
	_, err = c.DisableRule(ctx, &eventbridge.DisableRuleInput{Name: awssdk.String("paid"), EventBusName: awssdk.String("orders")})
	ok(err)
	described, err := c.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: awssdk.String("paid"), EventBusName: awssdk.String("orders")})
	ok(err)
	if described.State != types.RuleStateDisabled || *described.CreatedBy != "111122223333" {
		t.Errorf("the rule is %s, by %s", described.State, *described.CreatedBy)
	}
	_, err = c.EnableRule(ctx, &eventbridge.EnableRuleInput{Name: awssdk.String("paid"), EventBusName: awssdk.String("orders")})
	ok(err)
	names, err := c.ListRuleNamesByTarget(ctx, &eventbridge.ListRuleNamesByTargetInput{EventBusName: awssdk.String("orders"), TargetArn: targets.Targets[0].Arn})
	ok(err)
	if !slices.Equal(names.RuleNames, []string{"paid"}) {
		t.Errorf("rules by target: %q", names.RuleNames)
	}
	_, err = c.TagResource(ctx, &eventbridge.TagResourceInput{ResourceARN: rule.RuleArn, Tags: []types.Tag{{Key: awssdk.String("a"), Value: awssdk.String("b")}}})
	ok(err)
	tags, err := c.ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: rule.RuleArn})
	ok(err)
	if len(tags.Tags) != 1 {
		t.Errorf("tags: %+v", tags.Tags)
	}

	events, err := c.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: awssdk.String("shop"), DetailType: awssdk.String("paid"), Detail: awssdk.String("{}"), EventBusName: awssdk.String("orders"),
			Time: awssdk.Time(s.clock.Now()), Resources: []string{"r"}, TraceHeader: awssdk.String("Root=1")},
		{Source: awssdk.String("bad")},
	}})
	ok(err)
	if events.FailedEntryCount != 1 || *events.Entries[0].EventId == "" || *events.Entries[1].ErrorCode != "InvalidArgument" {
		t.Errorf("events: %+v", events)
	}
	if e := s.events.entries[0]; *e.Bus != "orders" || !e.Time.Equal(s.clock.Now()) || e.Resources[0] != "r" || *e.TraceHeader != "Root=1" {
		t.Errorf("the entry that arrived is %+v", e)
	}
	if s.events.caller.Scope.Account != "111122223333" || s.events.caller.Scope.Region != "eu-west-1" {
		t.Errorf("the caller is %+v", s.events.caller)
	}
	tested, err := c.TestEventPattern(ctx, &eventbridge.TestEventPatternInput{
		EventPattern: awssdk.String(`{"source":["shop"]}`),
		Event:        awssdk.String(`{"id":"1","detail-type":"t","source":"shop","account":"1","time":"2026-03-01T10:00:00Z","region":"r"}`),
	})
	ok(err)
	if !tested.Result {
		t.Error("the pattern does not match")
	}

	connection, err := c.CreateConnection(ctx, &eventbridge.CreateConnectionInput{
		Name: awssdk.String("shop"), AuthorizationType: types.ConnectionAuthorizationTypeApiKey,
		AuthParameters: &types.CreateConnectionAuthRequestParameters{ApiKeyAuthParameters: &types.CreateConnectionApiKeyAuthRequestParameters{
			ApiKeyName: awssdk.String("X-Key"), ApiKeyValue: awssdk.String(secret),
		}},
	})
	ok(err)
	destination, err := c.CreateApiDestination(ctx, &eventbridge.CreateApiDestinationInput{
		Name: awssdk.String("shop"), ConnectionArn: connection.ConnectionArn, HttpMethod: types.ApiDestinationHttpMethodPost,
		InvocationEndpoint: awssdk.String("https://shop.example/"),
	})
	ok(err)
	if destination.ApiDestinationState != types.ApiDestinationStateActive {
		t.Errorf("the destination is %s", destination.ApiDestinationState)
	}
	_, err = c.DeleteConnection(ctx, &eventbridge.DeleteConnectionInput{Name: awssdk.String("shop")})
	ok(err)
	_, err = c.DeleteApiDestination(ctx, &eventbridge.DeleteApiDestinationInput{Name: awssdk.String("shop")})
	ok(err)

	_, err = c.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: awssdk.String("paid"), EventBusName: awssdk.String("orders")})
	if err == nil || !strings.Contains(err.Error(), "Rule can't be deleted since it has targets.") {
		t.Errorf("deleting a rule with targets: %v", err)
	}
	_, err = c.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: awssdk.String("paid"), EventBusName: awssdk.String("orders"), Ids: []string{"queue"}})
	ok(err)
	_, err = c.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: awssdk.String("paid"), EventBusName: awssdk.String("orders")})
	ok(err)
	_, err = c.RemovePermission(ctx, &eventbridge.RemovePermissionInput{EventBusName: awssdk.String("orders"), RemoveAllPermissions: true})
	ok(err)
	_, err = c.DeleteEventBus(ctx, &eventbridge.DeleteEventBusInput{Name: awssdk.String("orders")})
	ok(err)
	_, err = c.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: awssdk.String("paid"), EventBusName: awssdk.String("orders")})
	if missing, is := errors.AsType[*types.ResourceNotFoundException](err); !is || *missing.Message != "Event bus orders does not exist." {
		t.Errorf("a bus that was deleted: %v", err)
	}
}

// A vanished archive has nothing any more: it was deleted after the catalog was asked.
type vanished struct{ eventsapi.Archives }

func (vanished) Count(context.Context, string) (history.Total, error) {
	return history.Total{}, rialto.Errorf(rialto.NotFound, "Archive resource not found.")
}

// TestAnArchiveThatVanishes describes and lists an archive that somebody deletes at that moment.
func TestAnArchiveThatVanishes(t *testing.T) {
	c := sdk(serve(t, eventsapi.Options{Archives: vanished{}}, false))
	bus := "arn:aws:events:eu-west-1:111122223333:event-bus/default"
	if _, err := c.CreateArchive(t.Context(), &eventbridge.CreateArchiveInput{ArchiveName: awssdk.String("a"), EventSourceArn: &bus}); err != nil {
		t.Fatal(err)
	}
	_, err := c.DescribeArchive(t.Context(), &eventbridge.DescribeArchiveInput{ArchiveName: awssdk.String("a")})
	if gone, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok || gone.ErrorMessage() != "Archive a does not exist." {
		t.Errorf("DescribeArchive: %v", err)
	}
	list, err := c.ListArchives(t.Context(), &eventbridge.ListArchivesInput{})
	if err != nil || len(list.Archives) > 0 {
		t.Errorf("ListArchives: %v, %v", list, err)
	}
}

// TestRulesNeverOutliveTheirBus lets rules be made on buses that are deleted at the same time.
func TestRulesNeverOutliveTheirBus(t *testing.T) {
	s := serve(t, eventsapi.Options{}, false)
	const account, region = "000000000000", "us-east-1"
	for round := range 20 {
		bus := fmt.Sprintf("b%d", round)
		s.post(t, account, region, "CreateEventBus", `{"Name":"`+bus+`"}`)
		var calls sync.WaitGroup
		for i := range 4 {
			calls.Go(func() {
				s.post(t, account, region, "PutRule", fmt.Sprintf(`{"Name":"r%d","EventBusName":"%s","EventPattern":"{\"source\":[\"a\"]}"}`, i, bus))
			})
		}
		calls.Go(func() { s.post(t, account, region, "DeleteEventBus", `{"Name":"`+bus+`"}`) })
		calls.Wait()
	}
	buses := s.catalog.Buses.List("", "", 0)
	for _, r := range s.catalog.Rules.List("", "", 0) {
		if !slices.ContainsFunc(buses, func(b catalog.Entry[catalog.Bus]) bool { return b.Value.Name == r.Value.Bus }) {
			t.Errorf("rule %s is on bus %s, which is not there", r.Value.Name, r.Value.Bus)
		}
	}
}

// TestLimitsHoldUnderConcurrency lets many ask for the last free places.
func TestLimitsHoldUnderConcurrency(t *testing.T) {
	s := serve(t, eventsapi.Options{Limits: eventsapi.Limits{Rules: 10, Targets: 10}}, false)
	const account, region = "000000000000", "us-east-1"
	var calls sync.WaitGroup
	for i := range 40 {
		calls.Go(func() {
			s.post(t, account, region, "PutRule", fmt.Sprintf(`{"Name":"r%d","EventPattern":"{\"source\":[\"a\"]}"}`, i))
		})
	}
	calls.Wait()
	rules := s.catalog.Rules.List("", "", 0)
	if len(rules) != 10 {
		t.Fatalf("%d rules, want 10", len(rules))
	}
	for i := range 40 {
		calls.Go(func() {
			s.post(t, account, region, "PutTargets", fmt.Sprintf(`{"Rule":"%s","Targets":[{"Id":"t%d","Arn":"arn:aws:sqs:us-east-1:000000000000:q"}]}`, rules[0].Value.Name, i))
		})
	}
	calls.Wait()
	if n := len(s.catalog.Rules.Get(rules[0].Key).Targets); n != 10 {
		t.Errorf("%d targets, want 10", n)
	}
}

func TestPagesGoThroughEverything(t *testing.T) {
	s := serve(t, eventsapi.Options{}, false)
	const account, region = "000000000000", "us-east-1"
	var want []string
	for i := range 105 {
		name := fmt.Sprintf("r%03d", i)
		want = append(want, name)
		s.post(t, account, region, "PutRule", `{"Name":"`+name+`","EventPattern":"{\"source\":[\"a\"]}"}`)
	}
	for _, limit := range []int{0, 1, 7, 35, 100} {
		var got []string
		for token := ""; ; {
			in := map[string]any{}
			if limit > 0 {
				in["Limit"] = limit
			}
			if token != "" {
				in["NextToken"] = token
			}
			b, _ := json.Marshal(in)
			_, body, _ := strings.Cut(s.post(t, account, region, "ListRules", string(b)), " ")
			var out struct {
				Rules     []struct{ Name string }
				NextToken string
			}
			if err := json.Unmarshal([]byte(body), &out); err != nil {
				t.Fatal(err)
			}
			for _, r := range out.Rules {
				got = append(got, r.Name)
			}
			if token = out.NextToken; token == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: got %d rules, want %d in order", limit, len(got), len(want))
		}
	}
}
