package aws

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// A Page is the part of a list that a call asks for.
//
//	p, ok := aws.OpenPage(aws.Caller(ctx), in.NextToken, limit, prefix)
//	if !ok {
//		return nil, rialto.WithCode(rialto.Invalid, "InvalidTokenException", "…") // lists disagree about the code
//	}
//	rules, next := aws.CutPage(p, f.rules.After(p.After, prefix, p.Fetch()), rule.name)
//
// A token says after which name to go on, and not what has been seen: it may be used again, stays good while resources come and go,
// across restarts and on every node, and a page is never wrong by more than what changed between two calls. It is bound to the
// operation, the scope and the filters, all of which must be the same on every page; the limit may change.
type Page struct {
	After string // the name on the page before that comes last; empty on the first page

	limit int
	bound []byte // what the token is bound to
}

// tokenSum is the length of the hash in a token. It finds out slips and curiosity; who forges one sees a list that was open anyway.
const tokenSum = 12

// OpenPage is the page that a token opens, or the first one without a token. It is false if the token was not made by [CutPage]
// for the same operation, scope and filters.
func OpenPage(r *Request, token *string, limit int, filters ...string) (Page, bool) {
	p := Page{limit: limit}
	for _, part := range append([]string{r.Service, r.Operation, string(r.Scope.Account), string(r.Scope.Region)}, filters...) {
		// The length of each part keeps "ab", "c" apart from "a", "bc".
		p.bound = append(binary.AppendUvarint(p.bound, uint64(len(part))), part...)
	}
	if token == nil {
		return p, true
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(*token)
	if err != nil || len(b) <= tokenSum {
		return Page{}, false
	}
	p.After = string(b[tokenSum:])
	return p, *token == p.token(p.After)
}

// Fetch is how many items to look up for this page: one more than it holds, which tells whether another follows.
func (p Page) Fetch() int { return p.limit + 1 }

func (p Page) token(after string) string {
	sum := sha256.Sum256(append(p.bound[:len(p.bound):len(p.bound)], after...))
	return base64.RawURLEncoding.EncodeToString(append(sum[:tokenSum], after...))
}

// CutPage is what belongs onto the page of the items that were fetched for it, which are sorted by name, and the token of the next
// page if there is one.
func CutPage[T any](p Page, fetched []T, name func(T) string) (items []T, next *string) {
	if len(fetched) <= p.limit {
		return fetched, nil
	}
	items = fetched[:p.limit]
	return items, new(p.token(name(items[len(items)-1])))
}
