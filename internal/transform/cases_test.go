package transform_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// A shapeCase is a target's input and what becomes of it. The files in testdata hold one after the other, in lines that begin
// with a word:
//
//	event     the event for the cases that follow
//	template  \
//	input      | what the target defines; a case begins with the first of these after an outcome
//	inputpath  |
//	whole     /  (nothing at all)
//	paths     the InputPathsMap of the template, as name=path; without this line there is none
//
//	accept    PutTargets takes it
//	refuse    PutTargets answers this
//	give      the target receives this
//	dead      it becomes no JSON, and this is the body of the dead letter
//	nothing   it becomes nothing
//
// The operand begins at column 10, after "event" at column 6, and is verbatim; ↵ in it is a line break.
type shapeCase struct {
	at        string // file and operand, for messages
	event     string
	input     *string
	inputPath *string
	transform *target.Transformer
	outcome   string
	want      string
}

func readCases(t testing.TB, file string) (cases []shapeCase) {
	t.Helper()
	text, err := fs.ReadFile(os.DirFS("testdata"), file)
	if err != nil {
		t.Fatal(err)
	}
	var c shapeCase
	var event string
	for line := range strings.SplitSeq(strings.ReplaceAll(string(text), "↵", "\r"), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		line = strings.ReplaceAll(line, "\r", "\n")
		if e, ok := strings.CutPrefix(line, "event "); ok {
			event = e
			continue
		}
		word, operand, _ := strings.Cut(line, " ")
		if operand = ""; len(line) > 10 {
			operand = line[10:]
		}
		switch word {
		case "input", "inputpath", "template", "whole":
			if c.outcome != "" || c.at == "" {
				c = shapeCase{at: file + ": " + line, event: event}
			}
			switch word {
			case "input":
				c.input = &operand
			case "inputpath":
				c.inputPath = &operand
			case "template":
				c.transform = &target.Transformer{Template: operand}
			}
		case "paths":
			c.transform.Paths = make(map[string]string)
			for pair := range strings.FieldsSeq(operand) {
				name, path, _ := strings.Cut(pair, "=")
				c.transform.Paths[name] = path
			}
		case "accept", "refuse", "give", "dead", "nothing":
			c.outcome, c.want = word, operand
			cases = append(cases, c)
		default:
			t.Fatalf("%s: what is %q?", file, line)
		}
	}
	return cases
}

// definition is the target of a case, on the rule that the cases name.
func (c shapeCase) definition() *target.Definition {
	scope := rialto.Scope{Account: "111122223333", Region: "eu-west-1"}
	return &target.Definition{
		Rule: scope.RuleARN("shop", "paid"), RuleName: "paid", ID: "t",
		Input: c.input, InputPath: c.inputPath, Transformer: c.transform,
	}
}
