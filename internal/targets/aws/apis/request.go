package apis

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
)

// A Request is one before it is sent and signed.
type Request struct {
	Method string
	Host   string // before that of the service, such as "sync-"; mostly ""
	Path   string // escaped
	Query  url.Values
	Header map[string]string
	Body   []byte
}

type object = map[string]any

// Request writes the request of an operation, such as "StartExecution", from an input: a JSON object whose members are spelt as in the
// SDKs. Bytes are given as text, and times by ISO 8601 or in seconds. The token is given to operations that want one, unless the
// input has it, so that those that are asked twice act once.
//
// What the service has to judge is left to it, but for members that cannot be written because nobody knows how. Errors are of the kind
// Invalid, or NotFound if the operation is not known.
func (s *Service) Request(name string, input []byte, token string) (*Request, error) {
	op, ok := s.operations[name]
	if !ok && s.protocol != "json" { // where the name of an operation is all there is to know
		return nil, rialto.Errorf(rialto.NotFound, "rialto does not know the operation %s of %s, so that it cannot call it.", name, s.ID)
	}
	var in object
	d := json.NewDecoder(bytes.NewReader(input))
	d.UseNumber() // numbers keep their spelling
	if err := d.Decode(&in); err != nil || in == nil || d.More() {
		return nil, rialto.Errorf(rialto.Invalid, "The input of %s is not a JSON object of its parameters.", name)
	}
	shape := s.shapes[op.input]
	if shape != nil {
		shape.addToken(in, token)
	}
	r := &Request{Method: http.MethodPost, Host: op.host, Path: "/", Header: map[string]string{}}
	var err error
	switch s.protocol {
	case "json":
		r.Header["Content-Type"] = "application/x-amz-json-" + s.json
		r.Header["X-Amz-Target"] = s.target + "." + name
		r.Body, err = marshal(s.object(shape, in))
	case "rest-json":
		err = s.rest(r, op, shape, in)
	default:
		form := url.Values{"Action": {name}, "Version": {s.version}}
		r.Header["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
		err = s.form(form, "", shape, in)
		r.Body = []byte(form.Encode())
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// addToken gives a call the name that it lacks.
func (s *shape) addToken(in object, token string) {
	if token == "" {
		return
	}
	for i := range s.members {
		m := &s.members[i]
		if !m.token {
			continue
		}
		given := false
		for name := range in {
			given = given || s.find(name) == m
		}
		if !given {
			in[m.name] = token
		}
	}
}

// marshal writes JSON as SDKs do, with < and & as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// object is a structure with the names and values of the wire. What the table does not know stays as it is: it may be newer.
func (s *Service) object(sh *shape, in object) object {
	out := make(object, len(in))
	for name, v := range in {
		if v == nil {
			continue
		}
		if m := sh.find(name); m != nil {
			out[m.wire] = s.value(m.typ, v)
		} else {
			out[name] = v
		}
	}
	return out
}

// value is a value of a type as JSON has it. One of another type stays as it is, for the service to refuse.
func (s *Service) value(typ string, v any) any {
	if typ == "" {
		return v
	}
	switch typ[0] {
	case '@':
		if o, ok := v.(object); ok {
			return s.object(s.shapes[typ[1:]], o)
		}
	case '[':
		if list, ok := v.([]any); ok {
			out := make([]any, len(list))
			for i := range list {
				out[i] = s.value(behind(typ), list[i])
			}
			return out
		}
	case '{':
		if o, ok := v.(object); ok {
			out := make(object, len(o))
			for key := range o {
				out[key] = s.value(behind(typ), o[key])
			}
			return out
		}
	case 'b':
		if text, ok := v.(string); ok {
			return base64.StdEncoding.EncodeToString([]byte(text))
		}
	default:
		return timestamp(typ, v)
	}
	return v
}

// behind is the type of the items of a list or a map.
func behind(typ string) string { return typ[strings.IndexAny(typ, "]}")+1:] }

// timestamp is a time in one of three formats, whichever way it was given.
func timestamp(typ string, v any) any {
	var at time.Time
	switch v := v.(type) {
	case string:
		var err error
		if at, err = time.Parse(time.RFC3339Nano, v); err != nil {
			return v
		}
	case json.Number:
		seconds, err := v.Float64()
		if typ == "t" || err != nil {
			return v
		}
		at = time.UnixMilli(int64(seconds * 1000))
	default:
		return v
	}
	switch at = at.UTC(); typ {
	case "t":
		if at.Nanosecond() == 0 {
			return at.Unix()
		}
		return float64(at.UnixMilli()) / 1000
	case "h":
		return at.Format(http.TimeFormat)
	}
	return at.Format("2006-01-02T15:04:05.999Z")
}

// rest puts members into the path, the query, headers and the body.
func (s *Service) rest(r *Request, op operation, sh *shape, in object) error {
	r.Method = op.method
	path, fixed, _ := strings.Cut(op.path, "?")
	r.Query, _ = url.ParseQuery(fixed) // from the table
	r.Header["Content-Type"] = "application/json"
	body, payload := object{}, false
	for name, v := range in {
		m := sh.find(name)
		switch {
		case v == nil:
		case m == nil:
			body[name] = v
		case m.place == "uri":
			text := scalar(s.value(m.typ, v))
			segment := strings.ReplaceAll(url.PathEscape(text), ":", "%3A") // as SDKs escape
			path = strings.ReplaceAll(path, "{"+m.wire+"}", segment)
			path = strings.ReplaceAll(path, "{"+m.wire+"+}", strings.ReplaceAll(segment, "%2F", "/"))
		case m.place == "querystring":
			s.queries(r.Query, m, v)
		case m.place == "header":
			r.Header[m.wire] = scalar(s.value(m.typ, v))
		case m.place == "headers":
			o, _ := v.(object)
			for key := range o {
				r.Header[m.wire+key] = scalar(o[key])
			}
		case m.place == "payload":
			payload = true
			if err := s.payload(r, m, v); err != nil {
				return err
			}
		default:
			body[m.wire] = s.value(m.typ, v)
		}
	}
	if from := strings.IndexByte(path, '{'); from >= 0 {
		return rialto.Errorf(rialto.Invalid, "The input has no %s.", strings.Trim(path[from:from+strings.IndexByte(path[from:], '}')], "{}+"))
	}
	r.Path = path
	if payload || len(body) == 0 && !sh.hasBody() {
		return nil
	}
	var err error
	r.Body, err = marshal(body)
	return err
}

// hasBody reports whether something of a structure is in the body of a request.
func (s *shape) hasBody() bool {
	return s != nil && slices.ContainsFunc(s.members, func(m member) bool { return m.place == "" })
}

// queries adds a member to the query of a URL: once for each item of a list, under its own names if it is a map.
func (s *Service) queries(q url.Values, m *member, v any) {
	switch v := s.value(m.typ, v).(type) {
	case []any:
		for _, item := range v {
			q.Add(m.wire, scalar(item))
		}
	case object:
		for key := range v {
			q.Add(key, scalar(v[key]))
		}
	default:
		q.Set(m.wire, scalar(v))
	}
}

// payload makes a member the whole body: bytes and texts as they are, a structure as JSON.
func (s *Service) payload(r *Request, m *member, v any) (err error) {
	if text, ok := v.(string); ok {
		r.Body = []byte(text)
		return nil
	}
	r.Body, err = marshal(s.value(m.typ, v))
	return err
}

// scalar is a value as text.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	b, _ := marshal(v) // of JSON, so that it is JSON again
	return string(b)
}

// form writes a structure into a form: A.1.Name=x.
func (s *Service) form(f url.Values, prefix string, sh *shape, in object) error {
	for name, v := range in {
		if v == nil {
			continue
		}
		m := sh.find(name)
		if m == nil {
			return rialto.Errorf(rialto.Invalid, "The input has a member %s that rialto does not know, so that it cannot be written.", prefix+name)
		}
		if err := s.field(f, prefix+m.wire, m.typ, v); err != nil {
			return err
		}
	}
	return nil
}

// field writes one value into a form.
func (s *Service) field(f url.Values, name, typ string, v any) error {
	kind := byte(0)
	if typ != "" {
		kind = typ[0]
	}
	o, isObject := v.(object)
	list, isList := v.([]any)
	switch {
	case kind == '@' && isObject:
		return s.form(f, name+".", s.shapes[typ[1:]], o)
	case kind == '[' && isList:
		return s.items(f, name, typ, list)
	case kind == '{' && isObject:
		return s.entries(f, name, typ, o)
	case isObject || isList || kind == '@' || kind == '[' || kind == '{':
		return rialto.Errorf(rialto.Invalid, "The value of %s is not of the type that the service takes.", name)
	}
	f.Set(name, scalar(s.value(typ, v)))
	return nil
}

// items writes a list: under its own name if it is flat, else under that of its items.
func (s *Service) items(f url.Values, name, typ string, list []any) error {
	switch item := typ[1:strings.IndexByte(typ, ']')]; {
	case len(list) == 0:
		f.Set(name, "")
	case item == "":
		name += ".member"
	case item != ".":
		name += "." + item
	}
	for i, v := range list {
		if err := s.field(f, name+"."+strconv.Itoa(i+1), behind(typ), v); err != nil {
			return err
		}
	}
	return nil
}

// entries writes a map, in the order of its keys.
func (s *Service) entries(f url.Values, name, typ string, o object) error {
	names, flat := strings.CutPrefix(typ[1:strings.IndexByte(typ, '}')], ".")
	key, value, given := strings.Cut(names, ",")
	if !given || key == "" {
		key = "key"
	}
	if value == "" {
		value = "value"
	}
	if !flat {
		name += ".entry"
	}
	keys := make([]string, 0, len(o))
	for k := range o {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i, k := range keys {
		at := name + "." + strconv.Itoa(i+1) + "."
		f.Set(at+key, k)
		if err := s.field(f, at+value, behind(typ), o[k]); err != nil {
			return err
		}
	}
	return nil
}
