package cloudevents

import (
	"encoding/json"
	"iter"
	"maps"
	"mime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/internal/tracecontext"
	"github.com/rialto-events/rialto/pattern"
	"github.com/rialto-events/rialto/target"
)

// SpecVersion is the version of CloudEvents that is spoken here.
const SpecVersion = "1.0"

// An Event is one event in the terms of CloudEvents. Attributes that are empty are not there.
type Event struct {
	ID, Source, Type string // are always there
	Subject          string
	Time             string // RFC 3339
	DataContentType  string // empty is JSON
	DataSchema       string
	Extensions       map[string]string // by name; numbers and truths as CloudEvents writes them
	Data             []byte            // nil if there is none
}

// Extensions that hold what CloudEvents has no attribute for.
const (
	extVersion    = "awsversion"
	extAccount    = "awsaccount"
	extRegion     = "awsregion"
	extReplayName = "awsreplayname"
	extResources  = "awsresources"
	extID         = "awsid"         // if the id is none for CloudEvents
	extSource     = "awssource"     // if the source is no URI reference
	extDetailType = "awsdetailtype" // if the detail type is no type
	extTime       = "awstime"       // if the time is not RFC 3339

	// of the CloudEvents extension "Distributed Tracing"
	extTraceParent = "traceparent"
	extTraceState  = "tracestate"
)

// ours are the extensions for which an event of EventBridge has a place.
var ours = []string{
	extVersion, extAccount, extRegion, extReplayName, extResources, extID, extSource, extDetailType, extTime, extTraceParent, extTraceState,
}

const (
	jsonType = "application/json"
	textType = "text/plain; charset=utf-8"
)

// ForMessage is the event that a message to a target brings: its data are the detail, or what the target's input made of the event.
func ForMessage(m *target.Message) (*Event, error) {
	envelope, err := Read(m.Event)
	if err != nil {
		return nil, err
	}
	e, err := Of(envelope)
	if err != nil {
		return nil, err
	}
	if d := m.Definition; d.Input != nil && *d.Input != "" || d.InputPath != nil || d.Transformer != nil {
		e.SetData(m.Payload)
	}
	parent, state := tracecontext.W3C(m.Trace)
	if parent != "" {
		e.Extensions[extTraceParent] = parent
	}
	if state != "" {
		e.Extensions[extTraceState] = state
	}
	return e, nil
}

// SetData replaces the data by a payload: JSON if it is some, else text.
func (e *Event) SetData(payload []byte) {
	e.Data, e.DataContentType = payload, textType
	if json.Valid(payload) {
		e.DataContentType = jsonType
	}
}

// Attributes yields the attributes that are there, with the names and in the text form of CloudEvents, extensions last. The type of the
// data is none of them: each protocol has its own place for it.
func (e *Event) Attributes() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, a := range []struct{ name, value string }{
			{"specversion", SpecVersion}, {"id", e.ID}, {"source", e.Source}, {"type", e.Type},
			{"subject", e.Subject}, {"time", e.Time}, {"dataschema", e.DataSchema},
		} {
			if a.value != "" && !yield(a.name, a.value) {
				return
			}
		}
		for _, name := range slices.Sorted(maps.Keys(e.Extensions)) {
			if !yield(name, e.Extensions[name]) {
				return
			}
		}
	}
}

// An Envelope is an event of EventBridge, taken apart.
type Envelope struct {
	Version, ID, DetailType, Source, Account, Time, Region string
	ReplayName                                             string // or empty
	Resources                                              []string
	Detail                                                 []byte // JSON
}

// Read takes an event apart. The detail is a part of the event's bytes, which must be those of an event that was accepted.
func Read(event []byte) (Envelope, error) {
	var e Envelope
	for name, value := range jsonpath.Members(event) {
		var into *string
		switch string(jsonpath.AppendText(nil, slices.Concat([]byte{'"'}, name, []byte{'"'}))) {
		case "version":
			into = &e.Version
		case "id":
			into = &e.ID
		case "detail-type":
			into = &e.DetailType
		case "source":
			into = &e.Source
		case "account":
			into = &e.Account
		case "time":
			into = &e.Time
		case "region":
			into = &e.Region
		case "replay-name":
			into = &e.ReplayName
		case "resources":
			if err := json.Unmarshal(value, &e.Resources); err != nil {
				return Envelope{}, rialto.Errorf(rialto.Invalid, "The resources of the event are not a list of strings.")
			}
			continue
		case "detail":
			e.Detail = value
			continue
		default:
			return Envelope{}, rialto.Errorf(rialto.Invalid, "The event has a member %q, for which CloudEvents has no place.", name)
		}
		if len(value) < 2 || value[0] != '"' {
			return Envelope{}, rialto.Errorf(rialto.Invalid, "The member %q of the event is not a string.", name)
		}
		*into = string(jsonpath.AppendText(nil, value))
	}
	return e, nil
}

