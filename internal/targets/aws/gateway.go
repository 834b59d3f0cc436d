package aws

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/rialto-events/rialto/internal/transform"
	"github.com/rialto-events/rialto/target"
)

// reserved are the headers that a target of API Gateway cannot have (EventBridge API, HttpParameters), beside those that begin with
// reservedPrefix.
var reserved = map[string]bool{
	"Authorization": true, "Connection": true, "Content-Encoding": true, "Content-Length": true, "Host": true, "Max-Forwards": true,
	"Te": true, "Transfer-Encoding": true, "Trailer": true, "Upgrade": true, "Via": true, "Www-Authenticate": true, "X-Forwarded-For": true,
}

const reservedPrefix = "X-Amz" // X-Amzn, too

// callGateway calls a method of an API: arn:…:execute-api:region:account:api/stage/METHOD/path, where path parameters stand for
// asterisks.
func callGateway(c *call, m *target.Message) (*request, error) {
	parts := strings.SplitN(c.arn.Resource, "/", 4)
	if len(parts) < 3 {
		return nil, invalid("%s does not name an API, a stage and a method.", c.arn)
	}
	id, stage, method, path := parts[0], parts[1], parts[2], ""
	if len(parts) == 4 {
		path = parts[3]
	}
	var shape target.HTTP
	if c.d.HTTP != nil {
		shape = *c.d.HTTP
	}
	if n := strings.Count(path, "*"); n != len(shape.PathParameters) {
		return nil, invalid("The path of %s has %d places for path parameters, and the target has %d.", c.arn, n, len(shape.PathParameters))
	}
	places := strings.Split(path, "*")
	path = places[0]
	for i, value := range shape.PathParameters {
		path += url.PathEscape(transform.Value(value, m.Event)) + places[i+1]
	}
	if method == "*" {
		method = http.MethodPost
	}
	req := &request{method: method, host: id + "." + c.kind.api.host, path: "/" + path, header: map[string]string{"Content-Type": "application/json"},
		query: url.Values{}, body: m.Payload}
	if stage != "$default" {
		req.path = "/" + url.PathEscape(stage) + req.path
	}
	for name, value := range shape.Query {
		req.query.Set(name, transform.Value(value, m.Event))
	}
	for name, value := range shape.Headers {
		name = http.CanonicalHeaderKey(name)
		if reserved[name] || strings.HasPrefix(name, reservedPrefix) {
			return nil, invalid("A target of API Gateway cannot have the header %s.", name)
		}
		req.header[name] = transform.Value(value, m.Event)
	}
	if m.Trace != "" {
		req.header["X-Amzn-Trace-Id"] = m.Trace
	}
	return req, nil
}
