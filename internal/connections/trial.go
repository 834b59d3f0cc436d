package connections

import (
	"context"
	"fmt"
	nethttp "net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/target"
)

// A Trial says what to call by a connection, to see whether it works. The zero value calls its only API destination.
type Trial struct {
	Destination    string   `json:"destination"`    // name or ARN of an API destination of the connection
	URL            string   `json:"url"`            // to call in place of a destination
	Method         string   `json:"method"`         // of the destination, or GET, if it is empty
	PathParameters []string `json:"pathParameters"` // one for each * in the path
	Body           string   `json:"body"`           // JSON; {} if it is empty
}

// A Summary is what a list shows of a connection.
type Summary struct {
	Name          string   `json:"name"`
	ARN           string   `json:"arn"`
	Authorization string   `json:"authorization"`
	State         string   `json:"state"`
	Reason        string   `json:"reason,omitempty"`
	TLS           bool     `json:"tls"`                    // it has certificates of its own
	Destinations  []string `json:"destinations,omitempty"` // names of the API destinations that use it
}

// List lists the connections of a scope by name.
func (s *Service) List(scope rialto.Scope) []Summary {
	users := make(map[string][]string) // by ARN of the connection
	for _, e := range s.catalog.Destinations.List(catalog.ScopeKey(scope), "", 0) {
		users[e.Value.ConnectionARN] = append(users[e.Value.ConnectionARN], e.Value.Name)
	}
	list := []Summary{}
	for _, e := range s.catalog.Connections.List(catalog.ScopeKey(scope), "", 0) {
		c := e.Value
		one := Summary{Name: c.Name, ARN: c.ARN(scope), Authorization: c.Authorization, State: c.State, TLS: hasTLS(c), Destinations: users[c.ARN(scope)]}
		if c.StateReason != nil {
			one.Reason = *c.StateReason
		}
		list = append(list, one)
	}
	return list
}

// Test makes a call by a connection, and says what came of it.
func (s *Service) Test(ctx context.Context, scope rialto.Scope, name string, t Trial) (*http.Report, error) {
	c, err := s.find(scope, name)
	if err != nil {
		return nil, err
	}
	if c.Secrets == nil {
		return nil, rialto.Errorf(rialto.Invalid, "Connection '%s' is %s and has nothing to make a call with. Give it its parameters with UpdateConnection.", name, c.State)
	}
	d, err := s.toTry(scope, c, t)
	if err != nil {
		return nil, err
	}
	if err := s.directory.authorize(&d, c, scope); err != nil {
		return nil, err
	}
	return s.sender.Try(ctx, d, message(scope, t)), nil
}

// toTry is what a trial calls. A connection with OAuth and nothing to call still gets a token.
func (s *Service) toTry(scope rialto.Scope, c *catalog.Connection, t Trial) (d http.Destination, err error) {
	switch {
	case t.Destination != "" && t.URL != "":
		return d, rialto.Errorf(rialto.Invalid, "Say either destination or url.")
	case t.URL != "" && s.tlsOnly && !strings.HasPrefix(strings.ToLower(t.URL), "https://"):
		return d, rialto.Errorf(rialto.Invalid, "The url %.200q is not an HTTPS URL, and this server calls no others: they would carry secrets in the open.", t.URL)
	case t.URL != "":
		d.Endpoint, d.Method = t.URL, nethttp.MethodGet
	default:
		dest, err := s.destinationOf(scope, c, t.Destination)
		if err != nil {
			return d, err
		}
		if dest != nil {
			d.Endpoint, d.Method = dest.Endpoint, dest.Method
		}
	}
	if t.Method != "" {
		d.Method = strings.ToUpper(t.Method)
	}
	if d.Method != "" && !slices.Contains(methods, d.Method) {
		return d, rialto.Errorf(rialto.Invalid, "The method %q is none of %s.", t.Method, strings.Join(methods, ", "))
	}
	return d, nil
}

// methods of API destinations (EventBridge API, ApiDestinationHttpMethod).
var methods = []string{"POST", "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"}

// destinationOf is the API destination of a connection that has a name or ARN, or its only one. It is nil if there is none and the
// connection can be tried without.
func (s *Service) destinationOf(scope rialto.Scope, c *catalog.Connection, name string) (*catalog.Destination, error) {
	var all []*catalog.Destination
	var names []string
	for _, e := range s.catalog.Destinations.List(catalog.ScopeKey(scope), "", 0) {
		if d := e.Value; d.ConnectionARN == c.ARN(scope) {
			if name == d.Name || name == d.ARN(scope) {
				return d, nil
			}
			all, names = append(all, d), append(names, d.Name)
		}
	}
	switch {
	case name != "" && len(all) == 0:
		return nil, rialto.Errorf(rialto.NotFound, "API destination '%s' does not use connection '%s', nor does any other.", name, c.Name)
	case name != "":
		return nil, rialto.Errorf(rialto.NotFound, "API destination '%s' does not use connection '%s'. These do: %s.", name, c.Name, strings.Join(names, ", "))
	case len(all) == 1:
		return all[0], nil
	case c.Authorization == string(http.OAuth) && len(all) == 0:
		return nil, nil
	case len(all) == 0:
		return nil, rialto.Errorf(rialto.Invalid, "No API destination uses connection '%s': say a url to call.", c.Name)
	}
	return nil, rialto.Errorf(rialto.Invalid, "%d API destinations use connection '%s': say which, or a url. They are %s.", len(all), c.Name, strings.Join(names, ", "))
}

// message is what a trial brings: an event of rialto's own, and the body.
func message(scope rialto.Scope, t Trial) *target.Message {
	body := t.Body
	if body == "" {
		body = "{}"
	}
	id := uuid.NewString()
	event := fmt.Sprintf(`{"version":"0","id":%q,"detail-type":"Connection Test","source":"rialto","account":%q,"time":"1970-01-01T00:00:00Z","region":%q,"resources":[],"detail":{}}`,
		id, scope.Account, scope.Region)
	return &target.Message{
		Definition: &target.Definition{HTTP: &target.HTTP{PathParameters: t.PathParameters}},
		EventID:    id, Event: []byte(event), Payload: []byte(body), Attempt: 1,
	}
}
