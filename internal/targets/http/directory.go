package http

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"
)

// A Directory knows the API destinations. It answers from memory, as it is asked before every attempt.
type Directory interface {
	// Destination looks up an API destination by its ARN. If there is none, the error is of kind NotFound. Any other error
	// is taken for trouble that passes.
	Destination(ctx context.Context, arn string) (Destination, error)
}

// A Destination is an API destination together with its connection, whose secrets are open.
type Destination struct {
	Endpoint string  // such as "https://example.com/orders/*"; without a scheme it means https
	Method   string  // such as "POST"
	Rate     float64 // invocations a second, or 0 if there is no limit
	Inactive string  // why it cannot be called now, as a sentence, or empty if it can

	Auth    Auth
	TLS     *Identity   // nil if the connection has no certificates of its own
	Headers []Parameter // of the connection; they beat those of the target, as the other two do
	Query   []Parameter
	Body    []Parameter
}

// Auth is how a connection authorises a call. The zero Auth sends nothing.
type Auth struct {
	Type  AuthType
	Name  string // of the user, or of the header that carries the key
	Value string // the password or the key
	Grant *Grant // how to get a token, for OAuth alone; must not be changed
}

// An AuthType is AWS's name of a way to authorise.
type AuthType string

const (
	Basic  AuthType = "BASIC"
	APIKey AuthType = "API_KEY"
	OAuth  AuthType = "OAUTH_CLIENT_CREDENTIALS"
)

// A Grant is how a connection gets a token: by OAuth's client credentials (RFC 6749, section 4.4).
type Grant struct {
	Connection string    // ARN
	Given      time.Time // when the connection got its parameters; no token from before then is used
	TLS        *Identity // nil if the connection has no certificates of its own
	Endpoint   string    // of the authorization server, such as "https://id.example.com/token"
	Method     string    // GET, POST or PUT

	ClientID, ClientSecret string

	Headers []Parameter
	Query   []Parameter
	Body    []Parameter
}

// fingerprint differs between grants that could get different tokens.
func (g *Grant) fingerprint() [sha256.Size]byte {
	text, _ := json.Marshal(g) // strings and a time within the years of JSON: nothing that could fail
	return sha256.Sum256(append(text, g.TLS.ID()...))
}

// A Parameter is a header, a query parameter or a member of the body that a connection adds to every call.
type Parameter struct {
	Key, Value string
	Secret     bool // its value is never shown
}
