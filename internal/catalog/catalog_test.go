package catalog_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/target"
)

func put(t *testing.T, c *catalog.Catalog, key, description string) {
	t.Helper()
	_, err := c.Buses.Edit(t.Context(), key, func(*catalog.Bus) (*catalog.Bus, error) {
		return &catalog.Bus{Description: &description}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, c *catalog.Catalog, key string) {
	t.Helper()
	if _, err := c.Buses.Edit(t.Context(), key, func(*catalog.Bus) (*catalog.Bus, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
}

func keys(entries []catalog.Entry[catalog.Bus]) []string {
	var list []string
	for _, e := range entries {
		list = append(list, e.Key)
	}
	return list
}

func TestChangesAreSeenWhenEditReturns(t *testing.T) {
	sim := journal.NewSim(1, journal.SimFaults{})
	c := catalogtest.StartOn(t, sim)
	var seen []string
	put(t, c, "a", "before")
	c.Buses.Follow(func(key string, was, is *catalog.Bus) {
		seen = append(seen, fmt.Sprintf("%s %v>%v", key, was != nil, is != nil))
	})
	put(t, c, "b", "one")
	put(t, c, "b", "two")
	remove(t, c, "b")
	remove(t, c, "b")
	if want := []string{"a false>true", "b false>true", "b true>true", "b true>false"}; !slices.Equal(seen, want) {
		t.Errorf("followed %q, want %q", seen, want)
	}
	if b := c.Buses.Get("a"); b == nil || *b.Description != "before" {
		t.Errorf("bus a is %v", b)
	}
	again := catalogtest.StartOn(t, sim)
	if got := keys(again.Buses.List("", "", 0)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("after a restart the buses are %q", got)
	}
	put(t, again, "c", "from elsewhere")
	put(t, c, "d", "after it")
	if c.Buses.Get("c") == nil {
		t.Error("the change of another node did not arrive with a later one of our own")
	}
}

func TestNoChangeIsLost(t *testing.T) {
	sim := journal.NewSim(1, journal.SimFaults{})
	nodes := []*catalog.Catalog{catalogtest.StartOn(t, sim), catalogtest.StartOn(t, sim)}
	const rounds = 50
	var wg sync.WaitGroup
	for _, c := range nodes {
		wg.Go(func() {
			for range rounds {
				_, err := c.Buses.Edit(t.Context(), "bus", func(was *catalog.Bus) (*catalog.Bus, error) {
					is := new(catalog.Bus)
					if was != nil {
						is.Tags = slices.Clone(was.Tags)
					}
					is.Tags = append(is.Tags, catalog.Tag{})
					return is, nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	put(t, nodes[0], "other", "")
	if n := len(nodes[0].Buses.Get("bus").Tags); n != 2*rounds {
		t.Errorf("%d of %d changes are there", n, 2*rounds)
	}
}

func TestEditCanLeaveThingsAsTheyAre(t *testing.T) {
	c := catalogtest.Start(t)
	put(t, c, "a", "x")
	refused := errors.New("refused")
	if _, err := c.Buses.Edit(t.Context(), "a", func(*catalog.Bus) (*catalog.Bus, error) { return nil, refused }); err != refused {
		t.Errorf("got %v, want the error of the function", err)
	}
	b, err := c.Buses.Edit(t.Context(), "a", func(*catalog.Bus) (*catalog.Bus, error) { return nil, catalog.Unchanged })
	if err != nil || b != c.Buses.Get("a") {
		t.Errorf("got %v, %v; want the bus as it is", b, err)
	}
}

func TestListPages(t *testing.T) {
	c := catalogtest.Start(t)
	for _, k := range []string{"s/b", "s/a", "s/c", "r/z", "t/a"} {
		put(t, c, k, "")
	}
	for _, tc := range []struct {
		prefix, after string
		n             int
		want          []string
	}{
		{"s/", "", 0, []string{"s/a", "s/b", "s/c"}},
		{"s/", "", 2, []string{"s/a", "s/b"}},
		{"s/", "s/b", 2, []string{"s/c"}},
		{"s/", "s/aa", 0, []string{"s/b", "s/c"}},
		{"s/", "r/z", 0, []string{"s/a", "s/b", "s/c"}},
		{"u/", "", 0, nil},
	} {
		if got := keys(c.Buses.List(tc.prefix, tc.after, tc.n)); !slices.Equal(got, tc.want) {
			t.Errorf("List(%q, %q, %d) = %q, want %q", tc.prefix, tc.after, tc.n, got, tc.want)
		}
	}
	if n := c.Buses.Count("s/"); n != 3 {
		t.Errorf("Count is %d, want 3", n)
	}
}

// TestLargeDefinitions stores a rule with the most targets and the longest templates, and refuses what one entry cannot hold.
func TestLargeDefinitions(t *testing.T) {
	c := catalogtest.Start(t)
	template := `<a> & ` + strings.Repeat("<b>", (8192-6)/3) // an InputTemplate has up to 8192 characters
	edit := func(targets int) error {
		_, err := c.Rules.Edit(t.Context(), "a|b", func(*catalog.Rule) (*catalog.Rule, error) {
			r := &catalog.Rule{Name: "b", Bus: "a"}
			for i := range targets {
				r.Targets = append(r.Targets, catalog.Target{
					ID: fmt.Sprint(i), ARN: "arn:aws:sqs:eu-west-1:111122223333:q", Transformer: &target.Transformer{Template: template},
				})
			}
			return r, nil
		})
		return err
	}
	if err := edit(100); err != nil {
		t.Fatal(err)
	}
	if r := c.Rules.Get("a|b"); len(r.Targets) != 100 || r.Targets[99].Transformer.Template != template {
		t.Errorf("the rule has %d targets", len(r.Targets))
	}
	if err := edit(200); rialto.KindOf(err) != rialto.Exceeded {
		t.Errorf("200 targets: %v", err)
	}
}
