package catalog

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// A Tag is a tag of a resource. Tags keep the order in which they were set.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// A Bus is an event bus. The default bus of a scope exists without an entry; it gets one when it gets settings.
type Bus struct {
	Name        rialto.BusName  `json:"name"`
	Description *string         `json:"description,omitempty"`
	KMSKey      *string         `json:"kmsKey,omitempty"`
	DeadLetter  *string         `json:"deadLetter,omitempty"` // ARN of a queue; "" if the configuration was given without one
	LogConfig   json.RawMessage `json:"logConfig,omitempty"`  // as it was given
	Policy      json.RawMessage `json:"policy,omitempty"`     // resource policy, a JSON document
	Tags        []Tag           `json:"tags,omitempty"`
	Created     time.Time       `json:"created"`
	Modified    time.Time       `json:"modified"`
}

// A Rule is a rule with its targets.
type Rule struct {
	Name        rialto.RuleName  `json:"name"`
	Bus         rialto.BusName   `json:"bus"`
	Pattern     *string          `json:"pattern,omitempty"` // as it was given; "" and nil are no pattern
	Schedule    *string          `json:"schedule,omitempty"`
	Enabled     bool             `json:"enabled"`
	State       string           `json:"state"` // as AWS shows it
	Description *string          `json:"description,omitempty"`
	RoleARN     *string          `json:"roleArn,omitempty"`
	ManagedBy   *string          `json:"managedBy,omitempty"`
	CreatedBy   rialto.AccountID `json:"createdBy"`
	Targets     []Target         `json:"targets,omitempty"` // sorted by id
	Tags        []Tag            `json:"tags,omitempty"`
}

// A Target is a target of a rule as PutTargets got it. Absent members are nil.
type Target struct {
	ID          string                     `json:"id"`
	ARN         string                     `json:"arn"`
	RoleARN     *string                    `json:"roleArn,omitempty"`
	Input       *string                    `json:"input,omitempty"`
	InputPath   *string                    `json:"inputPath,omitempty"`
	Transformer *target.Transformer        `json:"transformer,omitempty"`
	HTTP        *target.HTTP               `json:"http,omitempty"`
	SQS         *target.SQS                `json:"sqs,omitempty"`
	Retry       *RetryPolicy               `json:"retry,omitempty"`
	DeadLetter  *DeadLetter                `json:"deadLetter,omitempty"`
	Parameters  map[string]json.RawMessage `json:"parameters,omitempty"` // parameter blocks that rialto only keeps, by AWS name
	Archive     string                     `json:"archive,omitempty"`    // [Archive.StoreARN] of the archive whose managed rule it is of
}

// A RetryPolicy is one as it was given; absent members are nil.
type RetryPolicy struct {
	MaxAttempts *int32 `json:"maxAttempts,omitempty"`
	MaxAge      *int32 `json:"maxAge,omitempty"` // seconds
}

// A DeadLetter is a DeadLetterConfig as it was given.
type DeadLetter struct {
	ARN *string `json:"arn,omitempty"`
}

// A Connection says how to authorise calls of API destinations.
type Connection struct {
	Name          string             `json:"name"`
	ID            string             `json:"id"` // a UUID, new with each life of the name; the last part of the ARN
	Description   *string            `json:"description,omitempty"`
	State         string             `json:"state"`
	StateReason   *string            `json:"stateReason,omitempty"`
	Authorization string             `json:"authorization"` // API_KEY, BASIC or OAUTH_CLIENT_CREDENTIALS
	KMSKey        *string            `json:"kmsKey,omitempty"`
	Parameters    *ConnectionSecrets `json:"parameters,omitempty"` // [ConnectionSecrets.Public], for show; nil if deauthorised
	Secrets       []byte             `json:"secrets,omitempty"`    // sealed, as JSON; package vault opens them; nil if deauthorised
	SecretARN     string             `json:"secretArn,omitempty"`  // empty if deauthorised
	Created       time.Time          `json:"created"`
	Modified      time.Time          `json:"modified"`
	Authorized    time.Time          `json:"authorized,omitzero"`
	Given         time.Time          `json:"given,omitzero"` // when it got its present parameters; see [Connection.ParametersGiven]
	TLS           *ConnectionTLS     `json:"tls,omitempty"`  // nil if none was ever given
}

