package aws

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
)

// Identify tells who sends a request that is not of an AWS API, such as one of rialto's own: signed like those, and without a body.
func Identify(r *http.Request, a Authenticator) (*Request, error) {
	c := credentialOf(r)
	who, err := a.Authenticate(r, nil, c)
	if err != nil {
		return nil, err
	}
	return &Request{
		ID: uuid.NewString(), Principal: who.Principal,
		Scope: rialto.Scope{Account: who.Account, Region: c.region()},
	}, nil
}
