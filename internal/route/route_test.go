package route_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/route"
)

var scope = rialto.Scope{Account: rialto.DefaultAccount, Region: rialto.DefaultRegion}

// put makes or replaces a rule; without a pattern it removes it.
func put(t testing.TB, c *catalog.Catalog, bus rialto.BusName, name rialto.RuleName, enabled bool, pattern string, targets ...string) {
	t.Helper()
	_, err := c.Rules.Edit(t.Context(), catalog.RuleKey(scope, bus, name), func(*catalog.Rule) (*catalog.Rule, error) {
		if pattern == "" {
			return nil, nil
		}
		r := &catalog.Rule{Name: name, Bus: bus, Pattern: &pattern, Enabled: enabled}
		for _, id := range targets {
			r.Targets = append(r.Targets, catalog.Target{ID: id, ARN: "arn:aws:sqs:us-east-1:000000000000:" + id})
		}
		return r, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func match(t *testing.T, r *route.Router, bus rialto.BusName, event string) []string {
	t.Helper()
	targets, err := r.Match(route.Bus{Scope: scope, Name: bus}, []byte(event))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range targets {
		ids = append(ids, string(s.RuleName)+"/"+s.ID)
	}
	slices.Sort(ids)
	return ids
}

func TestMatchFollowsTheCatalog(t *testing.T) {
	c := catalogtest.Start(t)
	put(t, c, "default", "early", true, `{"source":["shop"]}`, "a")
	r := route.New(c, route.Options{})
	want := func(bus rialto.BusName, event string, ids ...string) {
		t.Helper()
		if got := match(t, r, bus, event); !slices.Equal(got, ids) {
			t.Errorf("%s on %s goes to %q, want %q", event, bus, got, ids)
		}
	}
	const paid = `{"source":"shop","detail-type":"paid"}`
	want("default", paid, "early/a")
	put(t, c, "default", "two", true, `{"detail-type":["paid"]}`, "b", "c")
	want("default", paid, "early/a", "two/b", "two/c")
	want("orders", paid)
	put(t, c, "orders", "two", true, `{"detail-type":["paid"]}`, "d")
	want("orders", paid, "two/d")
	put(t, c, "default", "two", true, `{"detail-type":["paid"]}`, "c")
	want("default", paid, "early/a", "two/c")
	put(t, c, "default", "two", true, `{"detail-type":["sent"]}`, "c")
	want("default", paid, "early/a")
	want("default", `{"detail-type":"sent"}`, "two/c")
	put(t, c, "default", "early", false, `{"source":["shop"]}`, "a")
	want("default", paid)
	put(t, c, "default", "early", true, `{"source":["shop"]}`, "a")
	put(t, c, "default", "two", true, "")
	want("default", paid, "early/a")
	want("default", `{"detail-type":"sent"}`)
}

// TestARuleIsNeverBetweenTwoPatterns changes a rule to and fro between patterns that both match.
func TestARuleIsNeverBetweenTwoPatterns(t *testing.T) {
	c := catalogtest.Start(t)
	r := route.New(c, route.Options{})
	patterns := []string{`{"source":["shop"]}`, `{"detail-type":["paid"]}`}
	put(t, c, "default", "rule", true, patterns[0], "a")
	stop, done := make(chan struct{}), make(chan error)
	for range 2 {
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				targets, err := r.Match(route.Bus{Scope: scope, Name: "default"}, []byte(`{"source":"shop","detail-type":"paid"}`))
				if err != nil || len(targets) != 1 {
					done <- fmt.Errorf("%d targets, %v", len(targets), err)
					return
				}
			}
		}()
	}
	for i := range 300 {
		put(t, c, "default", "rule", true, patterns[i%2], "a")
	}
	close(stop)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestPoliciesOfBuses(t *testing.T) {
	c := catalogtest.Start(t)
	bus := route.Bus{Scope: scope, Name: "gate"}
	statement := func(effect, principal, action, more string) string {
		return fmt.Sprintf(`{"Effect":%q,"Principal":%s,"Action":%q,"Resource":%q%s}`, effect, principal, action, bus.ARN(), more)
	}
	allow := statement("Allow", `{"AWS":"arn:aws:iam::111122223333:root"}`, "events:PutEvents", "")
	under := func(effect, operator, key string, values []string) string {
		condition, err := json.Marshal(map[string]any{operator: map[string]any{key: values}})
		if err != nil {
			t.Fatal(err)
		}
		return statement(effect, `"*"`, "events:PutEvents", `,"Condition":`+string(condition))
	}
	when := func(operator, key string, values ...string) string { return under("Allow", operator, key, values) }
	deny := func(operator, key string, values ...string) string { return under("Deny", operator, key, values) }
	for _, tc := range []struct {
		name    string
		policy  string
		account rialto.AccountID
		allowed bool
	}{
		{"no policy", ``, "111122223333", false},
		{"its own account needs none", ``, scope.Account, true},
		{"account by ARN", allow, "111122223333", true},
		{"another account", allow, "444455556666", false},
		{"account by number, in a list", statement("Allow", `{"AWS":["1","111122223333"]}`, "events:*", ""), "111122223333", true},
		{"everybody", statement("Allow", `"*"`, "events:PutEvents", ""), "111122223333", true},
		{"another action", statement("Allow", `"*"`, "events:PutRule", ""), "111122223333", false},
		{"a denial beats it", allow + "," + statement("Deny", `"*"`, "events:PutEvents", ""), "111122223333", false},
		{"the source that it asks for", when("StringEquals", "events:source", "shop"), "111122223333", true},
		{"another source", when("StringEquals", "events:source", "till"), "111122223333", false},
		{"one of several sources", when("ForAnyValue:StringLike", "EVENTS:Source", "till", "sh?*"), "111122223333", true},
		{"not that source", when("StringNotEquals", "events:source", "shop"), "111122223333", false},
		{"several conditions hold together", statement("Allow", `"*"`, "events:PutEvents",
			`,"Condition":{"StringEquals":{"events:source":"shop","events:detail-type":"paid"}}`), "111122223333", false},
		{"not forwarded", when("Bool", "events:eventBusInvocation", "true"), "111122223333", false},
		{"a rule that is not there", when("ArnLike", "aws:SourceArn", "*"), "111122223333", false},
		{"a rule, if there is one", when("ArnLikeIfExists", "aws:SourceArn", "arn:aws:events:*"), "111122223333", true},
		{"no rule", when("Null", "aws:SourceArn", "true"), "111122223333", true},
		{"the caller's own account", when("StringEquals", "aws:PrincipalAccount", "${aws:PrincipalAccount}"), "111122223333", true},
		{"the bus by its name", when("StringEquals", "events:EventBusName", "gate"), "111122223333", true},
		{"an operator that is not known", when("NumericEquals", "events:source", "1"), "111122223333", false},
		{"a denial that does not apply", allow + "," + deny("StringEquals", "events:source", "till"), "111122223333", true},
		{"a denial that may apply", allow + "," + deny("StringEquals", "aws:PrincipalOrgID", "o-1"), "111122223333", false},
		{"an organisation is not known", statement("Allow", `"*"`, "events:PutEvents", `,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`), "111122223333", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := &catalog.Bus{Name: bus.Name}
			if tc.policy != "" {
				b.Policy = []byte(`{"Version":"2012-10-17","Statement":[` + tc.policy + `]}`)
			}
			if _, err := c.Buses.Edit(t.Context(), catalog.BusKey(scope, bus.Name), func(*catalog.Bus) (*catalog.Bus, error) { return b, nil }); err != nil {
				t.Fatal(err)
			}
			access := route.Access{Account: tc.account, Action: "events:PutEvents", Context: map[string]string{
				route.KeySource: "shop", route.KeyDetailType: "sold", route.KeyBusInvocation: "false", route.KeySourceARN: "",
			}}
			if got := route.New(c, route.Options{Policies: true}).Allows(bus, access); got != tc.allowed {
				t.Errorf("account %s allowed: %v, want %v, by %s", tc.account, got, tc.allowed, b.Policy)
			}
			if !route.New(c, route.Options{}).Allows(bus, access) {
				t.Error("where policies are not enforced, nobody is denied")
			}
		})
	}
}
