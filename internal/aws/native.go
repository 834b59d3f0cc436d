package aws

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
)

// Identify tells who sends a request that is not of an AWS API, such as one of rialto's own: signed like those, over the body that it
// came with.
func Identify(r *http.Request, a Authenticator, body []byte) (*Request, error) {
	c := credentialOf(r)
	who, err := a.Authenticate(r, body, c)
	if err != nil {
		return nil, err
	}
	return &Request{
		ID: uuid.NewString(), Principal: who.Principal,
		Scope: rialto.Scope{Account: who.Account, Region: c.region()},
	}, nil
}
