package queue

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/target"
)

// Limits of messages (SQS developer guide, "Message quotas" and "Message attributes").
const (
	maxAttributes    = 10  // user attributes of a message
	maxAttributeName = 256 // bytes
	maxAttributeType = 256 // bytes
	maxGroup         = 128 // characters of a message group id, or of another id that callers choose
)

// A Draft is a message that somebody wants to send.
type Draft struct {
	Body       string
	Attributes map[string]Attribute
	Group      string // MessageGroupId, or empty
	Dedupe     string // MessageDeduplicationId, or empty
	Trace      string // X-Ray trace header, or empty
	Sender     string // who sends, as SenderId shows it
	Delay      *int   // seconds until it can be received; nil is the queue's delay

	// Origin is where a dead letter of an event comes from. Nobody who receives the message sees it, and it counts nowhere.
	Origin *target.Origin
}

// An Attribute is a user attribute of a message.
type Attribute struct {
	Type  string // String, Number or Binary, perhaps with a dot and a name of the user's own
	Value string // for Binary, any bytes
}

// Binary reports whether the value is bytes and not text.
func (a Attribute) Binary() bool { return a.kind() == "Binary" }

// kind is the type without the user's own part.
func (a Attribute) kind() string {
	kind, _, _ := strings.Cut(a.Type, ".")
	return kind
}

// A Message is a message that was received.
type Message struct {
	Draft
	ID            string // a UUID, the same for as long as the message lives
	Handle        string // receipt handle of this receive
	Receives      int
	Sent          time.Time
	FirstReceived time.Time
	Source        string // ARN of the queue where it was received too often, or empty
	Sequence      string // its number in a FIFO queue, or empty
}

// Size is what AWS counts of a message: its body, and the names, types and values of its user attributes.
func (d *Draft) Size() int {
	n := len(d.Body)
	for name, a := range d.Attributes {
		n += len(name) + len(a.Type) + len(a.Value)
	}
	return n
}

// letterSlack is how much a dead letter may have beyond what any other message may: its event was accepted at its full size, and
// has its envelope and the reasons beside it. A queue that was given a smaller limit keeps to that.
const letterSlack = 256 << 10

// check refuses what a queue does not take, in AWS's words.
func (d *Draft) check(maxSize int, fifo bool) error {
	if d.Body == "" {
		return rialto.WithCode(rialto.Invalid, missingParameter, "The request must contain the parameter MessageBody.")
	}
	if !validText(d.Body) {
		return errCharacters
	}
	if err := d.checkKind(fifo); err != nil {
		return err
	}
	if d.Delay != nil && (*d.Delay < 0 || *d.Delay > maxDelay) {
		return errParameter(*d.Delay, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
	}
	if d.Group != "" && !validGroup(d.Group) {
		return errID(d.Group, "MessageGroupId")
	}
	if d.Dedupe != "" && !validGroup(d.Dedupe) {
		return errID(d.Dedupe, "MessageDeduplicationId")
	}
	if err := d.checkAttributes(); err != nil {
		return err
	}
	if d.Origin != nil && maxSize == MaxMessageSize {
		maxSize += letterSlack
	}
	if d.Size() > maxSize {
		return rialto.Errorf(rialto.Invalid,
			"One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", maxSize)
	}
	return nil
}

// checkKind refuses what only queues of the other kind take. A FIFO queue takes the delay 0, which says nothing there.
func (d *Draft) checkKind(fifo bool) error {
	switch {
	case fifo && d.Delay != nil && *d.Delay != 0:
		return errParameter(*d.Delay, "DelaySeconds", wrongKind)
	case !fifo && d.Dedupe != "":
		return errParameter(d.Dedupe, "MessageDeduplicationId", wrongKind)
	}
	return nil
}

// checkOrder refuses a message for a FIFO queue that has no place in its order, or that cannot be told from others.
func (d *Draft) checkOrder(of *definition) error {
	switch {
	case d.Group == "":
		return errNoGroup
	case d.Dedupe == "" && !of.byContent:
		return errNoDedupe
	}
	return nil
}

func (d *Draft) checkAttributes() error {
	if len(d.Attributes) > maxAttributes {
		return rialto.Errorf(rialto.Invalid,
			"Number of message attributes [%d] exceeds the allowed maximum [%d].", len(d.Attributes), maxAttributes)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		if err := checkAttributeName(name); err != nil {
			return err
		}
		if err := d.Attributes[name].check(name); err != nil {
			return err
		}
	}
	return nil
}

func checkAttributeName(name string) error {
	lower := strings.ToLower(name)
	switch {
	case name == "" || strings.Trim(name, idCharacters+".") != "":
		return rialto.Errorf(rialto.Invalid,
			"Message (user) attribute name '%s' is invalid: it can contain letters, digits, underscores, hyphens and periods.", name)
	case len(name) > maxAttributeName:
		return rialto.Errorf(rialto.Invalid, "Message (user) attribute names must be shorter than %d Bytes.", maxAttributeName)
	case strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
		return rialto.Errorf(rialto.Invalid,
			"Message (user) attribute name '%s' is invalid: names that begin with 'AWS.' or 'Amazon.' are reserved.", name)
	case strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, ".."):
		return rialto.Errorf(rialto.Invalid,
			"Message (user) attribute name '%s' is invalid: it cannot begin or end with a period or have two in a row.", name)
	}
	return nil
}

