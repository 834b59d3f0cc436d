package eventsapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
)

// defaultPage is how much a list answers at once if the caller names no limit.
const defaultPage = 100 // the most that may be asked for, by the service model

// A listing is what a caller asks of a list, and how the list reports a token that is not its own.
type listing struct {
	token   *string
	limit   *int32
	filters []string // which must be the same on every page
	refuse  func() error
}

// Lists disagree about what a bad token is (recorded on AWS, the code only).
func badToken() error {
	return rialto.WithCode(rialto.Invalid, "InvalidTokenException", "NextToken is not valid.")
}
func badTokenValue() error { return invalid("NextToken is not valid.") }

// page lists one page of what is sorted by name. It gets what comes after a name from fetch, which returns at most n.
//
// A token is the last name on the page before, behind a hash that binds it to the operation, the scope and the filters. It says
// where to go on and not what was seen: it stays good when resources come and go, and may be used again.
func page[T any](
	ctx context.Context, l listing, fetch func(after string, n int) []T, name func(T) string,
) (items []T, next *string, err error) {
	var after string
	mark := markOf(aws.Caller(ctx), l.filters)
	if l.token != nil {
		b, err := base64.RawURLEncoding.DecodeString(*l.token)
		var ours bool
		if after, ours = strings.CutPrefix(string(b), mark); err != nil || !ours || after == "" {
			return nil, nil, l.refuse()
		}
	}
	n := defaultPage
	if l.limit != nil {
		n = int(*l.limit)
	}
	items = fetch(after, n+1)
	if len(items) > n {
		items = items[:n]
		next = new(base64.RawURLEncoding.EncodeToString([]byte(mark + name(items[n-1]))))
	}
	return items, next, nil
}

// markOf tells tokens of different lists apart.
func markOf(r *aws.Request, filters []string) string {
	// None of the parts holds a zero byte: they have passed the patterns of the service model, or are ARNs of which only equal
	// ones are found.
	list := strings.Join(append([]string{r.Operation, string(r.Scope.Account), string(r.Scope.Region)}, filters...), "\x00")
	sum := sha256.Sum256([]byte(list))
	return string(sum[:8])
}

// values takes the resources out of a list of entries.
func values[T any](entries []catalog.Entry[T]) []*T {
	list := make([]*T, len(entries))
	for i := range entries {
		list[i] = entries[i].Value
	}
	return list
}

// firstOf takes the first n resources that satisfy want out of a list of entries.
func firstOf[T any](entries []catalog.Entry[T], n int, want func(*T) bool) (list []*T) {
	for i := range entries {
		if len(list) == n {
			break
		}
		if want(entries[i].Value) {
			list = append(list, entries[i].Value)
		}
	}
	return list
}
