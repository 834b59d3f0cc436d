package slow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// A Leaf is a value of an event that is no object and no array.
type Leaf struct {
	Path  string   // keys joined with '.'; arrays add nothing
	Value any      // nil, bool, string or json.Number
	In    *Element // the innermost array element it lies in, or nil
}

// An Element is a place in an array of an event.
type Element struct {
	Array   int // numbers the arrays of an event in the order of their brackets
	Index   int
	PathLen int      // the array's own path is that much of the path of the leaf
	Outer   *Element // the element that the array lies in, or nil
}

// Leaves returns the leaves of an event, which must be a JSON object, in the order of the text. Every occurrence of a
// duplicate key counts. Empty objects and arrays have no leaves. Brackets may nest as deep as encoding/json allows,
// which is 10,000; AWS promises 1,000.
func Leaves(event []byte) ([]Leaf, error) {
	return leaves(event, func([]byte) bool { return true })
}

// Paths calls visit with the path of each leaf of an event. The path is only valid until visit returns.
func Paths(event []byte, visit func(path []byte)) error {
	_, err := leaves(event, func(path []byte) bool {
		visit(path)
		return false
	})
	return err
}

// leaves returns the leaves at those paths that are wanted.
func leaves(event []byte, wanted func(path []byte) bool) ([]Leaf, error) {
	if !json.Valid(event) {
		return nil, errors.New("the event is not JSON")
	}
	r := &reader{dec: json.NewDecoder(bytes.NewReader(event)), wanted: wanted}
	r.dec.UseNumber()
	if t, err := r.dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the event is not a JSON object")
	}
	if err := r.object(true, nil); err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	return r.leaves, nil
}

type reader struct {
	dec    *json.Decoder
	wanted func(path []byte) bool
	path   []byte // of the value being read
	arrays int    // found so far
	leaves []Leaf
}

// value reads what the next token begins.
func (r *reader) value(in *Element) error {
	t, err := r.dec.Token()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('{'):
		return r.object(false, in)
	case json.Delim('['):
		return r.array(in)
	}
	if r.wanted(r.path) {
		r.leaves = append(r.leaves, Leaf{string(r.path), t, in})
	}
	return nil
}

// object reads the members of an object, and its closing brace. Those of the event itself, the root, have paths without
// a dot.
func (r *reader) object(root bool, in *Element) error {
	outer := len(r.path)
	for r.dec.More() {
		key, err := r.dec.Token()
		if err != nil {
			return err
		}
		if !root {
			r.path = append(r.path, '.')
		}
		r.path = append(r.path, key.(string)...)
		if err := r.value(in); err != nil {
			return err
		}
		r.path = r.path[:outer]
	}
	_, err := r.dec.Token()
	return err
}

// array reads the elements of an array, and its closing bracket.
func (r *reader) array(in *Element) error {
	array := r.arrays
	r.arrays++
	for i := 0; r.dec.More(); i++ {
		if err := r.value(&Element{Array: array, Index: i, PathLen: len(r.path), Outer: in}); err != nil {
			return err
		}
	}
	_, err := r.dec.Token()
	return err
}
