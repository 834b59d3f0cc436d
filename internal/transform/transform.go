// Package transform makes what a target receives: the event itself, a constant (Input), a part of the event (InputPath) or a
// template filled with parts of the event (InputTransformer).
//
// It has two halves. When a target is defined, [Check] refuses what AWS refuses, in AWS's words. When an event goes to a target,
// the [Transform] that [Compile] made of its definition shapes the payload:
//
//	event ──► find the values of the paths ──► fill the template ──► still JSON? ──► payload
//	                                                                     └─ no ──► INVALID_JSON, with the broken text
//
// The package is pure: the same definition, event and time of admission give the same bytes, today and in a year. That is why
// a payload need not be stored beside its event.
package transform

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/target"
)

// ErrEmpty is what [Transform.Apply] ends with if a template comes to nothing, such as a lone placeholder whose value is missing.
// AWS neither delivers that nor writes it to the dead-letter queue (recorded on AWS).
var ErrEmpty = errors.New("the input transformer made an empty text, which is not delivered")

// A Transform shapes the payload for one target. It is safe for concurrent use.
type Transform struct {
	path     *jsonpath.Path // of an InputPath
	constant []byte         // an Input
	template *template      // of an InputTransformer
}

// Compile makes the transform of a definition that [Check] has passed. It fails if a path is none.
func Compile(def *target.Definition) (*Transform, error) {
	switch {
	case def.Transformer != nil:
		template, err := compileTemplate(def)
		if err != nil {
			return nil, fmt.Errorf("compile the input transformer of target %s: %w", def.ID, err)
		}
		return &Transform{template: template}, nil
	case def.InputPath != nil && *def.InputPath == "":
		return &Transform{constant: emptyObject}, nil // AWS takes this path, and it leads nowhere (recorded on AWS)
	case def.InputPath != nil:
		path, err := jsonpath.Parse(*def.InputPath)
		if err != nil {
			return nil, fmt.Errorf("compile the input path of target %s: %w", def.ID, err)
		}
		return &Transform{path: &path}, nil
	case def.Input != nil && *def.Input != "":
		return &Transform{constant: []byte(*def.Input)}, nil
	}
	return &Transform{}, nil // AWS takes an empty Input too; what it delivers was not seen, and the event is the likeliest
}

// Apply makes the payload of an event that was admitted at the given time. The payload may share memory with the event or with
// the transform; nobody may change it.
//
// A text that is no JSON comes with a permanent [target.Error], and is then the body of the dead letter. For [ErrEmpty] there is
// nothing to deliver.
func (t *Transform) Apply(event []byte, ingested time.Time) (payload []byte, err error) {
	switch {
	case t.template != nil:
		return t.template.render(event, ingested)
	case t.path != nil:
		value, ok := t.path.Find(event)
		if !ok || bytes.Equal(value, null) {
			return emptyObject, nil
		}
		return value, nil
	case t.constant != nil:
		return t.constant, nil
	}
	return event, nil
}

var (
	emptyObject = []byte("{}")
	null        = []byte("null")
)

// Value is the value of a dynamic parameter, such as a header or a message group: if s is wholly a path that begins with "$.",
// the text of what it leads to in the event, which is empty if that is missing or null; else s itself.
func Value(s string, event []byte) string {
	if len(s) < 3 || s[:2] != "$." {
		return s
	}
	path, err := jsonpath.Parse(s)
	if err != nil {
		return s
	}
	value, ok := path.Find(event)
	if !ok || bytes.Equal(value, null) {
		return ""
	}
	return string(jsonpath.AppendText(nil, value))
}
