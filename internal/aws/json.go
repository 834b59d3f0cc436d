package aws

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rialto-events/rialto"
)

// jsonDecoder reads a request of the JSON protocols. Member names are case-sensitive, unknown members and members that are null
// are passed over, and of a member that comes twice the last counts. jsontext refuses nesting deeper than 10,000 and invalid UTF-8.
// What it hands out are copies, so that it may be used again; see free.
type jsonDecoder struct {
	d      jsontext.Decoder
	body   bytes.Buffer
	shapes []*Shape // the structures that are open, innermost last
	items  int      // of lists and maps, so far
	sdk    bool     // names and values are as SDKs take them: see newSDKDecoder
	plain  []byte   // room for a string without its escapes
	err    error
}

// maxItems is how many items the lists and maps of a request may have together. Three bytes of {}, can become a hundred in memory;
// the longest list in the models has 200.
const maxItems = 100_000

// another counts an item of a list or a map.
func (d *jsonDecoder) another() bool {
	if d.items++; d.items > maxItems {
		d.fail("The request holds more than " + strconv.Itoa(maxItems) + " items of lists and maps")
	}
	return d.err == nil
}

var (
	jsonDecoders = sync.Pool{New: func() any { return new(jsonDecoder) }}
	jsonOptions  = []jsontext.Options{jsontext.AllowDuplicateNames(true)}
	noArguments  = []byte("{}")
)

func newJSONDecoder(body []byte) *jsonDecoder {
	if len(bytes.TrimSpace(body)) == 0 {
		body = noArguments
	}
	d := jsonDecoders.Get().(*jsonDecoder)
	d.body = *bytes.NewBuffer(body) // which jsontext reads in place
	d.d.Reset(&d.body, jsonOptions...)
	d.shapes, d.items, d.sdk, d.err = d.shapes[:0], 0, false, nil
	return d
}

// newSDKDecoder reads an input as the SDKs of AWS spell it, whatever the protocol of the service: members begin with a capital letter,
// bytes are text, and times may be written by ISO 8601.
func newSDKDecoder(input []byte) *jsonDecoder {
	d := newJSONDecoder(input)
	d.sdk = true
	return d
}

// maxPooled is the largest body, and the longest string, whose memory waits for the next request.
const maxPooled = 64 << 10

// free hands the decoder over to the next request.
func (d *jsonDecoder) free() {
	if d.body.Cap() <= maxPooled && cap(d.plain) <= maxPooled {
		jsonDecoders.Put(d)
	}
}

// Err reports the first failure, or that something follows the outermost value once that is closed.
func (d *jsonDecoder) Err() error {
	if d.err == nil && d.d.StackDepth() == 0 {
		if _, err := d.d.ReadToken(); err == nil {
			d.fail("Could not parse request body into JSON: there is more than one value")
		} else if err != io.EOF {
			d.malformed(err)
		}
	}
	return d.err
}

func (d *jsonDecoder) fail(message string) {
	if d.err == nil {
		d.err = &rialto.Error{Kind: rialto.Invalid, Code: "SerializationException", Message: message}
	}
}

func (d *jsonDecoder) malformed(err error) {
	reason := "it ends too early"
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	if ok && syntax.Err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		reason = strings.TrimPrefix(syntax.Err.Error(), "jsontext: ") + " at offset " + strconv.FormatInt(syntax.ByteOffset, 10)
	}
	d.fail("Could not parse request body into JSON: " + reason)
}

// next is the kind of the value that comes next, or 0 after a failure.
func (d *jsonDecoder) next() jsontext.Kind {
	if d.err != nil {
		return 0
	}
	k := d.d.PeekKind()
	if k == 0 {
		_, err := d.d.ReadToken()
		d.malformed(err)
	}
	return k
}

func (d *jsonDecoder) token() jsontext.Token {
	t, err := d.d.ReadToken()
	if err != nil {
		d.malformed(err)
		return jsontext.Null
	}
	return t
}

