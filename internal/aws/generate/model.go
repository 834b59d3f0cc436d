package main

import (
	"fmt"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A model is what botocore calls service-2.json.
type model struct {
	Metadata struct {
		APIVersion     string         `json:"apiVersion"`
		JSONVersion    string         `json:"jsonVersion"`
		TargetPrefix   string         `json:"targetPrefix"`
		EndpointPrefix string         `json:"endpointPrefix"`
		Protocol       string         `json:"protocol"`
		FullName       string         `json:"serviceFullName"`
		UID            string         `json:"uid"`
		Query          jsontext.Value `json:"awsQueryCompatible"` // present if it spoke the query protocol once
		Namespace      string         `json:"xmlNamespace"`       // of a service that speaks the query protocol only
	} `json:"metadata"`
	Operations ordered[operation] `json:"operations"`
	Shapes     ordered[*shape]    `json:"shapes"`
}

type operation struct {
	Name   string `json:"name"`
	Input  *ref   `json:"input"`
	Output *ref   `json:"output"`
	HTTP   struct {
		Method string `json:"method"`
		URI    string `json:"requestUri"`
		Status int    `json:"responseCode"`
	} `json:"http"`
}

type ref struct {
	Shape    string `json:"shape"`
	Location string `json:"location"`     // of a member in the REST-JSON protocol: uri, querystring; empty is the body
	Name     string `json:"locationName"` // of a member there, or of a key or value of a map in the query protocol, if it is another
}

type shape struct {
	Type      string       `json:"type"`
	Required  []string     `json:"required"`
	Members   ordered[ref] `json:"members"` // of a structure
	Member    *ref         `json:"member"`  // of a list
	Key       *ref         `json:"key"`     // of a map
	Value     *ref         `json:"value"`   // of a map
	Min       *int64       `json:"min"`
	Max       *int64       `json:"max"`
	Pattern   string       `json:"pattern"`
	Enum      []string     `json:"enum"`
	Sensitive bool         `json:"sensitive"`
	Exception bool         `json:"exception"`
	Fault     bool         `json:"fault"`
	Error     struct {
		Code   string `json:"code"` // in the query protocol
		Status int    `json:"httpStatusCode"`
	} `json:"error"` // how an exception is told
}

// ordered is a JSON object whose members keep their order, on which the order of messages depends.
type ordered[V any] struct {
	names  []string
	values map[string]V
}

func (o *ordered[V]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	o.values = map[string]V{}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		key := name.String()
		var v V
		if err := json.UnmarshalDecode(d, &v); err != nil {
			return err
		}
		o.names = append(o.names, key)
		o.values[key] = v
	}
	_, err := d.ReadToken()
	return err
}

func readModel(path string) (*model, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var m model
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &m, nil
}

// trim copies a model without its documentation, which is most of it.
func trim(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	v, err := without(jsontext.Value(b), "documentation")
	if err != nil {
		return nil, fmt.Errorf("trim %s: %w", path, err)
	}
	if err := v.Indent(jsontext.WithIndent(" ")); err != nil {
		return nil, err
	}
	return append(v, '\n'), nil
}

// without copies a JSON value, leaving out every member of a name whose value is a string. (A structure may have a member of that
// name; its value is an object.)
func without(v jsontext.Value, name string) (jsontext.Value, error) {
	switch v.Kind() {
	case '{':
		var members ordered[jsontext.Value]
		if err := json.Unmarshal(v, &members); err != nil {
			return nil, err
		}
		out := jsontext.Value("{")
		for _, key := range members.names {
			kept := members.values[key]
			if key == name && kept.Kind() == '"' {
				continue
			}
			kept, err := without(kept, name)
			if err != nil {
				return nil, err
			}
			if len(out) > 1 {
				out = append(out, ',')
			}
			out, _ = jsontext.AppendQuote(out, key)
			out = append(append(out, ':'), kept...)
		}
		return append(out, '}'), nil
	case '[':
		var items []jsontext.Value
		if err := json.Unmarshal(v, &items); err != nil {
			return nil, err
		}
		out := jsontext.Value("[")
		for i, item := range items {
			kept, err := without(item, name)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, kept...)
		}
		return append(out, ']'), nil
	}
	return v, nil
}
