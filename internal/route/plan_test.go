package route_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/route"
)

// tagRule and tagBus replace the tags of a resource that is there, given as key=value.
func tagRule(t *testing.T, c *catalog.Catalog, bus rialto.BusName, name rialto.RuleName, tags ...string) {
	t.Helper()
	_, err := c.Rules.Edit(t.Context(), catalog.RuleKey(scope, bus, name), func(was *catalog.Rule) (*catalog.Rule, error) {
		is := *was
		is.Tags = parseTags(tags)
		return &is, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func tagBus(t *testing.T, c *catalog.Catalog, name rialto.BusName, tags ...string) {
	t.Helper()
	_, err := c.Buses.Edit(t.Context(), catalog.BusKey(scope, name), func(*catalog.Bus) (*catalog.Bus, error) {
		return &catalog.Bus{Name: name, Tags: parseTags(tags)}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func parseTags(tags []string) (list []catalog.Tag) {
	for _, tag := range tags {
		key, value, _ := strings.Cut(tag, "=")
		list = append(list, catalog.Tag{Key: key, Value: value})
	}
	return list
}

func plan(t *testing.T, r *route.Router, bus rialto.BusName) route.Plan {
	t.Helper()
	p, err := r.Plan(route.Bus{Scope: scope, Name: bus}, []byte(`{"source":"shop","detail-type":"paid"}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// paths are the targets of a plan with the paths that they are ordered by.
func paths(p route.Plan) (list []string) {
	for i, s := range p.Targets {
		text := s.ID
		if p.Orders != nil && p.Orders[i] != nil {
			text += " by " + p.Orders[i].Path.String()
		}
		list = append(list, text)
	}
	slices.Sort(list)
	return list
}

func TestPlanHasTheOrderOfEachTarget(t *testing.T) {
	c := catalogtest.Start(t)
	r := route.New(c, route.Options{})
	want := func(home bool, targets ...string) {
		t.Helper()
		if p := plan(t, r, "default"); !slices.Equal(paths(p), targets) || p.Home != home {
			t.Errorf("the event goes to %q, home %v; want %q, %v", paths(p), p.Home, targets, home)
		}
	}
	put(t, c, "default", "plain", true, `{"source":["shop"]}`, "a")
	put(t, c, "default", "one", true, `{"detail-type":["paid"]}`, "b", "c")
	put(t, c, "default", "two", true, `{"source":["shop"]}`, "d")
	put(t, c, "default", "elsewhere", true, `{"source":["till"]}`, "e")
	want(false, "a", "b", "c", "d")
	tagRule(t, c, "default", "one", "rialto:order-by=$.detail.id")
	want(true, "a", "b by $.detail.id", "c by $.detail.id", "d")
	tagRule(t, c, "default", "two", "rialto:order-by=detail.order", "team=x")
	want(true, "a", "b by $.detail.id", "c by $.detail.id", "d by $.detail.order")
	tagRule(t, c, "default", "one")
	want(true, "a", "b", "c", "d by $.detail.order")
	put(t, c, "default", "two", true, "")
	want(false, "a", "b", "c")
	tagRule(t, c, "default", "elsewhere", "rialto:order-by=$.detail.id")
	want(true, "a", "b", "c")
	put(t, c, "default", "elsewhere", false, `{"source":["till"]}`, "e")
	want(false, "a", "b", "c")

	tagRule(t, c, "default", "one", "rialto:order-by=$.detail.id")
	salts := make(map[[8]byte]bool)
	for _, o := range plan(t, r, "default").Orders {
		if o != nil {
			salts[o.Salt] = true
		}
	}
	if len(salts) != 2 {
		t.Error("two targets of a rule share their order")
	}
}

func TestPlanHasTheTermsOfTheBus(t *testing.T) {
	c := catalogtest.Start(t)
	tagBus(t, c, "early", "rialto:dedupe-by=$.detail.id", "rialto:dedupe-window=10m")
	var log strings.Builder
	r := route.New(c, route.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if p := plan(t, r, "early"); p.Bus == nil || p.Bus.DedupeBy.String() != "$.detail.id" || !p.Home || p.Targets != nil {
		t.Errorf("the plan is %+v", p)
	}
	tagBus(t, c, "early", "rialto:ttl-from=$.detail.ttl")
	if p := plan(t, r, "early"); p.Bus == nil || p.Bus.DedupeBy != nil || p.Bus.TTLFrom.String() != "$.detail.ttl" || p.Home {
		t.Errorf("the plan is %+v", p)
	}
	tagBus(t, c, "early", "rialto:dedupe-window=10m", "team=x")
	if p := plan(t, r, "early"); p.Bus != nil || p.Home {
		t.Errorf("the plan is %+v, though nothing is asked for", p)
	}
	tagBus(t, c, "early", "rialto:ttl-from=$.detail.ttl", "rialto:later=x")
	if p := plan(t, r, "early"); p.Bus == nil || !strings.Contains(log.String(), "rialto:later") {
		t.Errorf("the plan is %+v, and the log says %q", p, log.String())
	}
	if p := plan(t, r, "default"); p.Bus != nil {
		t.Errorf("another bus has the plan %+v", p)
	}
	if _, err := c.Buses.Edit(t.Context(), catalog.BusKey(scope, "early"), func(*catalog.Bus) (*catalog.Bus, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if p := plan(t, r, "early"); p.Bus != nil {
		t.Errorf("the plan is %+v, though the bus is gone", p)
	}
}
