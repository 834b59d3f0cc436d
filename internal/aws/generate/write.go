package main

import (
	"bytes"
	"fmt"
	"go/format"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A writer makes one file of Go source. In this order: what the wire has to know of the service, the inputs and outputs of its
// operations, the structures and enums in them, and last the tables that their methods use.
type writer struct {
	service
	model *model
	out   bytes.Buffer

	inputs  map[string]bool // structures and enums that requests hold
	checks  map[string]bool // those of them that check themselves: all but the values of maps, which operations check
	outputs map[string]bool // structures and enums that responses hold
	limits  map[string]bool // shapes whose constraints a check has named

	declared map[string]bool // names of the package, of which no two may be the same
	err      error           // the first thing in the model that this generator does not know
}

// write is the source of a service's types.
func write(s service, m *model) ([]byte, error) {
	w := &writer{
		service: s, model: m,
		inputs: map[string]bool{}, checks: map[string]bool{}, outputs: map[string]bool{},
		limits: map[string]bool{}, declared: map[string]bool{},
	}
	for _, name := range m.Operations.names {
		op := m.Operations.values[name]
		if op.Input == nil {
			return nil, fmt.Errorf("operation %s has no input", name)
		}
		w.reach(w.inputs, op.Input.Shape, true)
		w.reach(w.checks, op.Input.Shape, false)
		if op.Output != nil {
			w.reach(w.outputs, op.Output.Shape, true)
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	w.header()
	if !w.part {
		w.modelVariable()
	}
	w.operations()
	for _, name := range w.parts() {
		w.structure(name, name, "part of requests and responses")
	}
	w.enumerations()
	w.shapeTable()
	w.limitTable()
	if w.err != nil {
		return nil, w.err
	}
	return format.Source(w.out.Bytes())
}

func (w *writer) p(format string, args ...any) { fmt.Fprintf(&w.out, format+"\n", args...) }

func (w *writer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// declare takes a name of the package.
func (w *writer) declare(name string) {
	if w.declared[name] {
		w.fail("the name %s would be declared twice", name)
	}
	w.declared[name] = true
}

// A member of a structure, with what it refers to.
type member struct {
	name     string // in the model, and in messages
	wire     string // on the wire
	location string // there, in the REST-JSON protocol
	field    string // in Go
	shape    string
	of       *shape
	required bool
}

func (w *writer) shape(name string) *shape {
	if s := w.model.Shapes.values[name]; s != nil {
		return s
	}
	w.fail("shape %s is not in the model", name)
	return &shape{}
}

func (w *writer) members(structure string) []member {
	s := w.shape(structure)
	list := make([]member, len(s.Members.names))
	for i, name := range s.Members.names {
		r := s.Members.values[name]
		list[i] = member{name, name, r.Location, exported(name), r.Shape, w.shape(r.Shape), slices.Contains(s.Required, name)}
		if w.speaksREST() && r.Name != "" {
			list[i].wire = r.Name
		}
	}
	return list
}

// reach notes every structure and enum that a value of a shape may hold, also as a value of a map if asked.
func (w *writer) reach(seen map[string]bool, name string, maps bool) {
	switch s := w.shape(name); s.Type {
	case "structure":
		if seen[name] {
			return
		}
		seen[name] = true
		for _, m := range w.members(name) {
			w.reach(seen, m.shape, maps)
		}
	case "list":
		w.reach(seen, s.Member.Shape, maps)
	case "map":
		if maps {
			w.reach(seen, s.Key.Shape, maps)
			w.reach(seen, s.Value.Shape, maps)
		}
	case "string":
		seen[name] = s.Enum != nil
	}
}

// parts are the structures that are neither input nor output of an operation as a whole, sorted.
func (w *writer) parts() []string {
	whole := map[string]bool{}
	for _, op := range w.model.Operations.values {
		whole[op.Input.Shape] = true
		if op.Output != nil {
			whole[op.Output.Shape] = true
		}
	}
	var names []string
	for _, name := range w.sorted() {
		if w.reached(name, "structure") && !whole[name] {
			names = append(names, name)
		}
	}
	return names
}

// reached reports whether an operation holds a shape, and the shape is of a type.
func (w *writer) reached(name, kind string) bool {
	return (w.inputs[name] || w.outputs[name]) && w.shape(name).Type == kind
}

func (w *writer) sorted() []string { return slices.Sorted(slices.Values(w.model.Shapes.names)) }

// exported is a name of the model as one of Go.
func exported(name string) string {
	first, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + name[n:]
}

// constant is the name of an enum's value: RuleStateEnabledWithAllCloudtrailManagementEvents for that of RuleState which is
// written ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS.
func constant(enum, value string) string {
	name := enum
	for word := range strings.FieldsFuncSeq(value, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if word == strings.ToUpper(word) {
			word = strings.ToLower(word)
		}
		name += exported(word)
	}
	return name
}