// ParametersGiven is when a connection got its present parameters. Connections of older versions were authorised at that moment.
func (c *Connection) ParametersGiven() time.Time {
	if c.Given.IsZero() {
		return c.Authorized
	}
	return c.Given
}

// A ConnectionTLS is how a connection proves who it is, and whom it believes, in TLS.
type ConnectionTLS struct {
	Sealed []byte    `json:"sealed,omitempty"` // a [TLSMaterial], as sealed JSON; nil if it was removed
	Given  time.Time `json:"given"`            // or removed
}

// TLSMaterial is certificates and keys in PEM. What is empty is not there.
type TLSMaterial struct {
	Certificate string `json:"certificate,omitempty"` // the connection's own, followed by those that lead to its authority
	Key         string `json:"key,omitempty"`         // of the certificate
	CA          string `json:"ca,omitempty"`          // authorities that are believed instead of the system's
	ServerName  string `json:"serverName,omitempty"`  // the name that a destination's certificate has, if not that of its endpoint
}

// ConnectionSecrets is everything about a connection that is needed to authorise a call, secret or not. It is stored as sealed JSON.
type ConnectionSecrets struct {
	Authorization string          `json:"authorization"`
	APIKeyName    string          `json:"apiKeyName,omitempty"`
	APIKeyValue   string          `json:"apiKeyValue,omitempty"`
	Username      string          `json:"username,omitempty"`
	Password      string          `json:"password,omitempty"`
	OAuth         *OAuth          `json:"oauth,omitempty"`
	Headers       []HTTPParameter `json:"headers,omitempty"` // invocation parameters of the connection
	Query         []HTTPParameter `json:"query,omitempty"`
	Body          []HTTPParameter `json:"body,omitempty"`
}

// Public is what may be seen of the secrets.
func (s *ConnectionSecrets) Public() *ConnectionSecrets {
	p := *s
	p.APIKeyValue, p.Password = "", ""
	p.Headers, p.Query, p.Body = public(s.Headers), public(s.Query), public(s.Body)
	if s.OAuth != nil {
		o := *s.OAuth
		o.ClientSecret = ""
		o.Headers, o.Query, o.Body = public(o.Headers), public(o.Query), public(o.Body)
		p.OAuth = &o
	}
	return &p
}

func public(parameters []HTTPParameter) (list []HTTPParameter) {
	for _, p := range parameters {
		if p.Secret {
			p.Value = ""
		}
		list = append(list, p)
	}
	return list
}

// OAuth is how to get a token by client credentials.
type OAuth struct {
	ClientID     string          `json:"clientId"`
	ClientSecret string          `json:"clientSecret,omitempty"`
	Endpoint     string          `json:"endpoint"`
	Method       string          `json:"method"` // GET, POST or PUT
	Headers      []HTTPParameter `json:"headers,omitempty"`
	Query        []HTTPParameter `json:"query,omitempty"`
	Body         []HTTPParameter `json:"body,omitempty"`
}

// An HTTPParameter is added to every call of a connection.
type HTTPParameter struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Secret bool   `json:"secret,omitempty"` // its value is never shown
}

// A Destination is an API destination.
type Destination struct {
	Name          string    `json:"name"`
	ID            string    `json:"id"` // a UUID, new with each life of the name; the last part of the ARN
	Description   *string   `json:"description,omitempty"`
	ConnectionARN string    `json:"connectionArn"`
	Endpoint      string    `json:"endpoint"`
	Method        string    `json:"method"`
	RateLimit     *int32    `json:"rateLimit,omitempty"` // invocations per second as given; nil is AWS's 300
	Created       time.Time `json:"created"`
	Modified      time.Time `json:"modified"`
}

// States of a [Connection]. Only an authorised one makes its destinations active.
const (
	Authorized   = "AUTHORIZED"
	Authorizing  = "AUTHORIZING" // its first token is being asked for
	Deauthorized = "DEAUTHORIZED"
)

// ConnectionOf returns the connection by which a destination of a scope is called, or nil if it is gone or not authorised. A
// destination has one exactly if AWS shows it as ACTIVE.
func (c *Catalog) ConnectionOf(s rialto.Scope, d *Destination) *Connection {
	if conn := c.NamedConnection(s, d.ConnectionARN); conn != nil && conn.State == Authorized {
		return conn
	}
	return nil
}

