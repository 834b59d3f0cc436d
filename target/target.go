// Package target says what a destination of events is.
//
// A kind of destination (an HTTP endpoint, a queue, another bus …) is a [Sender]: it gets a [Message] and reports how the
// attempt ended. Everything else, when to try again, for how long, how many at once and what becomes of a message that
// cannot be delivered, is decided by the caller. A Sender therefore keeps no queue, retries nothing and returns soon after
// its context ends. Package targettest proves that one behaves.
package target

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/rialto-events/rialto"
)

// A Sender delivers messages to destinations of one kind. It is safe for concurrent use.
type Sender interface {
	// Send makes one attempt. A nil error says that the destination has taken the message for good. Any other says that
	// it may or may not have; wrap it in an [Error] to say whether another attempt makes sense. An error of another type
	// is worth another attempt.
	Send(ctx context.Context, m *Message) error
}

// A Paced is a Sender whose destinations may be called only so often. Whoever sends keeps the pace; a Sender never waits.
type Paced interface {
	Sender
	// Pace is how many deliveries a second a destination takes, or 0 if there is no limit. It may change at any time.
	Pace(d *Definition) float64
}

// A Timed is a Sender whose attempts may take longer than the minute that whoever sends otherwise allows.
type Timed interface {
	Sender
	// Timeout is how long an attempt may take where the definition does not say it; 0 leaves it to whoever sends.
	Timeout(d *Definition) time.Duration
}

// A Local is a Sender to what is inside this server. That takes everything at once when it works, and needs nobody's care when it comes back.
type Local interface {
	Sender
	// Local reports whether a destination is inside this server.
	Local(d *Definition) bool
}

// A Batcher is a Sender whose destinations can take several messages at once.
type Batcher interface {
	Sender
	// SendBatch makes one attempt for messages of one definition, in their order. It returns how it ended for each of them, in
	// the sense of Send; nil is that all were taken. A destination that cannot tell them apart gives all the same error.
	SendBatch(ctx context.Context, ms []*Message) []error
	// Most is how many messages, and how many bytes of payload, the destination takes at once; 0 is no limit.
	Most(d *Definition) (messages, bytes int)
}

// An Eager is a Batcher that is the quicker the more it gets at once. Where it is, what waits goes out together, although nobody has asked for
// batches; nothing waits for others to come. Messages of a batch may then be from different schedules, and say so in their definitions.
type Eager interface {
	Batcher
	// Eager reports whether the destination of a definition is so.
	Eager(d *Definition) bool
}

// A Message is one delivery attempt.
type Message struct {
	Definition *Definition
	EventID    string     // of the event; the same for every target and attempt
	Event      []byte     // the event as JSON, as it was accepted
	Payload    []byte     // what the destination is to receive: the event, or what the target's input made of it
	Bus        rialto.ARN // the bus on which the rule matched
	Trace      string     // normalised X-Ray trace header, or empty
	Hops       Hops       // the buses that the event has crossed
	Accepted   time.Time  // when the event was accepted on Bus
	Attempt    int        // 1 for the first

	// Attributes are message attributes, by name. Dead letters have some, and raw messages of topics.
	Attributes map[string]Attribute

	Group  string // message group of a queue; empty is what the definition says
	Dedupe string // by what a FIFO queue knows the message again; empty leaves that to the queue

	// Origin is where a dead letter comes from; nil for every other message. A destination that can keeps it out of sight, for
	// whoever brings the event back to its target.
	Origin *Origin

	Redrives int       // how often the event came back to this target from a dead-letter queue
	Redriven time.Time // when it did last; the age of the delivery counts from then

	// Answer is for the Sender to fill in: what the destination said. It is shown to people, so it holds no secrets.
	Answer Answer
}

// An Attribute is a message attribute, as queues have them.
type Attribute struct {
	Type  string // String, Number or Binary, perhaps with a dot and a name of the user's own
	Value string // for Binary, any bytes
}

