package rialtotest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/rialto-events/rialto"
)

// Bus makes an event bus and returns its ARN. If it is there already, it is the same bus.
func (s *Server) Bus(t testing.TB, name string) string {
	t.Helper()
	_, err := s.Events().CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String(name)})
	if _, exists := errors.AsType[*types.ResourceAlreadyExistsException](err); err != nil && !exists {
		t.Fatalf("make the event bus %s: %v", name, err)
	}
	return s.scope.BusARN(rialto.BusName(name)).String()
}

// PutRule makes or changes a rule and adds targets to it, by their ARNs. It returns the rule's own ARN. The name is that of a rule
// on the default bus, such as "paid", or of a bus and a rule, such as "orders/paid". For targets that need more
// than an ARN see [Server.PutTarget].
func (s *Server) PutRule(t testing.TB, name, pattern string, targets ...string) string {
	t.Helper()
	bus, rule := split(name)
	made, err := s.Events().PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &rule, EventBusName: &bus, EventPattern: &pattern})
	if err != nil {
		t.Fatalf("put the rule %s: %v", name, err)
	}
	for i, arn := range targets {
		s.PutTarget(t, name, types.Target{Id: aws.String(fmt.Sprintf("target-%d", i+1)), Arn: aws.String(arn)})
	}
	return aws.ToString(made.RuleArn)
}

// PutTarget adds a target to a rule, or replaces the one with the same id. Without an id it gets "target", and without a role
// one that need not exist.
func (s *Server) PutTarget(t testing.TB, rule string, target types.Target) {
	t.Helper()
	if target.Id == nil {
		target.Id = aws.String("target")
	}
	if target.RoleArn == nil {
		target.RoleArn = aws.String("arn:aws:iam::" + string(s.scope.Account) + ":role/rialtotest")
	}
	bus, name := split(rule)
	out, err := s.Events().PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: &name, EventBusName: &bus, Targets: []types.Target{target}})
	if err != nil {
		t.Fatalf("put a target of the rule %s: %v", rule, err)
	}
	for _, f := range out.FailedEntries {
		t.Fatalf("put the target %s of the rule %s: %s: %s", aws.ToString(f.TargetId), rule, aws.ToString(f.ErrorCode), aws.ToString(f.ErrorMessage))
	}
}

// split parts the name of a rule from that of its bus.
func split(name string) (bus, rule string) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return string(rialto.DefaultBus), name
	}
	return name[:i], name[i+1:]
}

// PutEvents puts events and returns their ids. Each is the JSON of an entry as PutEvents takes it; its Detail may be written as an
// object rather than as text. The test fails if one is refused.
func (s *Server) PutEvents(t testing.TB, entries ...string) []string {
	t.Helper()
	const most = 10 // entries in one call, by the service model
	var ids []string
	for len(entries) > 0 {
		n := min(most, len(entries))
		var list []types.PutEventsRequestEntry
		for _, text := range entries[:n] {
			entry, err := parseEntry(text)
			if err != nil {
				t.Fatalf("the entry %s: %v", text, err)
			}
			list = append(list, entry)
		}
		out, err := s.Events().PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: list})
		if err != nil {
			t.Fatalf("put %d events: %v", n, err)
		}
		for i, e := range out.Entries {
			if e.ErrorCode != nil {
				t.Fatalf("put the event %s: %s: %s", entries[i], *e.ErrorCode, aws.ToString(e.ErrorMessage))
			}
			ids = append(ids, aws.ToString(e.EventId))
		}
		entries = entries[n:]
	}
	return ids
}

// parseEntry reads the JSON of an entry.
func parseEntry(text string) (types.PutEventsRequestEntry, error) {
	var e struct {
		Source, DetailType, EventBusName, TraceHeader *string
		Detail                                        json.RawMessage
		Resources                                     []string
		Time                                          *time.Time
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return types.PutEventsRequestEntry{}, err
	}
	detail := string(e.Detail)
	if strings.HasPrefix(detail, `"`) {
		if err := json.Unmarshal(e.Detail, &detail); err != nil {
			return types.PutEventsRequestEntry{}, err
		}
	}
	return types.PutEventsRequestEntry{
		Source: e.Source, DetailType: e.DetailType, EventBusName: e.EventBusName, TraceHeader: e.TraceHeader,
		Detail: &detail, Resources: e.Resources, Time: e.Time,
	}, nil
}
