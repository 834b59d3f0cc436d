package eventsapi

import (
	"context"

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
func page[T any](
	ctx context.Context, l listing, fetch func(after string, n int) []T, name func(T) string,
) (items []T, next *string, err error) {
	n := defaultPage
	if l.limit != nil {
		n = int(*l.limit)
	}
	p, ok := aws.OpenPage(aws.Caller(ctx), l.token, n, l.filters...)
	if !ok {
		return nil, nil, l.refuse()
	}
	items, next = aws.CutPage(p, fetch(p.After, p.Fetch()), name)
	return items, next, nil
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