// An Origin is what a dead letter was before it became one: the delivery of an event to a target of a rule, a subscriber, or the target of a schedule.
type Origin struct {
	EventID  string
	Event    []byte // as it was accepted
	Bus      rialto.ARN
	Rule     rialto.ARN // or what stands in its place in a [Definition]
	TargetID string     // within the rule
	Accepted time.Time
	Trace    string
	Hops     Hops
	Redrives int // how often the event came back to the target already

	// Definition is the target's of a schedule, as [Seal] encodes it: many schedules are deleted once they have fired. Nil otherwise.
	Definition []byte
}

// An Answer is what a destination said to an attempt, as far as it is worth showing.
type Answer struct {
	Status int    // HTTP status, or 0
	Head   string // the beginning of the body, at most [MaxAnswer] bytes
}

// MaxAnswer bounds the part of an answer that is kept, in bytes.
const MaxAnswer = 1024

// Hops counts how often an event was forwarded from bus to bus (EventBridge allows one hop of each sort).
type Hops struct {
	SameRegion  uint8
	CrossRegion uint8
}

// A Definition is a target of a rule as it was when an event was accepted, a subscription of a topic, or a target of schedules. Deliveries
// keep theirs: changing or deleting the rule does not touch them. It holds no secrets. As JSON it is part of the log.
type Definition struct {
	Rule        rialto.ARN      `json:"rule"` // or the subscription, or the group of schedules
	RuleName    rialto.RuleName `json:"ruleName"`
	ID          string          `json:"id"` // the target's id within the rule
	ARN         string          `json:"arn"`
	RoleARN     string          `json:"roleArn,omitempty"`
	Input       *string         `json:"input,omitempty"`
	InputPath   *string         `json:"inputPath,omitempty"`
	Transformer *Transformer    `json:"transformer,omitempty"`
	HTTP        *HTTP           `json:"http,omitempty"`
	SQS         *SQS            `json:"sqs,omitempty"`
	Retry       Retry           `json:"retry"`
	DeadLetter  string          `json:"deadLetter,omitempty"` // ARN of a queue, or empty
	Timeout     time.Duration   `json:"timeout,omitempty"`    // of one attempt; 0 is the kind's default

	// What follows is rialto's own; rules ask for it by tags. The zero values are AWS's behaviour, but for the breaker.
	OrderBy     string   `json:"orderBy,omitempty"`     // path to the value by which deliveries are ordered
	Batch       *Batch   `json:"batch,omitempty"`       // nil is one event in a delivery
	Concurrency int      `json:"concurrency,omitempty"` // attempts at once; 0 leaves it to whoever sends
	Rate        float64  `json:"rate,omitempty"`        // attempts per second; 0 is no limit
	Breaker     *Breaker `json:"breaker,omitempty"`     // nil is the server's default
	Format      Format   `json:"format,omitempty"`

	// Parameters holds the parameter blocks that rialto does not interpret, under their AWS names, such as EcsParameters.
	Parameters map[string]json.RawMessage `json:"parameters,omitempty"`

	Subscription *Subscription `json:"subscription,omitempty"` // nil for a target of a rule
	Schedule     *Schedule     `json:"schedule,omitempty"`     // likewise
}

// A Schedule is what a definition has that is no target of a rule, but of schedules of EventBridge Scheduler. Where a rule would be stands
// the group of the schedules: a million of them that lead to one place share a definition. Which schedule it is, and its input, is in the
// event, which package internal/occurrence describes.
type Schedule struct {
	Last bool        `json:"last,omitempty"` // the schedule is deleted once this occurrence has ended: ActionAfterCompletion
	Was  *Definition `json:"was,omitempty"`  // the target of the schedule, if a redrive has led an occurrence elsewhere
}

// A Transformer is an input transformer as PutTargets got it.
type Transformer struct {
	Paths    map[string]string `json:"paths,omitzero"` // nil if none was given, which is not the same as an empty one
	Template string            `json:"template"`
}

// HTTP shapes a request to an API destination or API Gateway. Values that are wholly a "$." path are taken from the event.
type HTTP struct {
	PathParameters []string          `json:"pathParameters,omitempty"` // one for each * in the endpoint, in order
	Headers        map[string]string `json:"headers,omitempty"`
	Query          map[string]string `json:"query,omitempty"`
}

// SQS shapes a message to a queue.
type SQS struct {
	MessageGroupID string `json:"messageGroupId,omitempty"`
}

