package secretsapi

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
)

const mostAtOnce = 100 // secrets that one call lists (Secrets Manager API, ListSecrets)

// ListSecrets lists the secrets of the caller's account and region by the time of their creation, or by what SortBy names.
func (f *Front) ListSecrets(ctx context.Context, in *ListSecretsInput) (*ListSecretsOutput, error) {
	n := mostAtOnce
	if in.MaxResults != nil {
		n = int(*in.MaxResults)
	}
	filters, err := json.Marshal(in.Filters)
	if err != nil {
		return nil, err
	}
	caller := aws.Caller(ctx)
	by, order := string(deref(in.SortBy)), string(deref(in.SortOrder))
	p, ok := aws.OpenPage(caller, in.NextToken, n, string(filters), by, order)
	if !ok {
		return nil, rialto.WithCode(rialto.Invalid, "InvalidNextTokenException", "NextToken is not valid.")
	}
	var found []secret
	for _, e := range f.catalog.Connections.List(catalog.ScopeKey(caller.Scope), "", 0) {
		if s := (secret{e.Value, caller.Scope}); s.SecretARN != "" && s.passes(in.Filters) {
			found = append(found, s)
		}
	}
	key := func(s secret) string { return s.sortKey(by) }
	compare := func(a, b string) int { return strings.Compare(a, b) }
	if order == string(SortOrderTypeDesc) {
		compare = func(a, b string) int { return strings.Compare(b, a) }
	}
	slices.SortFunc(found, func(a, b secret) int { return compare(key(a), key(b)) })
	if p.After != "" {
		found = slices.DeleteFunc(found, func(s secret) bool { return compare(key(s), p.After) <= 0 })
	}
	found, next := aws.CutPage(p, found[:min(len(found), p.Fetch())], key)
	out := &ListSecretsOutput{SecretList: make([]SecretListEntry, 0, len(found)), NextToken: next}
	for _, s := range found {
		out.SecretList = append(out.SecretList, SecretListEntry{
			ARN: &s.SecretARN, Name: new(s.name()), KmsKeyId: s.KMSKey, OwningService: new(owner), Tags: s.tags(),
			CreatedDate: &s.Created, LastChangedDate: s.changed(), SecretVersionsToStages: s.stages(),
		})
	}
	return out, nil
}

// sortKey is what a secret is sorted by. Its name at the end makes it the only one of its kind.
func (s secret) sortKey(by string) string {
	const sortable = "20060102150405.000000000"
	switch SortByType(by) {
	case SortByTypeName:
		return s.name()
	case SortByTypeLastChangedDate:
		return s.changed().UTC().Format(sortable) + s.name()
	}
	return s.Created.UTC().Format(sortable) + s.name()
}

// passes reports whether a secret passes every filter. Of the values of a filter one is enough.
func (s secret) passes(filters []Filter) bool {
	for _, f := range filters {
		if !slices.ContainsFunc(f.Values, func(v string) bool { return s.has(string(deref(f.Key)), v) }) {
			return false
		}
	}
	return true
}

// has reports whether something of a secret begins with a value; an exclamation mark before it asks for the opposite.
func (s secret) has(what, value string) bool {
	value, not := strings.CutPrefix(value, "!")
	attributes := map[string][]string{
		string(FilterNameStringTypeName):          {s.name()},
		string(FilterNameStringTypeTagKey):        {ownerTag},
		string(FilterNameStringTypeTagValue):      {owner},
		string(FilterNameStringTypeOwningService): {owner},
	}
	begins := func(a string) bool { return strings.HasPrefix(a, value) }
	candidates := attributes[what]
	if what == string(FilterNameStringTypeAll) { // words, anywhere, in any case
		candidates = []string{strings.ToLower(s.name() + " " + ownerTag + " " + owner)}
		begins = func(a string) bool {
			return !slices.ContainsFunc(strings.Fields(value), func(w string) bool { return !strings.Contains(a, strings.ToLower(w)) })
		}
	}
	return slices.ContainsFunc(candidates, begins) != not
}
