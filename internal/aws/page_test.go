package aws_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
)

var lister = &aws.Request{Service: "events", Operation: "ListRules", Scope: rialto.Scope{Account: "111122223333", Region: "eu-west-1"}}

func same(s string) string { return s }

// after is the names that come after one, at most n.
func after(names []string, last string, n int) []string {
	i, found := slices.BinarySearch(names, last)
	if found {
		i++
	}
	return names[i:min(i+n, len(names))]
}

func TestPagesCoverAList(t *testing.T) {
	for total := range 8 {
		var names []string
		for i := range total {
			names = append(names, fmt.Sprintf("n%d", i))
		}
		for limit := 1; limit <= 8; limit++ {
			var got []string
			var token *string
			for pages := 0; ; pages++ {
				p, ok := aws.OpenPage(lister, token, limit, "orders")
				if !ok || pages > total {
					t.Fatalf("%d names by %d: page %d does not open or never ends", total, limit, pages)
				}
				items, next := aws.CutPage(p, after(names, p.After, p.Fetch()), same)
				got = append(got, items...)
				if next == nil {
					break
				}
				token = next
			}
			if !slices.Equal(got, names) {
				t.Errorf("%d names by %d: got %q", total, limit, got)
			}
		}
	}
}

func TestPageGoesOnWhereItsLastNameWas(t *testing.T) {
	p, _ := aws.OpenPage(lister, nil, 2)
	_, token := aws.CutPage(p, []string{"a", "c", "e"}, same)

	p, ok := aws.OpenPage(lister, token, 10) // another limit is allowed
	if !ok {
		t.Fatal("the token does not open a page of another length")
	}
	items, next := aws.CutPage(p, after([]string{"a", "b", "d", "e"}, p.After, p.Fetch()), same) // c is gone, b and d are new
	if !slices.Equal(items, []string{"d", "e"}) || next != nil {
		t.Errorf("got %q, %v", items, next)
	}
}

func TestTokensAreBound(t *testing.T) {
	p, _ := aws.OpenPage(lister, nil, 1, "ab", "c")
	_, token := aws.CutPage(p, []string{"paid", "sent"}, same)

	other := func(change func(*aws.Request)) *aws.Request {
		r := *lister
		change(&r)
		return &r
	}
	refused := func(name string, r *aws.Request, token string, filters ...string) {
		t.Helper()
		if _, ok := aws.OpenPage(r, &token, 1, filters...); ok {
			t.Errorf("%s: the token opens a page", name)
		}
	}
	if _, ok := aws.OpenPage(lister, token, 1, "ab", "c"); !ok {
		t.Error("the token does not open its own list")
	}
	refused("another operation", other(func(r *aws.Request) { r.Operation = "ListArchives" }), *token, "ab", "c")
	refused("another service", other(func(r *aws.Request) { r.Service = "sqs" }), *token, "ab", "c")
	refused("another account", other(func(r *aws.Request) { r.Scope.Account = "222233334444" }), *token, "ab", "c")
	refused("another region", other(func(r *aws.Request) { r.Scope.Region = "us-east-1" }), *token, "ab", "c")
	refused("another filter", lister, *token, "ab", "d")
	refused("no filter", lister, *token)
	refused("the same letters in other filters", lister, *token, "a", "bc")
	refused("empty", lister, "", "ab", "c")
	refused("longer", lister, *token+"A", "ab", "c")
	for i := range *token {
		spoiled := []byte(*token)
		spoiled[i] = "AB"[(spoiled[i] & 1)]
		if string(spoiled) != *token {
			refused(fmt.Sprintf("byte %d spoiled", i), lister, string(spoiled), "ab", "c")
		}
	}
}