// Append appends the event as EventBridge writes it: compact, with its members in their order.
func (e Envelope) Append(b []byte) []byte {
	b = append(b, '{')
	for _, m := range []struct{ name, value string }{
		{"version", e.Version}, {"id", e.ID}, {"detail-type", e.DetailType}, {"source", e.Source},
		{"account", e.Account}, {"time", e.Time}, {"region", e.Region},
	} {
		b = append(appendString(append(appendString(b, m.name), ':'), m.value), ',')
	}
	if e.ReplayName != "" {
		b = append(appendString(append(b, `"replay-name":`...), e.ReplayName), ',')
	}
	b = append(b, `"resources":`...)
	b = appendStrings(b, e.Resources)
	b = append(b, `,"detail":`...)
	return append(append(b, e.Detail...), '}')
}

// Of is an event of EventBridge as one of CloudEvents. It fails if id, source or type is empty, which none of CloudEvents may be.
func Of(e Envelope) (*Event, error) {
	if e.ID == "" || e.Source == "" || e.DetailType == "" {
		return nil, rialto.Errorf(rialto.Invalid, "An event without an id, a source or a detail type cannot be a CloudEvent.")
	}
	out := &Event{
		ID: e.ID, Source: e.Source, Type: e.DetailType, Time: e.Time, DataContentType: jsonType, Data: e.Detail,
		Extensions: map[string]string{extResources: string(appendStrings(nil, e.Resources))},
	}
	for name, value := range map[string]string{
		extVersion: e.Version, extAccount: e.Account, extRegion: e.Region, extReplayName: e.ReplayName,
	} {
		if value != "" {
			out.Extensions[name] = literal(value)
		}
	}
	for _, a := range []struct {
		attribute *string
		valid     func(string) bool
		original  string
	}{{&out.ID, isText, extID}, {&out.Source, isURIReference, extSource}, {&out.Type, isText, extDetailType}} {
		if !a.valid(*a.attribute) {
			out.Extensions[a.original] = literal(*a.attribute)
			*a.attribute = percentEncode(*a.attribute)
		}
	}
	if e.Time != "" && !isTime(e.Time) {
		out.Extensions[extTime] = literal(e.Time)
		out.Time = ""
	}
	if len(e.Resources) > 0 && isText(e.Resources[0]) {
		out.Subject = e.Resources[0]
	}
	return out, nil
}

// Envelope is the event as EventBridge has it. What is not known of an event from elsewhere is empty; no data are an empty
// object, and the subject is the resource if there are none.
func (e *Event) Envelope() (Envelope, error) {
	out := Envelope{
		Version: e.original(extVersion, "0"), ID: e.original(extID, e.ID), Source: e.original(extSource, e.Source),
		DetailType: e.original(extDetailType, e.Type), Time: e.original(extTime, e.Time), Account: e.original(extAccount, ""),
		Region: e.original(extRegion, ""), ReplayName: e.original(extReplayName, ""), Detail: e.Data,
	}
	list, listed := e.Extensions[extResources]
	switch {
	case listed:
		if len(list) > maxValue || json.Unmarshal([]byte(list), &out.Resources) != nil {
			return Envelope{}, rialto.Errorf(rialto.Invalid, "The attribute %s is not a JSON array of strings.", extResources)
		}
	case e.Subject != "":
		out.Resources = []string{e.Subject}
	}
	switch {
	case e.Data == nil:
		out.Detail = []byte("{}")
	case !isJSON(e.DataContentType):
		return Envelope{}, rialto.Errorf(rialto.Invalid, "The data are of the type %s and not JSON, which the detail of an event has to be.", e.DataContentType)
	default:
		compact, err := pattern.AppendCompact(nil, e.Data)
		if err != nil {
			return Envelope{}, rialto.Errorf(rialto.Invalid, "The data are %v.", err)
		}
		out.Detail = compact
	}
	return out, nil
}

