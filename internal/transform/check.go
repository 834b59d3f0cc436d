package transform

import (
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/pattern/syntax"
	"github.com/rialto-events/rialto/target"
)

// Check reports, in AWS's words, what is wrong with the input of a target that somebody wants to define. At most one of the three
// may be there; nil is absent. The lengths and characters that the service model prescribes were checked before. Errors are
// of kind [rialto.Invalid].
func Check(id string, input, inputPath *string, transformer *target.Transformer) error {
	n := 0
	for _, given := range [...]bool{input != nil, inputPath != nil, transformer != nil} {
		if given {
			n++
		}
	}
	switch {
	case n > 1:
		return invalid("Only one of Input, InputPath, or InputTransformer must be provided for target %s.", id)
	case input != nil:
		return checkInput(id, *input)
	case inputPath != nil && *inputPath != "": // an empty one is taken; see Compile
		return checkPath(id, *inputPath)
	case transformer != nil:
		return checkTransformer(id, transformer)
	}
	return nil
}

func invalid(format string, args ...any) error { return rialto.Errorf(rialto.Invalid, format, args...) }

func checkInput(id, input string) error {
	if r := (reader{text: []byte(input)}); input != "" && !r.single() {
		return invalid("JSON syntax error in input for target %s: %s", id, syntax.Location(input, r.at))
	}
	return nil
}

func checkPath(id, path string) error {
	if _, err := jsonpath.Parse(path); err != nil {
		return invalid("InputPath for target %s is invalid.", id)
	}
	return nil
}

func checkTransformer(id string, t *target.Transformer) error {
	for _, path := range t.Paths {
		if err := checkPath(id, path); err != nil {
			return err
		}
	}
	parts := split(t.Template)
	for _, p := range parts {
		if err := checkPlaceholder(id, p, t); err != nil {
			return err
		}
	}
	return checkTemplate(id, parts)
}

func checkPlaceholder(id string, p part, t *target.Transformer) error {
	if p.name == "" {
		return nil
	}
	if p.name == eventJSON || p.name == eventEnvelope {
		if p.quoted || !isObject(t.Template) {
			return invalid("InputTemplate for target %s contains placeholder %s valid only for JSON template.", id, eventJSON)
		}
		return nil
	}
	if _, ok := reserved[p.name]; ok || t.Paths == nil {
		return nil
	}
	if _, ok := t.Paths[p.name]; !ok {
		return invalid("InputTemplate for target %s contains invalid placeholder %s.", id, p.name)
	}
	return nil
}

// checkTemplate checks what a template will be around its values: AWS puts a null for every placeholder outside strings, and
// quotes that text if it is no JSON (recorded on AWS).
func checkTemplate(id string, parts []part) error {
	var b strings.Builder
	for _, p := range parts {
		if p.name != "" && !p.quoted {
			b.WriteString("null")
		} else {
			b.WriteString(p.text)
		}
	}
	inName := false
	r := reader{text: []byte(b.String()), name: func(name []byte) { inName = inName || hasPlaceholder(string(name)) }}
	if !r.acceptable() {
		return invalid("Invalid InputTemplate for target %s : %s.", id, syntax.Location(b.String(), r.at))
	}
	if inName {
		return invalid("InputTemplate placeholder present as a JSON object key for target %s.", id)
	}
	return nil
}

func hasPlaceholder(s string) bool {
	for i := range len(s) {
		if placeholderLen(s[i:]) > 0 {
			return true
		}
	}
	return false
}