func (a Attribute) check(name string) error {
	kind := a.kind()
	switch {
	case a.Type == "":
		return rialto.Errorf(rialto.Invalid, "Message (user) attribute '%s' must contain a non-empty attribute type.", name)
	case kind != "String" && kind != "Number" && kind != "Binary":
		return rialto.Errorf(rialto.Invalid, "The type of message (user) attribute '%s' is invalid. "+
			"You must use only the following supported type prefixes: Binary, Number, String.", name)
	case len(a.Type) > maxAttributeType:
		return rialto.Errorf(rialto.Invalid, "Message (user) attribute types must be shorter than %d Bytes.", maxAttributeType)
	case a.Value == "":
		return rialto.Errorf(rialto.Invalid, "Message (user) attribute '%s' must contain a non-empty value of type '%s'.", name, kind)
	case kind == "Binary":
		return nil
	case !validText(a.Value):
		return rialto.Errorf(rialto.Invalid, badCharacters) // on AWS, too, another code than for a body
	}
	if kind == "Number" && !isNumber(a.Value) {
		return rialto.Errorf(rialto.Invalid, "Can't cast the value of message (user) attribute '%s' to a number.", name)
	}
	return nil
}

// isNumber reports whether a value is a decimal number. strconv knows further ones, such as NaN and 0x1p2.
func isNumber(value string) bool {
	if strings.Trim(value, "0123456789+-.eE") != "" {
		return false
	}
	_, err := strconv.ParseFloat(value, 64)
	return err == nil
}

var errCharacters = rialto.WithCode(rialto.Invalid, "InvalidMessageContents", badCharacters)

const badCharacters = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"

// validText reports whether a text is UTF-8 and has only characters that XML 1.0 can hold.
func validText(s string) bool {
	plain := 0
	for plain < len(s) && ' ' <= s[plain] && s[plain] < utf8.RuneSelf { // mostly to the end
		plain++
	}
	s = s[plain:]
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return textRune(r) != r }) < 0
}

// textRune is a character as a text may have it: others are replaced.
func textRune(r rune) rune {
	if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
		return utf8.RuneError
	}
	return r
}

// validGroup reports whether all characters are printable ASCII other than the space.
func validGroup(s string) bool {
	return len(s) <= maxGroup && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// Versions of payloads: the second one has an origin at its end, the third one a deduplication id and perhaps an origin.
const (
	plainPayload  = 1
	letterPayload = 2
	fifoPayload   = 3
)

// encode makes the payload of a message: what the log keeps of it. docs/formats.md has the layout.
func (d *Draft) encode(id uuid.UUID) []byte {
	b := make([]byte, 0, 64+d.Size()+8*len(d.Attributes)+originSize(d.Origin))
	version := byte(plainPayload)
	switch {
	case d.Dedupe != "":
		version = fifoPayload
	case d.Origin != nil:
		version = letterPayload
	}
	b = append(b, version)
	b = append(b, id[:]...)
	b = record.AppendString(b, d.Body)
	b = record.AppendString(b, d.Sender)
	b = record.AppendString(b, d.Group)
	b = record.AppendString(b, d.Trace)
	if version == fifoPayload {
		b = record.AppendString(b, d.Dedupe)
		b = append(b, yes(d.Origin != nil))
	}
	b = record.AppendUint(b, uint64(len(d.Attributes)))
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		b = record.AppendString(b, name)
		b = record.AppendString(b, d.Attributes[name].Type)
		b = record.AppendString(b, d.Attributes[name].Value)
	}
	if d.Origin != nil {
		b = appendOrigin(b, d.Origin, d.Body)
	}
	return b
}

// decode reads what encode made.
func decode(payload []byte) (Message, error) {
	r := record.NewReader(payload)
	version := r.Byte()
	if version < plainPayload || version > fifoPayload {
		return Message{}, rialto.Errorf(rialto.Internal, "The message has version %d, and this program reads %d.", version, fifoPayload)
	}
	var id uuid.UUID
	for i := range id {
		id[i] = r.Byte()
	}
	m := Message{ID: id.String()}
	m.Body, m.Sender, m.Group, m.Trace = r.String(), r.String(), r.String(), r.String()
	letter := version == letterPayload
	if version == fifoPayload {
		m.Dedupe, letter = r.String(), r.Byte() == 1
	}
	if n := r.Count(); n > 0 {
		m.Attributes = make(map[string]Attribute, n)
		for range n {
			name := r.String()
			m.Attributes[name] = Attribute{Type: r.String(), Value: r.String()}
		}
	}
	if letter {
		m.Origin = readOrigin(r, m.Body)
	}
	return m, r.Err()
}
