package aws

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// A protocol is how a service's inputs, outputs and errors look in HTTP.
type protocol interface {
	name() string
	decoder(m *Model, in *incoming) (Decoder, error)
	output(w http.ResponseWriter, m *Model, r *Request, out Encodable) (size int)
	failure(w http.ResponseWriter, m *Model, r *Request, f failure) (size int)
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
)

// jsonProtocol is AWS JSON 1.0 and 1.1: the operation in the header X-Amz-Target, input and output as JSON.
type jsonProtocol struct{}

func (jsonProtocol) name() string { return "json" }

func (jsonProtocol) decoder(_ *Model, in *incoming) (Decoder, error) {
	return newJSONDecoder(in.body), nil
}

func (jsonProtocol) output(w http.ResponseWriter, m *Model, _ *Request, out Encodable) int {
	if _, none := out.(*NoOutput); none {
		return respond(w, http.StatusOK, "application/x-amz-json-"+m.JSONVersion, nil)
	}
	e := jsonEncoder{buf: make([]byte, 0, 512)}
	out.Encode(&e)
	return respond(w, http.StatusOK, "application/x-amz-json-"+m.JSONVersion, e.buf)
}

var errorShape = Shape{Members: []Member{{Name: "__type"}, {Name: "message"}}}

func (jsonProtocol) failure(w http.ResponseWriter, m *Model, _ *Request, f failure) int {
	prefix := m.CommonPrefix
	if f.modelled {
		prefix = m.ErrorPrefix
	}
	var e jsonEncoder
	e.BeginStruct(&errorShape)
	e.Member(0, true)
	e.String(prefix + f.code)
	e.Member(1, true)
	e.String(f.message)
	e.EndStruct()
	if m.Version != "" { // the service spoke the query protocol once, and its clients go by the codes of that time
		w.Header().Set("X-Amzn-Query-Error", f.queryCode+";"+f.fault())
	}
	return respond(w, f.status, "application/x-amz-json-"+m.JSONVersion, e.buf)
}

// queryProtocol is what older SDKs and curl send: a form with Action and Version, answered in XML.
type queryProtocol struct{}

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

func (queryProtocol) output(w http.ResponseWriter, m *Model, r *Request, out Encodable) int {
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
	return respond(w, http.StatusOK, "text/xml", e.buf.Bytes())
}

func (queryProtocol) failure(w http.ResponseWriter, m *Model, r *Request, f failure) int {
	var e xmlEncoder
	e.buf.WriteString(xmlHeader)
	e.start(`ErrorResponse xmlns="` + m.Namespace + `"`)
	e.start("Error")
	e.element("Type", f.fault())
	e.element("Code", f.queryCode)
	e.element("Message", f.queryMessage)
	e.element("Detail", "")
	e.end("Error")
	e.element("RequestId", r.ID)
	e.end("ErrorResponse")
	return respond(w, f.queryStatus, "text/xml", e.buf.Bytes())
}

const xmlHeader = `<?xml version="1.0"?>` + "\n"

func (e *xmlEncoder) element(name, text string) {
	e.start(name)
	e.escape(text)
	e.end(name)
}

// respond writes a response. An error of the connection is the client's to notice.
func respond(w http.ResponseWriter, status int, contentType string, body []byte) int {
	w.Header().Set("Content-Type", contentType)
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return len(body)
}
