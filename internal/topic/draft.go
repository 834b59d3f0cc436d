package topic

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/target"
)

// Limits of messages (SNS API, Publish and PublishBatch).
const (
	maxMessage       = 262_144 // bytes of a message, and of all messages of a batch, with attributes
	maxSubject       = 100     // characters
	maxAttributeName = 256     // bytes
	maxGroup         = 128     // characters of a group's and of a deduplication id
)

// A Draft is a message that somebody wants to publish.
type Draft struct {
	Subject    *string // nil is none
	Message    string
	Structured bool // Message is a JSON object with a text for each protocol: MessageStructure
	Attributes map[string]notification.Attribute
	Group      *string // MessageGroupId; nil is none
	Dedupe     *string // MessageDeduplicationId; nil is none
	Trace      string  // X-Ray trace header, or empty

	Hops target.Hops // the buses that an event has crossed whose rule publishes it
}

// Size is what the draft counts for, in bytes.
func (d *Draft) Size() int {
	n := len(d.Message)
	for name, a := range d.Attributes {
		n += len(name) + len(a.Type) + len(a.String) + len(a.Binary)
	}
	return n
}

// notification is what becomes of the draft on a topic, but for its id and its time, or why it cannot be published.
func (d *Draft) notification(at Address, s *settings) (*notification.Notification, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	n := &notification.Notification{Kind: notification.Published, Topic: at.ARN(), Message: d.Message, Attributes: d.Attributes}
	if d.Subject != nil {
		n.Subject = *d.Subject
	}
	if d.Structured {
		var err error
		if n.Message, n.ByProtocol, err = structured(d.Message); err != nil {
			return nil, err
		}
	}
	return n, d.place(at, s, n)
}

// place says where in the order of the topic the message belongs.
func (d *Draft) place(at Address, s *settings, n *notification.Notification) error {
	if err := checkPlacement("MessageGroupId", d.Group); err != nil {
		return err
	}
	if err := checkPlacement("MessageDeduplicationId", d.Dedupe); err != nil {
		return err
	}
	if d.Group != nil {
		n.Group = *d.Group
	}
	switch {
	case !at.FIFO() && d.Dedupe != nil:
		return invalid("MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type")
	case !at.FIFO():
	case d.Group == nil:
		return invalid("The MessageGroupId parameter is required for FIFO topics")
	case d.Dedupe != nil:
		n.Dedupe = *d.Dedupe
	case s.contentDedupe:
		sum := sha256.Sum256([]byte(d.Message))
		n.Dedupe = hex.EncodeToString(sum[:])
	default:
		return invalid("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	}
	return nil
}

// checkPlacement checks an id of a group or of a message, which is letters, digits and punctuation.
func checkPlacement(name string, id *string) error {
	if id == nil {
		return nil
	}
	if *id == "" || len(*id) > maxGroup || strings.ContainsFunc(*id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return invalid("%s Reason: %s can only include alphanumeric and punctuation characters. 1 to %d in length", name, name, maxGroup)
	}
	return nil
}

// check finds what is wrong with the message itself.
func (d *Draft) check() error {
	switch {
	case d.Subject != nil && !validSubject(*d.Subject):
		return invalid("Subject")
	case d.Message == "":
		return invalid("Empty message")
	case d.Size() > maxMessage:
		return invalid("Message too long")
	}
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		if err := checkAttribute(name, d.Attributes[name]); err != nil {
			return err
		}
	}
	return nil
}

// validSubject reports whether a text may be a subject: printable ASCII in one line.
func validSubject(s string) bool {
	return s != "" && len(s) <= maxSubject && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// structured reads a message that has a text for each protocol. Values that are no strings are passed over (SNS API, Publish).
func structured(text string) (message string, byProtocol map[target.Protocol]string, err error) {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &members) != nil || members == nil {
		return "", nil, invalid("Message Structure - JSON message body failed to parse")
	}
	found := false
	for name, raw := range members {
		var value string
		if raw[0] != '"' || json.Unmarshal(raw, &value) != nil {
			continue
		}
		if name == "default" {
			message, found = value, true
			continue
		}
		if byProtocol == nil {
			byProtocol = make(map[target.Protocol]string)
		}
		byProtocol[target.Protocol(name)] = value
	}
	if !found {
		return "", nil, invalid("Message Structure - No default entry in JSON message body")
	}
	return message, byProtocol, nil
}

// checkAttribute refuses message attributes, in AWS's words (recorded on AWS).
func checkAttribute(name string, a notification.Attribute) error {
	if err := checkAttributeName(name); err != nil {
		return err
	}
	kind, custom, dotted := strings.Cut(a.Type, ".")
	if kind != "String" && kind != "Number" && kind != "Binary" || dotted && custom == "" {
		return badValue("The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
	}
	if a.String == "" && len(a.Binary) == 0 {
		return badValue("The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.", name, a.Type)
	}
	field := "String"
	if a.IsBinary() {
		field = "Binary"
	}
	if a.IsBinary() != (len(a.Binary) > 0) {
		return badValue("The message attribute '%s' with type '%s' must use field '%s'.", name, a.Type, field)
	}
	if kind == "Number" && !isNumber(a.String) {
		return badValue("Could not cast message attribute '%s' value to number.", name)
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

func checkAttributeName(name string) error {
	switch {
	case name == "" || len(name) > maxAttributeName:
		return badValue("Length of message attribute name must be less than 256 bytes.")
	case name[0] == '.':
		return badValue("Invalid message attribute name starting with character '.' was found.")
	case name[len(name)-1] == '.':
		return badValue("Invalid message attribute name ending with character '.' was found.")
	}
	for i, r := range name {
		switch {
		case r >= utf8.RuneSelf || !strings.ContainsRune(nameLetter+".", r):
			return badValue("Invalid non-alphanumeric character '%s' was found in the message attribute name. "+
				"Can only include alphanumeric characters, hyphens, underscores, or dots.", fmt.Sprintf("#x%X", r))
		case r == '.' && name[i-1] == '.':
			return badValue("Message attribute name can not have successive '.' character.")
		}
	}
	return nil
}