// mismatch reports a value of the wrong type in the words of the service.
func (d *jsonDecoder) mismatch(k jsontext.Kind, want string) {
	switch k {
	case '{':
		d.fail("Start of structure or map found where not expected.")
	case '[':
		d.fail("Start of list found where not expected")
	case '"':
		d.fail("STRING_VALUE can not be converted to " + want)
	case '0':
		d.fail("NUMBER_VALUE can not be converted to " + want)
	case 't':
		d.fail("TRUE_VALUE can not be converted to " + want)
	case 'f':
		d.fail("FALSE_VALUE can not be converted to " + want)
	case 'n':
		d.fail("null found where not expected")
	}
}

func (d *jsonDecoder) begin(kind jsontext.Kind, want string) bool {
	switch k := d.next(); k {
	case kind:
		d.token()
	case '{', '[':
		d.mismatch(k, "")
	case 0:
	default:
		d.fail(want)
	}
	return d.err == nil
}

func (d *jsonDecoder) BeginStruct(s *Shape) {
	if d.begin('{', "Expected null") {
		d.shapes = append(d.shapes, s)
	}
}

func (d *jsonDecoder) NextMember() int {
	for {
		switch d.next() {
		case 0:
			return -1
		case '}':
			d.token()
			d.shapes = d.shapes[:len(d.shapes)-1]
			return -1
		}
		name, err := d.d.ReadValue()
		if err != nil {
			d.malformed(err)
			return -1
		}
		i := d.shapes[len(d.shapes)-1].find(name, d.sdk)
		if i >= 0 && d.next() != 'n' {
			return i
		}
		if err := d.d.SkipValue(); err != nil {
			d.malformed(err)
			return -1
		}
	}
}

// find looks up the member with a name as it stands in the JSON text, with its quotes. Where the SDKs' spelling counts, that a name begins
// with a capital letter does not.
func (s *Shape) find(quoted []byte, sdk bool) int {
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		name, _ = jsontext.AppendUnquote(nil, quoted)
	}
	for i := range s.Members {
		known := s.Members[i].Name
		if known == string(name) || sdk && len(name) == len(known) && known[1:] == string(name[1:]) && lowerCamel(known) == lowerCamel(string(name)) {
			return i
		}
	}
	return -1
}

func (d *jsonDecoder) BeginList() { d.begin('[', "Expected list or null") }

func (d *jsonDecoder) NextItem() bool {
	switch d.next() {
	case 0:
		return false
	case ']':
		d.token()
		return false
	}
	return d.another()
}

func (d *jsonDecoder) BeginMap() { d.begin('{', "Expected map or null") }

func (d *jsonDecoder) NextKey() (string, bool) {
	switch d.next() {
	case 0:
		return "", false
	case '}':
		d.token()
		return "", false
	}
	key := d.token().String()
	return key, d.another()
}

// scalar reads the next token, which must be of the kind.
func (d *jsonDecoder) scalar(kind jsontext.Kind, want string) (jsontext.Token, bool) {
	k := d.next()
	if k != kind {
		d.mismatch(k, want)
		return jsontext.Null, false
	}
	t := d.token()
	return t, d.err == nil
}

