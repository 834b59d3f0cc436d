package eventsapi

import (
	"bytes"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/route"
)

// FuzzPolicy holds that a policy that was accepted is accepted again in the form in which it is kept, and stays the same.
func FuzzPolicy(f *testing.F) {
	const rest = `"Effect":"Allow","Action":"events:Put*","Resource":"arn:aws:events:us-east-1:000000000000:event-bus/orders"`
	for _, s := range []string{
		`{"Version":"2012-10-17","Statement":{"Sid":"a","Principal":"*",` + rest + `}}`,
		`{"Version":"2012-10-17","Id":"x","Statement":[{"Sid":"a","Principal":{"AWS":["111122223333","*"],"Service":"x"},` + rest + `}]}`,
		`{"Version":"2008-10-17","Statement":[{"Sid":"<\u003c\n","Principal":{"AWS":"arn:aws:iam::111122223333:role/x"},"Condition":{"a":["b"]},` + rest + `}]}`,
		`{"Version":"2012-10-17","Statement":[null]}`,
		"",
	} {
		f.Add(s)
	}
	bus := route.Bus{Scope: rialto.Scope{Account: rialto.DefaultAccount, Region: rialto.DefaultRegion}, Name: "orders"}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePolicy(text, bus)
		if err != nil {
			if rialto.KindOf(err) != rialto.Invalid {
				t.Fatalf("%q is refused with %v", text, err)
			}
			return
		}
		kept := p.document()
		again, err := parsePolicy(string(kept), bus)
		if err != nil {
			t.Fatalf("%q is kept as %q, which is refused: %v", text, kept, err)
		}
		read, err := readPolicy(kept)
		if err != nil || !bytes.Equal(again.document(), kept) || !bytes.Equal(read.document(), kept) {
			t.Fatalf("%q is kept as %q, but becomes %q and %q", text, kept, again.document(), read.document())
		}
	})
}