// NamedConnection returns the connection of an ARN, or nil if it is gone. A connection that was deleted and made anew is another one.
func (c *Catalog) NamedConnection(s rialto.Scope, connectionARN string) *Connection {
	arn, err := rialto.ParseARN(connectionARN)
	if err != nil {
		return nil
	}
	path, _ := strings.CutPrefix(arn.Resource, "connection/")
	name, id, _ := strings.Cut(path, "/")
	if conn := c.Connections.Get(NameKey(s, name)); conn != nil && conn.ID == id {
		return conn
	}
	return nil
}

// ARN is the ARN of a connection. The secrets of the connection are sealed for it.
func (c *Connection) ARN(s rialto.Scope) string {
	return s.ARN("events", "connection/"+c.Name+"/"+c.ID).String()
}

// ARN is the ARN of an API destination.
func (d *Destination) ARN(s rialto.Scope) string {
	return s.ARN("events", "api-destination/"+d.Name+"/"+d.ID).String()
}

// A Queue is an SQS queue. Its messages are on a shard.
type Queue struct {
	Name       rialto.QueueName  `json:"name"`
	ID         uint64            `json:"id"` // new with each life of the name
	Shard      int               `json:"shard"`
	Attributes map[string]string `json:"attributes,omitempty"` // those that were set, by AWS name
	Tags       map[string]string `json:"tags,omitempty"`
	Tasks      []MoveTask        `json:"tasks,omitempty"` // oldest first
	Created    time.Time         `json:"created"`
	Modified   time.Time         `json:"modified"`
}

// A MoveTask moves the messages of a dead-letter queue to where they came from, or to another queue.
type MoveTask struct {
	ID          string    `json:"id"`
	Destination string    `json:"destination,omitempty"` // ARN of a queue; "" is where each message came from
	Rate        int       `json:"rate,omitempty"`        // messages a second; 0 is as many as there are
	Status      string    `json:"status"`                // as AWS shows it
	Reason      string    `json:"reason,omitempty"`      // why it failed
	ToMove      int       `json:"toMove"`                // messages that there were when it began
	Moved       int       `json:"moved"`                 // as far as is written down
	Started     time.Time `json:"started"`
}

// A Circuit is what somebody decided about the circuit of a destination. Its key is a [NameKey] with the ARN as the name.
type Circuit struct {
	ARN    string    `json:"arn"`
	Mode   string    `json:"mode"` // open or closed
	Since  time.Time `json:"since"`
	By     string    `json:"by,omitempty"` // ARN of who did
	Reason string    `json:"reason,omitempty"`
}

// An Outage is a time in which a circuit was open, of a destination whose rules want a replay of it. Its key is an [OutageKey]. It is gone when its
// replays have begun.
type Outage struct {
	ARN    string    `json:"arn"`
	Opened time.Time `json:"opened"`
	Closed time.Time `json:"closed,omitzero"` // zero while it lasts
}

// Keys of tables. None of the parts but a bus's name and an ARN can hold a slash, and none can hold a bar.

// ScopeKey is what the keys of a scope begin with.
func ScopeKey(s rialto.Scope) string { return string(s.Account) + "/" + string(s.Region) + "/" }

// BusKey is the key of a bus.
func BusKey(s rialto.Scope, name rialto.BusName) string { return ScopeKey(s) + string(name) }

// RulesKey is what the keys of a bus's rules begin with.
func RulesKey(s rialto.Scope, bus rialto.BusName) string { return ScopeKey(s) + string(bus) + "|" }

// RuleKey is the key of a rule.
func RuleKey(s rialto.Scope, bus rialto.BusName, rule rialto.RuleName) string {
	return RulesKey(s, bus) + string(rule)
}

// NameKey is the key of a connection, a destination, a queue, an archive, a topic or, by its ARN, a circuit.
func NameKey(s rialto.Scope, name string) string { return ScopeKey(s) + name }

// OutageKey is the key of an outage: those of a destination come one after the other.
func OutageKey(s rialto.Scope, o *Outage) string {
	return ScopeKey(s) + strconv.FormatInt(o.Opened.UnixMicro(), 10) + "/" + o.ARN
}

// SplitKey takes the scope off a key.
func SplitKey(key string) (s rialto.Scope, rest string) {
	account, key, _ := strings.Cut(key, "/")
	region, rest, _ := strings.Cut(key, "/")
	return rialto.Scope{Account: rialto.AccountID(account), Region: rialto.Region(region)}, rest
}