func (d *jsonDecoder) String() string {
	if k := d.next(); k != '"' {
		d.mismatch(k, "a String")
		return ""
	}
	quoted, err := d.d.ReadValue()
	if err != nil {
		d.malformed(err)
		return ""
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	d.plain, _ = jsontext.AppendUnquote(d.plain[:0], quoted) // has been read, so it is well formed
	return string(d.plain)
}

func (d *jsonDecoder) Bool() bool {
	k := d.next()
	if k != 't' && k != 'f' {
		d.mismatch(k, "a Boolean")
		return false
	}
	return d.token().Bool()
}

// Int32 reads an integer. As on AWS, a fraction is cut off and a number out of range becomes the nearest that is in range.
func (d *jsonDecoder) Int32() int32 {
	t, ok := d.scalar('0', "an Integer")
	if !ok {
		return 0
	}
	return int32(min(max(integer(t), math.MinInt32), math.MaxInt32))
}

// Int64 reads an integer, like Int32.
func (d *jsonDecoder) Int64() int64 {
	t, ok := d.scalar('0', "a Long")
	if !ok {
		return 0
	}
	return integer(t)
}

func integer(t jsontext.Token) int64 {
	if n, err := strconv.ParseInt(t.String(), 10, 64); err == nil {
		return n
	}
	f, _ := strconv.ParseFloat(t.String(), 64)
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}

func (d *jsonDecoder) Time() time.Time {
	const want = "milliseconds since epoch"
	if d.sdk && d.next() == '"' {
		at, err := time.Parse(time.RFC3339, d.String())
		if err != nil {
			d.mismatch('"', "a Timestamp")
		}
		return at.UTC()
	}
	t, ok := d.scalar('0', want)
	if !ok {
		return time.Time{}
	}
	at, ok := epoch(t.String())
	if !ok {
		d.mismatch('0', want)
	}
	return at
}

func (d *jsonDecoder) Blob() []byte {
	if d.sdk {
		return []byte(d.String())
	}
	t, ok := d.scalar('"', "a Blob")
	if !ok {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(t.String())
	if err != nil {
		d.fail("Base64 encoding failed: " + err.Error())
	}
	return b
}

// maxEpoch is the last second of the year 9999, which is as far as a date can be written.
const maxEpoch = 253402300799

// epoch reads a number of seconds since 1970, with or without a fraction, of which milliseconds are kept.
func epoch(s string) (time.Time, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(n, 0).UTC(), -maxEpoch <= n && n <= maxEpoch
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f < -maxEpoch || f > maxEpoch {
		return time.Time{}, false
	}
	// A float64 holds milliseconds of these years exactly only after rounding: 1761234567.123 is not a sum of powers of two.
	return time.UnixMilli(int64(math.Round(f * 1000))).UTC(), true
}

// jsonEncoder writes a response of the JSON protocols. Absent members are left out.
type jsonEncoder struct {
	buf    []byte
	shapes []*Shape
	room   [8]*Shape // for shapes, in nearly every response
}

func newJSONEncoder() *jsonEncoder {
	e := &jsonEncoder{buf: make([]byte, 0, 512)}
	e.shapes = e.room[:0]
	return e
}

// comma separates a value or a name from the one before it.
func (e *jsonEncoder) comma() {
	if len(e.buf) == 0 {
		return
	}
	switch e.buf[len(e.buf)-1] {
	case '{', '[', ':':
	default:
		e.buf = append(e.buf, ',')
	}
}

func (e *jsonEncoder) quote(s string) {
	e.buf, _ = jsontext.AppendQuote(e.buf, s) // replaces what is not UTF-8
}

func (e *jsonEncoder) BeginStruct(s *Shape) {
	e.comma()
	e.buf = append(e.buf, '{')
	e.shapes = append(e.shapes, s)
}

func (e *jsonEncoder) Member(i int, present bool) bool {
	if present {
		e.Key(e.shapes[len(e.shapes)-1].Members[i].Name)
	}
	return present
}

func (e *jsonEncoder) EndStruct() {
	e.buf = append(e.buf, '}')
	e.shapes = e.shapes[:len(e.shapes)-1]
}

func (e *jsonEncoder) BeginList() {
	e.comma()
	e.buf = append(e.buf, '[')
}

func (e *jsonEncoder) EndList() { e.buf = append(e.buf, ']') }

func (e *jsonEncoder) BeginMap() {
	e.comma()
	e.buf = append(e.buf, '{')
}

func (e *jsonEncoder) Key(name string) {
	e.comma()
	e.quote(name)
	e.buf = append(e.buf, ':')
}

func (e *jsonEncoder) EndMap() { e.buf = append(e.buf, '}') }

func (e *jsonEncoder) String(s string) {
	e.comma()
	e.quote(s)
}

func (e *jsonEncoder) Bool(b bool) {
	e.comma()
	e.buf = strconv.AppendBool(e.buf, b)
}

func (e *jsonEncoder) Int(n int64) {
	e.comma()
	e.buf = strconv.AppendInt(e.buf, n, 10)
}

func (e *jsonEncoder) Time(t time.Time) {
	e.comma()
	e.buf = appendEpoch(e.buf, t)
}

func (e *jsonEncoder) Blob(b []byte) {
	e.comma()
	e.buf = append(e.buf, '"')
	e.buf = base64.StdEncoding.AppendEncode(e.buf, b)
	e.buf = append(e.buf, '"')
}

// appendEpoch writes seconds since 1970, with milliseconds if there are any.
func appendEpoch(b []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return strconv.AppendInt(b, ms/1000, 10)
	}
	return strconv.AppendFloat(b, float64(ms)/1000, 'f', 3, 64)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