// Trace is the X-Ray trace header that says what traceparent and tracestate do, or empty.
func (e *Event) Trace() string {
	return tracecontext.FromW3C(e.Extensions[extTraceParent], e.Extensions[extTraceState])
}

// original is the value that an extension keeps, or another if there is no such extension.
func (e *Event) original(extension, otherwise string) string {
	value, ok := e.Extensions[extension]
	if !ok {
		return otherwise
	}
	return unliteral(value)
}

// Lost names the attributes for which an event of EventBridge has no place.
func (e *Event) Lost() []string {
	var lost []string
	if media, parameters, err := mime.ParseMediaType(e.DataContentType); e.DataContentType != "" && (err != nil || media != jsonType ||
		len(parameters) > 0 && !strings.EqualFold(parameters["charset"], "utf-8")) {
		lost = append(lost, "datacontenttype")
	}
	if e.DataSchema != "" {
		lost = append(lost, "dataschema")
	}
	if list, listed := e.Extensions[extResources]; listed && e.Subject != "" {
		var resources []string
		if json.Unmarshal([]byte(list), &resources) != nil || len(resources) == 0 || resources[0] != e.Subject {
			lost = append(lost, "subject")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Extensions)) {
		if !slices.Contains(ours, name) {
			lost = append(lost, name)
		}
	}
	return lost
}

// Check reports what makes an event none that CloudEvents knows.
func (e *Event) Check() error {
	for _, a := range []struct{ name, value string }{{"id", e.ID}, {"source", e.Source}, {"type", e.Type}} {
		if a.value == "" {
			return rialto.Errorf(rialto.Invalid, "The CloudEvent has no %s.", a.name)
		}
	}
	if !isURIReference(e.Source) {
		return rialto.Errorf(rialto.Invalid, "The source %.100q of the CloudEvent is not a URI reference.", e.Source)
	}
	if e.Time != "" && !isTime(e.Time) {
		return rialto.Errorf(rialto.Invalid, "The time %.100q of the CloudEvent is not like 2026-03-01T10:00:05Z (RFC 3339).", e.Time)
	}
	if _, _, err := mime.ParseMediaType(e.DataContentType); err != nil && e.DataContentType != "" || strings.IndexFunc(e.DataContentType, notASCII) >= 0 {
		return rialto.Errorf(rialto.Invalid, "The datacontenttype %.100q of the CloudEvent is not a media type.", e.DataContentType)
	}
	n := 0
	for name, value := range e.Attributes() {
		if n++; n > maxAttributes {
			return rialto.Errorf(rialto.Invalid, "The CloudEvent has more than %d attributes.", maxAttributes)
		}
		if !isName(name) {
			return rialto.Errorf(rialto.Invalid, "The CloudEvent has an attribute %.100q: names have up to %d lower-case letters and digits.", name, maxName)
		}
		if len(value) > maxValue {
			return rialto.Errorf(rialto.Invalid, "The attribute %s of the CloudEvent has more than %d bytes.", name, maxValue)
		}
		if value != "" && !isText(value) {
			return rialto.Errorf(rialto.Invalid, "The attribute %s of the CloudEvent holds characters that CloudEvents does not allow.", name)
		}
	}
	return nil
}

// Limits of an event that is read. CloudEvents has none, but asks for events below 64 KiB (section "Size Limits"), and for names of
// attributes below 21 characters.
const (
	maxAttributes = 100
	maxName       = 64
	maxValue      = 64 << 10
)

// isTime reports whether s is a time as CloudEvents writes it.
func isTime(s string) bool {
	_, err := time.Parse(time.RFC3339Nano, s)
	return err == nil && isText(s)
}

// isJSON reports whether data of a type are JSON (CloudEvents JSON format, section 3.1).
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json"))
}

// isText reports whether CloudEvents allows s as a string that is not empty (section "Type System").
func isText(s string) bool {
	return s != "" && utf8.ValidString(s) && strings.IndexFunc(s, forbidden) < 0
}

func notASCII(r rune) bool { return r < 0x20 || r >= 0x7f }

// forbidden are control characters and code points that are none.
func forbidden(r rune) bool {
	return r < 0x20 || 0x7f <= r && r <= 0x9f || r&0xfffe == 0xfffe || 0xfdd0 <= r && r <= 0xfdef
}
