// Package jsonpath finds values in events by the paths that EventBridge takes: in InputPath, in the paths of an input transformer
// and in dynamic parameters.
//
// It is a small language, of which AWS accepts these forms and refuses all others (recorded on AWS):
//
//	$              the whole event
//	.name          a member; letters, digits, _, - and / only, so that keys with other characters cannot be reached
//	[3]            an element of an array, the first being 0
//	[*]            every element of an array; the result becomes an array
//
// Paths are found in the bytes of the event, without decoding it: what [Path.Find] returns is a slice of them, unless the path
// has a [*]. Events are expected to be valid, compact JSON, as they are after they were accepted. Of anything else the answer may
// be nonsense, but never a panic. Start with [Parse].
package jsonpath

import (
	"fmt"
	"strconv"
	"strings"
)

// A Path leads to a value of an event. The zero Path leads to the event itself.
type Path struct {
	steps []step
	text  string
}

// A step goes from a value to one inside it, or to all elements of an array.
type step struct {
	kind  kind
	name  string // of a member
	index int    // of an element
}

type kind uint8

const (
	member kind = iota
	element
	every
)

// Parse reads a path.
func Parse(s string) (Path, error) {
	rest, ok := strings.CutPrefix(s, "$")
	if !ok {
		return Path{}, fmt.Errorf("path %q does not start with $", s)
	}
	p := Path{text: s}
	for rest != "" {
		var next step
		switch rest[0] {
		case '.':
			next, rest, ok = cutMember(rest[1:])
		case '[':
			next, rest, ok = cutIndex(rest[1:])
		default:
			ok = false
		}
		if !ok {
			return Path{}, fmt.Errorf("path %q is not made of .name, [number] and [*]", s)
		}
		p.steps = append(p.steps, next)
	}
	return p, nil
}

// String is the path as it was parsed.
func (p Path) String() string {
	if p.text == "" {
		return "$"
	}
	return p.text
}

func cutMember(s string) (m step, rest string, ok bool) {
	n := 0
	for n < len(s) && nameByte(s[n]) {
		n++
	}
	return step{kind: member, name: s[:n]}, s[n:], n > 0
}

func nameByte(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '/'
}

func cutIndex(s string) (e step, rest string, ok bool) {
	inside, rest, ok := strings.Cut(s, "]")
	if !ok {
		return step{}, "", false
	}
	if inside == "*" {
		return step{kind: every}, rest, true
	}
	n, err := strconv.ParseUint(inside, 10, 31)
	return step{kind: element, index: int(n)}, rest, err == nil
}
