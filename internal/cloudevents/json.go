package cloudevents

import (
	"encoding/base64"
	"encoding/json"
	"mime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/pattern"
)

// Media types of the JSON format (CloudEvents JSON event format, sections 3 and 4).
const (
	StructuredType = "application/cloudevents+json; charset=utf-8"
	BatchType      = "application/cloudevents-batch+json; charset=utf-8"
)

// AppendStructured appends the event as one JSON document. Data that are JSON are in it byte for byte.
func (e *Event) AppendStructured(b []byte) []byte {
	b = append(b, '{')
	for name, value := range e.Attributes() {
		b = append(appendString(append(appendString(b, name), ':'), value), ',')
	}
	if e.DataContentType != "" {
		b = append(appendString(append(b, `"datacontenttype":`...), e.DataContentType), ',')
	}
	switch {
	case e.Data == nil:
		b = b[:len(b)-1]
	case isJSON(e.DataContentType) && json.Valid(e.Data):
		b = append(append(b, `"data":`...), e.Data...)
	case !isJSON(e.DataContentType) && utf8.Valid(e.Data):
		b = appendString(append(b, `"data":`...), string(e.Data))
	default:
		b = append(b, `"data_base64":"`...)
		b = append(base64.StdEncoding.AppendEncode(b, e.Data), '"')
	}
	return append(b, '}')
}

// AppendBatch appends events as a JSON array of documents.
func AppendBatch(b []byte, events []*Event) []byte {
	b = append(b, '[')
	for i, e := range events {
		if i > 0 {
			b = append(b, ',')
		}
		b = e.AppendStructured(b)
	}
	return append(b, ']')
}

// Parse reads what an HTTP request brings, in the mode that its content type tells (CloudEvents HTTP binding, section 3): one event
// that is a JSON document, a batch of them, or one whose attributes are headers. The header is of the form of an http.Header.
// An event that is none does not harm the others of its batch: it is nil, and its error says why.
func Parse(header map[string][]string, body []byte) (events []*Event, errs []error, err error) {
	media, parameters, mediaErr := mime.ParseMediaType(first(header, "Content-Type"))
	if charset := parameters["charset"]; mediaErr == nil && strings.HasPrefix(media, "application/cloudevents") && charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, nil, rialto.Errorf(rialto.Invalid, "CloudEvents are read in UTF-8 and not in %.40q.", charset)
	}
	switch {
	case mediaErr == nil && media == "application/cloudevents+json":
		e, err := ParseStructured(body)
		return []*Event{e}, []error{err}, nil
	case mediaErr == nil && media == "application/cloudevents-batch+json":
		return parseBatch(body)
	case mediaErr == nil && strings.HasPrefix(media, "application/cloudevents"):
		return nil, nil, rialto.Errorf(rialto.Invalid, "The format %s of CloudEvents is not read here: use application/cloudevents+json, "+
			"application/cloudevents-batch+json, or headers that begin with ce-.", media)
	}
	e, err := parseBinary(header, body)
	return []*Event{e}, []error{err}, nil
}

// IsBatch reports whether a request with such a header brings a batch.
func IsBatch(header map[string][]string) bool {
	media, _, err := mime.ParseMediaType(first(header, "Content-Type"))
	return err == nil && media == "application/cloudevents-batch+json"
}

// ParseStructured reads an event that is one JSON document.
func ParseStructured(document []byte) (*Event, error) {
	document, err := pattern.AppendCompact(nil, document)
	if err != nil {
		return nil, rialto.Errorf(rialto.Invalid, "The CloudEvent cannot be read: %v.", err)
	}
	if document[0] != '{' {
		return nil, rialto.Errorf(rialto.Invalid, "The CloudEvent is not a JSON object.")
	}
	return fromDocument(document)
}

// maxBatch is how many events one request may bring. A request of AWS's brings ten; this is ten of those.
const maxBatch = 100

