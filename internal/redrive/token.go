package redrive

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/rialto-events/rialto"
)

// A token says how far a list has got: a queue, of those that were asked for in the order of their names, and the order of a message in
// it. The zero value comes before every message.
type token struct {
	queue rialto.QueueName
	order uint64 // of the message, plus 1
}

func (t token) before(o token) bool {
	return t.queue < o.queue || t.queue == o.queue && t.order < o.order
}

func (t token) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "1/%s/%d", t.queue, t.order))
}

// parseToken reads what String made; "" is the beginning.
func parseToken(s string) (token, error) {
	if s == "" {
		return token{}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if parts := strings.Split(string(b), "/"); err == nil && len(parts) == 3 && parts[0] == "1" {
		if order, err := strconv.ParseUint(parts[2], 10, 64); err == nil {
			return token{rialto.QueueName(parts[1]), order}, nil
		}
	}
	return token{}, rialto.Errorf(rialto.Invalid, "%q is not a token for the next page. Use the one that the last page had, or none.", s)
}
