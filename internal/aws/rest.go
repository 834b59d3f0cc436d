package aws

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// restProtocol is REST-JSON: the operation in method and path, some members of the input in the path and in the query, the others
// and the output as JSON.
type restProtocol struct{ labels map[string]string } // members of the input that stand in the path, by name

// A Route is how a request names an operation in the REST-JSON protocol.
type Route struct {
	Method    string
	Path      string // such as "/schedules/{Name}"; what is in braces is a member of the input, and one segment
	Operation string
	Status    int // of a good response
}

// match says what stands for the names in braces, by name. The path is as it came, so that a slash in a value is no separator.
func (r *Route) match(method, path string) (labels map[string]string, ok bool) {
	if method != r.Method {
		return nil, false
	}
	want, got := strings.Split(r.Path, "/"), strings.Split(strings.TrimSuffix(path, "/"), "/")
	if len(want) != len(got) {
		return nil, false
	}
	labels = make(map[string]string)
	for i, segment := range want {
		switch label, isLabel := strings.CutPrefix(segment, "{"); {
		case isLabel && got[i] != "":
			value, err := url.PathUnescape(got[i])
			if err != nil {
				return nil, false
			}
			labels[strings.TrimSuffix(label, "}")] = value
		case segment != got[i]:
			return nil, false
		}
	}
	return labels, true
}

// restRoute finds the operation that method and path name: of the service that the request was signed for, or, if it was not
// signed for one, of whichever has it.
func (h *Handler) restRoute(in *incoming) (route, bool) {
	for _, s := range h.services {
		if signed := in.credential.Service; signed != "" && signed != s.model.Name {
			continue
		}
		for i := range s.model.Routes {
			r := &s.model.Routes[i]
			if labels, ok := r.match(in.Method, in.URL.EscapedPath()); ok {
				return route{s, r.Operation, r.Status, restProtocol{labels}}, true
			}
		}
	}
	return route{}, false
}

func (restProtocol) name() string { return "rest" }

func (p restProtocol) decoder(_ *Model, in *incoming) (Decoder, error) {
	query, err := url.ParseQuery(in.URL.RawQuery)
	if err != nil {
		return nil, errMalformedForm(err)
	}
	return &restDecoder{jsonDecoder: newJSONDecoder(in.body), labels: p.labels, query: query}, nil
}

func (restProtocol) header(h http.Header, _ *Model) { h["Content-Type"] = []string{"application/json"} }

func (restProtocol) output(m *Model, r *Request, out Encodable) []byte {
	return jsonProtocol{}.output(m, r, out)
}

func (restProtocol) failure(m *Model, _ *Request, f failure) answer {
	member := m.ErrorMember
	if member == "" { // of a service that is not served
		member = "message"
	}
	e := newJSONEncoder()
	e.BeginStruct(&Shape{Members: []Member{{Name: member}}})
	e.Member(0, true)
	e.String(f.message)
	e.EndStruct()
	a := answer{status: f.status, code: f.code, errorType: f.code, body: e.buf}
	switch {
	case f.code == unknownOperation:
		a.status = http.StatusNotFound
	case !f.modelled:
		a.status = f.queryStatus
	}
	return a
}

// A restDecoder reads the members of an input that stand in the path and in the query, and then those in the body.
type restDecoder struct {
	*jsonDecoder
	labels map[string]string
	query  url.Values

	depth  int // of structures that are open
	input  *Shape
	member int      // of the input, up to which has been looked for in path and query
	values []string // of the member that is being read, if it is not in the body
	inBody bool
}

// NextMember hands out the members of the input that are not in the body first.
func (d *restDecoder) NextMember() int {
	if d.depth == 1 && !d.inBody {
		for ; d.member < len(d.input.Members); d.member++ {
			if d.values = d.outside(&d.input.Members[d.member]); d.values != nil {
				d.member++
				return d.member - 1
			}
		}
		d.inBody = true
	}
	for {
		i := d.jsonDecoder.NextMember()
		if i < 0 {
			d.depth--
			return i
		}
		if d.depth > 1 || d.input.Members[i].In == InBody {
			return i
		}
		if err := d.d.SkipValue(); err != nil { // it counts where the model has it
			d.malformed(err)
			return -1
		}
	}
}

// outside is what path or query hold of a member; nil is nothing.
func (d *restDecoder) outside(m *Member) []string {
	switch m.In {
	case InPath:
		return []string{d.labels[m.Name]}
	case InQuery:
		return d.query[m.Name]
	}
	return nil
}

func (d *restDecoder) BeginStruct(s *Shape) {
	if d.depth++; d.depth == 1 {
		d.input = s
	}
	d.jsonDecoder.BeginStruct(s)
}

func (d *restDecoder) BeginList() {
	if d.inBody {
		d.jsonDecoder.BeginList()
	}
}

func (d *restDecoder) NextItem() bool {
	if d.inBody {
		return d.jsonDecoder.NextItem()
	}
	return len(d.values) > 0 && d.another()
}

// value takes the next value of the member that is being read.
func (d *restDecoder) value() string {
	v := d.values[0]
	d.values = d.values[1:]
	return v
}

func (d *restDecoder) String() string {
	if d.inBody {
		return d.jsonDecoder.String()
	}
	return d.value()
}

func (d *restDecoder) Bool() bool {
	if d.inBody {
		return d.jsonDecoder.Bool()
	}
	b, err := strconv.ParseBool(d.value())
	if err != nil {
		d.mismatch('"', "a Boolean")
	}
	return b
}

func (d *restDecoder) Int64() int64 {
	if d.inBody {
		return d.jsonDecoder.Int64()
	}
	n, err := strconv.ParseInt(d.value(), 10, 64)
	if err != nil {
		d.mismatch('"', "a Long")
	}
	return n
}

func (d *restDecoder) Int32() int32 {
	if d.inBody {
		return d.jsonDecoder.Int32()
	}
	n, err := strconv.ParseInt(d.value(), 10, 32)
	if err != nil {
		d.mismatch('"', "an Integer")
	}
	return int32(n)
}

func (d *restDecoder) Time() time.Time {
	if d.inBody {
		return d.jsonDecoder.Time()
	}
	t, err := time.Parse(time.RFC3339, d.value())
	if err != nil {
		d.mismatch('"', "a Timestamp")
	}
	return t
}