// A Batch says that several messages may share an attempt, where the kind of destination is a [Batcher].
type Batch struct {
	Size   int           `json:"size"`            // messages at most, at least 2
	Window time.Duration `json:"window"`          // that the first waits for others at most
	Bytes  int           `json:"bytes,omitempty"` // of payloads at most; 0 is the kind's limit
}

// A Breaker says when the circuit of a destination opens: attempts are then not made, but kept, until a probe succeeds.
type Breaker struct {
	Off      bool          `json:"off,omitempty"`
	Failures float64       `json:"failures,omitempty"` // share of the attempts that fail, above 0 and up to 1
	Window   time.Duration `json:"window,omitempty"`   // over which they are counted
	Volume   int           `json:"volume,omitempty"`   // attempts in the window before the share means anything; 0 is the default
}

// A Format is how an event is written for a destination; empty is as the target's input says, which is AWS's way.
type Format string

// The formats of CloudEvents 1.0 over HTTP, and of their messages elsewhere.
const (
	CloudEventsBinary     Format = "cloudevents-binary"     // attributes in headers, the payload as the body
	CloudEventsStructured Format = "cloudevents-structured" // one JSON document
	CloudEventsBatch      Format = "cloudevents-batch"      // a JSON array of documents
)

// Retry bounds the attempts of a delivery. AWS's defaults are 185 attempts and 24 hours.
type Retry struct {
	MaxAttempts int           `json:"maxAttempts"` // attempts after the first
	MaxAge      time.Duration `json:"maxAge"`      // since the event was accepted

	Backoff *Backoff `json:"backoff,omitempty"` // nil leaves the pauses to whoever sends
}

// DefaultRetry is what AWS does for a target without a RetryPolicy (EventBridge user guide, "Retry policy").
var DefaultRetry = Retry{MaxAttempts: 185, MaxAge: 24 * time.Hour}

// Error codes as AWS writes them into the ERROR_CODE attribute of a dead letter (EventBridge user guide, "Dead-letter queues").
const (
	CodeAssumeRole        = "FAILED_TO_ASSUME_ROLE"
	CodeCollision         = "RESOURCE_MODIFICATION_COLLISION"
	CodeConnectionFailure = "CONNECTION_FAILURE"
	CodeErrorFromTarget   = "ERROR_FROM_TARGET"
	CodeInternal          = "INTERNAL_ERROR"
	CodeInvalidJSON       = "INVALID_JSON"
	CodeInvalidParameter  = "INVALID_PARAMETER"
	CodeNoPermissions     = "NO_PERMISSIONS"
	CodeNoResource        = "NO_RESOURCE"
	CodeRejectedInBatch   = "EVENTS_IN_BATCH_REQUEST_REJECTED"
	CodeResourceLimit     = "RESOURCE_LIMIT_EXCEEDED"
	CodeSDKClient         = "SDK_CLIENT_ERROR"
	CodeSecondBusHop      = "THIRD_ACCOUNT_HOP_DETECTED"
	CodeSecondRegionHop   = "THIRD_REGION_HOP_DETECTED"
	CodeThrottling        = "THROTTLING"
	CodeTimeout           = "TIMEOUT"
	CodeTransientAssume   = "TRANSIENT_ASSUME_ROLE"
	CodeUnknown           = "UNKNOWN"
)

// An Error is how an attempt failed.
type Error struct {
	Code       string        // for the ERROR_CODE of a dead letter, one of the Code constants
	Message    string        // for the ERROR_MESSAGE of a dead letter; says what to do where it can; no secrets
	Permanent  bool          // another attempt cannot help
	RetryAfter time.Duration // the destination asked to be left alone for so long; 0 if it did not
	Service    *ServiceError // what the service itself said, for dead letters that want its words; nil if it did not say any
	Cause      error         // for the log alone; may be nil
}

// A ServiceError is an error as a service of AWS calls it.
type ServiceError struct {
	Code    string // such as "AWS.SimpleQueueService.NonExistentQueue"
	Message string
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Cause }

// Permanent reports whether err says that another attempt cannot help.
func Permanent(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Permanent
}