func parseBatch(body []byte) (events []*Event, errs []error, err error) {
	body, err = pattern.AppendCompact(nil, body)
	var documents []json.RawMessage
	if err != nil || body[0] != '[' || json.Unmarshal(body, &documents) != nil {
		return nil, nil, rialto.Errorf(rialto.Invalid, "A batch of CloudEvents is a JSON array, which the body is not.")
	}
	if len(documents) > maxBatch {
		return nil, nil, rialto.Errorf(rialto.Invalid, "The batch has %d events, more than %d.", len(documents), maxBatch)
	}
	for _, document := range documents {
		e, err := ParseStructured(document)
		events, errs = append(events, e), append(errs, err)
	}
	return events, errs, nil
}

// fromDocument reads a document that is a JSON object without blanks.
func fromDocument(document []byte) (*Event, error) {
	e := &Event{Extensions: map[string]string{}}
	var version string
	var data, encoded []byte
	n := 0
	for quoted, value := range jsonpath.Members(document) {
		if n++; n > maxAttributes+2 {
			return nil, rialto.Errorf(rialto.Invalid, "The CloudEvent has more than %d attributes.", maxAttributes)
		}
		name := string(quoted) // an escape in it makes a name that Check refuses
		switch {
		case name == "data":
			data = value
			continue
		case name == "data_base64":
			encoded = value
			continue
		case string(value) == "null":
			continue // a JSON null is an attribute that is not there (CloudEvents JSON format, section 2.2)
		}
		text, ok := attributeText(value)
		if !ok {
			return nil, rialto.Errorf(rialto.Invalid, "The attribute %.100q of the CloudEvent is neither a string nor a truth nor a whole number of 32 bits.", name)
		}
		if name == "specversion" {
			version = text
			continue
		}
		e.set(name, text)
	}
	if err := checkVersion(version); err != nil {
		return nil, err
	}
	if data != nil && encoded != nil {
		return nil, rialto.Errorf(rialto.Invalid, "The CloudEvent has both data and data_base64.")
	}
	var err error
	switch {
	case encoded != nil:
		if len(encoded) < 2 || encoded[0] != '"' {
			return nil, rialto.Errorf(rialto.Invalid, "The data_base64 of the CloudEvent is not a string.")
		}
		if e.Data, err = base64.StdEncoding.DecodeString(string(jsonpath.AppendText(nil, encoded))); err != nil {
			return nil, rialto.Errorf(rialto.Invalid, "The data_base64 of the CloudEvent is not base64.")
		}
	case data != nil && !isJSON(e.DataContentType) && data[0] == '"':
		e.Data = jsonpath.AppendText([]byte{}, data)
	case data != nil && !isJSON(e.DataContentType):
		return nil, rialto.Errorf(rialto.Invalid, "The data of the CloudEvent are JSON, but their type is %.100q.", e.DataContentType)
	case data != nil:
		e.Data = data
	}
	return e, e.Check()
}

// attributeText is the text form of an attribute's value in JSON: a string, a truth or an integer (CloudEvents JSON format, section 2.2).
func attributeText(value []byte) (string, bool) {
	switch text := string(value); {
	case text[0] == '"':
		return string(jsonpath.AppendText(nil, value)), true
	case text == "true" || text == "false":
		return text, true
	default:
		_, err := strconv.ParseInt(text, 10, 32)
		return text, err == nil
	}
}

func checkVersion(version string) error {
	switch version {
	case SpecVersion:
		return nil
	case "":
		return rialto.Errorf(rialto.Invalid, "This is not a CloudEvent: it has no specversion. Send a document of the type "+
			"application/cloudevents+json, or headers that begin with ce-.")
	}
	return rialto.Errorf(rialto.Invalid, "CloudEvents of the version %.20q are not read here, only %s.", version, SpecVersion)
}

// set gives the event an attribute by its name.
func (e *Event) set(name, value string) {
	switch name {
	case "id":
		e.ID = value
	case "source":
		e.Source = value
	case "type":
		e.Type = value
	case "subject":
		e.Subject = value
	case "time":
		e.Time = value
	case "datacontenttype":
		e.DataContentType = value
	case "dataschema":
		e.DataSchema = value
	default:
		e.Extensions[name] = value
	}
}
