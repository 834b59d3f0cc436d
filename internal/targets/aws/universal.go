package aws

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/aws/apis"
	"github.com/rialto-events/rialto/internal/targets/universal"
	"github.com/rialto-events/rialto/target"
)

// This file makes the calls of universal targets: any operation of any service that package apis knows how to write.

var _ universal.Remote = (*Sender)(nil)

// ServesCall reports whether a remote stands for a service in a scope, and whether it names the service.
func (s *Sender) ServesCall(service string, scope rialto.Scope) (ok, named bool) {
	p := s.placeOfCall(service, scope)
	return p != nil, p != nil && len(p.Services) > 0
}

// placeOfCall finds the remote for a service, which it may name as in ARNs or as the SDKs do.
func (s *Sender) placeOfCall(service string, scope rialto.Scope) *place {
	signing := service
	if api, ok := apis.Find(service); ok {
		signing = api.Signing
	}
	for _, p := range s.places {
		named := slices.Contains(p.Services, signing) || slices.Contains(p.Services, service)
		if p.covers(scope) && (named || len(p.Services) == 0 && !slices.Contains(ours, signing)) {
			return p
		}
	}
	return nil
}

// Call makes the call of a universal target. It acts for the account of the schedule, in its region.
//
// Any operation may do more harm than an event that is delivered. So where accounts are told from each other, a remote that stands
// for all of them has to name those that may: they would all act with its credentials.
func (s *Sender) Call(ctx context.Context, u *universal.Call) (target.Answer, error) {
	p := s.placeOfCall(u.Service, u.Scope)
	api, ok := apis.Find(u.Service)
	switch {
	case !ok || p == nil:
		return target.Answer{}, &target.Error{Code: target.CodeNoResource, Permanent: true,
			Message: fmt.Sprintf("rialto does not know how the service %s is called.", u.Service)}
	case s.ownOnly && !slices.Contains(p.Accounts, u.Scope.Account) && !slices.Contains(p.Callers, u.Scope.Account):
		return target.Answer{}, &target.Error{Code: target.CodeNoPermissions, Permanent: true, Message: fmt.Sprintf("The account %s has no use of the remote %s. "+
			"Whoever runs this server can name it among the remote's accounts or callers.", u.Scope.Account, p.Name)}
	}
	written, err := api.Request(u.Operation(), u.Input, u.Token)
	if err != nil {
		code := "ValidationException"
		if rialto.KindOf(err) == rialto.NotFound {
			code = "UnknownOperationException"
		}
		return target.Answer{}, universal.Refused(http.StatusBadRequest, code, err.Error())
	}
	c := p.universalCall(api, u)
	ctx, cancel := c.within(ctx)
	defer cancel()
	a, err := s.call(ctx, c, p.request(api, written))
	if err != nil {
		return target.Answer{}, err
	}
	if f := a.refusal(); f != nil {
		return a.shown(), f.outcome(c.kind)
	}
	return a.shown(), nil
}

// universalCall is what has to be known before the call is made, as of a kind that nobody has listed.
func (p *place) universalCall(service *apis.Service, u *universal.Call) *call {
	region := string(cmp.Or(p.Region, u.Scope.Region, rialto.DefaultRegion))
	if service.Global != "" && p.Endpoint == "" {
		region = service.Global
	}
	arn := u.Scope.ARN(service.Signing, u.Action)
	return &call{
		place: p, arn: arn, region: region, d: &target.Definition{ARN: arn.String(), RoleARN: u.Role},
		kind: &kind{service: service.Signing, api: &api{host: service.Host, signing: service.Signing, name: service.Name}},
	}
}

// request is a written request, for the endpoint of the remote. That of a service without regions has none in its name.
func (p *place) request(service *apis.Service, w *apis.Request) *request {
	req := &request{method: w.Method, path: w.Path, query: w.Query, header: w.Header, body: w.Body}
	switch {
	case p.Endpoint != "": // by whose own name all services are reached
	case service.Global != "":
		req.global = true
	case w.Host != "":
		req.host = w.Host + service.Host
	}
	return req
}
