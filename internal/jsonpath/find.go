package jsonpath

import (
	"bytes"
	"iter"
)

// Find returns the value that the path leads to, and whether there is one. A null is a value. Of several members with one name
// the last counts, as everywhere on AWS but in event patterns.
//
// Without [*] the value is a slice of the event. With [*] it is a new array of what the rest of the path leads to in each
// element; elements in which it leads nowhere are left out, and arrays within arrays become one.
func (p Path) Find(event []byte) (value []byte, ok bool) {
	value, ok = whole(event)
	if !ok {
		return nil, false
	}
	steps := p.steps
	for len(steps) > 0 && steps[0].kind != every {
		if value, ok = steps[0].from(value); !ok {
			return nil, false
		}
		steps = steps[1:]
	}
	if len(steps) == 0 {
		return value, true
	}
	if value[0] != '[' {
		return nil, false
	}
	return append(collect([]byte{'['}, value, steps), ']'), true
}

// collect appends the values that the steps lead to from a value, each with a comma before it unless it is the first.
func collect(dst, value []byte, steps []step) []byte {
	for i, s := range steps {
		if s.kind == every {
			for _, e := range elements(value) {
				dst = collect(dst, e, steps[i+1:])
			}
			return dst
		}
		var ok bool
		if value, ok = s.from(value); !ok {
			return dst
		}
	}
	if len(dst) > 1 {
		dst = append(dst, ',')
	}
	return append(dst, value...)
}

// from takes the step from a value, which is not empty.
func (s step) from(value []byte) (inner []byte, ok bool) {
	if s.kind == member {
		for name, v := range Members(value) {
			if isNamed(name, s.name) {
				inner, ok = v, true
			}
		}
		return inner, ok
	}
	for i, v := range elements(value) {
		if i == s.index {
			return v, true
		}
	}
	return nil, false
}

// isNamed compares a member's name, as it is written between its quotes, with that of a path.
func isNamed(written []byte, name string) bool {
	if bytes.IndexByte(written, '\\') < 0 {
		return string(written) == name
	}
	var room [64]byte
	return string(appendUnescaped(room[:0], written)) == name
}

// Members yields the members of an object in their order: the names as they are written between their quotes, and the values. Of a
// value that is no object it yields nothing, and of a damaged one the members before the damage.
func Members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		i := skipSpace(object, 0)
		if i == len(object) || object[i] != '{' {
			return
		}
		for i++; ; {
			i = skipSpace(object, i)
			if i == len(object) || object[i] != '"' {
				return
			}
			nameEnd := skipString(object, i)
			start := skipSpace(object, nameEnd)
			if start == len(object) || object[start] != ':' {
				return
			}
			start = skipSpace(object, start+1)
			end := skipValue(object, start)
			if end == start || !yield(object[i+1:nameEnd-1], object[start:end:end]) {
				return
			}
			i = skipSpace(object, end)
			if i == len(object) || object[i] != ',' {
				return
			}
			i++
		}
	}
}

// elements yields the elements of an array, in the manner of [Members].
func elements(array []byte) iter.Seq2[int, []byte] {
	return func(yield func(i int, value []byte) bool) {
		if array[0] != '[' {
			return
		}
		for n, i := 0, 1; ; n++ {
			start := skipSpace(array, i)
			end := skipValue(array, start)
			if end == start || !yield(n, array[start:end:end]) {
				return
			}
			i = skipSpace(array, end)
			if i == len(array) || array[i] != ',' {
				return
			}
			i++
		}
	}
}

// whole is the value that a text consists of.
func whole(text []byte) (value []byte, ok bool) {
	start := skipSpace(text, 0)
	end := skipValue(text, start)
	return text[start:end:end], end > start
}

// skipValue returns where the value that starts at i ends; that is i if there is none. Brackets are only counted, so that no
// nesting is too deep for the stack.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch c := b[i]; c {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
		case ',', ':', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
			i++
			continue
		default:
			i = skipWord(b, i)
		}
		if depth == 0 {
			return i
		}
	}
	return i
}

// skipString returns where the string whose quote is at i ends.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			break
		}
		i += n
		back := i
		for b[back-1] == '\\' {
			back--
		}
		if (i-back)%2 == 0 {
			return i + 1
		}
	}
	return len(b)
}

// skipWord returns where a number, true, false or null ends.
func skipWord(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch b[i] {
		case ',', ':', ']', '}', '[', '{', '"', ' ', '\n', '\t', '\r':
			return i
		}
	}
	return i
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}
