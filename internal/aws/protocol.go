package aws

import (
	"net/http"
	"net/url"
	"strings"
)

// A protocol is how a service's inputs, outputs and errors look in HTTP.
type protocol interface {
	name() string
	decoder(m *Model, in *incoming) (Decoder, error)
	header(h http.Header, m *Model)
	output(m *Model, r *Request, out Encodable) (body []byte)
	failure(m *Model, r *Request, f failure) answer
}

// An incoming request, as read.
type incoming struct {
	*http.Request
	body       []byte
	credential Credential
	values     url.Values // of a query request
}

var (
	_ protocol = jsonProtocol{}
	_ protocol = queryProtocol{}
	_ protocol = restProtocol{}
)

// jsonProtocol is AWS JSON 1.0 and 1.1: the operation in the header X-Amz-Target, input and output as JSON.
type jsonProtocol struct{}

func (jsonProtocol) name() string { return "json" }

func (jsonProtocol) decoder(_ *Model, in *incoming) (Decoder, error) {
	return newJSONDecoder(in.body), nil
}

func (jsonProtocol) header(h http.Header, m *Model) {
	h["Content-Type"] = []string{"application/x-amz-json-" + m.JSONVersion}
}

func (jsonProtocol) output(_ *Model, _ *Request, out Encodable) []byte {
	if _, none := out.(*NoOutput); none {
		return nil
	}
	e := newJSONEncoder()
	out.Encode(e)
	return e.buf
}

var errorShape = Shape{Members: []Member{{Name: "__type"}, {Name: "message"}}}

func (jsonProtocol) failure(m *Model, _ *Request, f failure) answer {
	prefix := m.CommonPrefix
	if f.modelled {
		prefix = m.ErrorPrefix
	}
	e := newJSONEncoder()
	e.BeginStruct(&errorShape)
	e.Member(0, true)
	e.String(prefix + f.code)
	e.Member(1, true)
	e.String(f.message)
	e.EndStruct()
	a := answer{status: f.status, code: f.code, body: e.buf}
	if m.Version != "" { // the service spoke the query protocol once, and its clients go by the codes of that time
		a.queryError = f.queryCode + ";" + fault(f.status)
	}
	return a
}

// queryProtocol is what older SDKs and curl send: a form with Action and Version, answered in XML, or in JSON with the same names if
// the header Accept asks for it.
type queryProtocol struct{ json bool }

func (queryProtocol) name() string { return "query" }

func (queryProtocol) decoder(m *Model, in *incoming) (Decoder, error) {
	if path := in.URL.Path; m.PathMember != "" && strings.Trim(path, "/") != "" && !in.values.Has(m.PathMember) {
		in.values.Set(m.PathMember, path)
	}
	root, err := newForm(in.values)
	if err != nil {
		return nil, err
	}
	return &queryDecoder{at: root}, nil
}

func (p queryProtocol) header(h http.Header, _ *Model) {
	h["Content-Type"] = []string{"text/xml"}
	if p.json {
		h["Content-Type"] = []string{"application/json"}
	}
}

func (p queryProtocol) output(m *Model, r *Request, out Encodable) []byte {
	if p.json {
		return jsonOutput(r, out)
	}
	var e xmlEncoder
	e.buf.WriteString(xmlHeader)
	e.start(r.Operation + `Response xmlns="` + m.Namespace + `"`)
	if _, none := out.(*NoOutput); !none {
		e.start(r.Operation + "Result")
		out.Encode(&e)
		e.end(r.Operation + "Result")
	}
	e.start("ResponseMetadata")
	e.element("RequestId", r.ID)
	e.end("ResponseMetadata")
	e.end(r.Operation + "Response")
	return e.buf.Bytes()
}

func (p queryProtocol) failure(m *Model, r *Request, f failure) answer {
	if p.json {
		return answer{status: f.queryStatus, code: f.queryCode, body: jsonFailure(r, f)}
	}
	var e xmlEncoder
	e.buf.WriteString(xmlHeader)
	if m.Namespace == "" { // of a service that is not served
		e.start("ErrorResponse")
	} else {
		e.start(`ErrorResponse xmlns="` + m.Namespace + `"`)
	}
	e.start("Error")
	e.element("Type", fault(f.queryStatus))
	e.element("Code", f.queryCode)
	e.element("Message", f.queryMessage)
	e.element("Detail", "")
	e.end("Error")
	e.element("RequestId", r.ID)
	e.end("ErrorResponse")
	return answer{status: f.queryStatus, code: f.queryCode, body: e.buf.Bytes()}
}

// jsonOutput is an output of the query protocol in JSON: {"PublishResponse":{"PublishResult":{…},"ResponseMetadata":{…}}}.
func jsonOutput(r *Request, out Encodable) []byte {
	e := newJSONEncoder()
	e.BeginMap()
	e.Key(r.Operation + "Response")
	e.BeginMap()
	if _, none := out.(*NoOutput); !none {
		e.Key(r.Operation + "Result")
		out.Encode(e)
	}
	e.Key("ResponseMetadata")
	e.BeginMap()
	e.Key("RequestId")
	e.String(r.ID)
	e.EndMap()
	e.EndMap()
	e.EndMap()
	return e.buf
}

// jsonFailure is an error of the query protocol in JSON.
func jsonFailure(r *Request, f failure) []byte {
	e := newJSONEncoder()
	e.BeginMap()
	e.Key("Error")
	e.BeginMap()
	for _, m := range [][2]string{{"Code", f.queryCode}, {"Message", f.queryMessage}, {"Type", fault(f.queryStatus)}} {
		e.Key(m[0])
		e.String(m[1])
	}
	e.EndMap()
	e.Key("RequestId")
	e.String(r.ID)
	e.EndMap()
	return e.buf
}

const xmlHeader = `<?xml version="1.0"?>` + "\n"

func (e *xmlEncoder) element(name, text string) {
	e.start(name)
	e.escape(text)
	e.end(name)
}
