// Package cases reads the files of pattern/testdata: patterns, with events that match them and events that do not, and
// patterns that are refused, with the reason AWS gives.
//
// The files are plain lines, so that any implementation can run them. A line begins with a word; what follows after
// blanks is its operand, verbatim.
//
//	# > and < leave the ends out (EventBridge user guide)
//	pattern  {"detail": {"price": [{"numeric": [">", 0, "<", 5]}]}}
//	match    {"detail": {"price": 4.99}}
//	no match {"detail": {"price": 5}}
//
//	# brackets must be closed (recorded on AWS)
//	invalid  {"detail": {"price": []}}
//	reason   Empty arrays are not allowed
//	column   23
//
// A comment names what the case is about and its source; it stands for the cases that follow up to the next. A pattern
// without events is one that must be accepted. A reason may be several lines long: \n stands for a line break in it.
// The column is that of the message on line 1; it is "none" if the message has no place, and given twice if the message
// says twice where; without a column line any place will do. Start with [Read].
package cases

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// A Case is a pattern and what is expected of it.
type Case struct {
	Name    string // file and line
	Comment string
	Pattern string
	Match   []string // events that match
	NoMatch []string // events that do not
	Invalid bool     // the pattern is refused
	Reason  string   // why, if known
	Columns []int    // where, if known: one column, two if it is told twice, or 0 for nowhere
}

// Read reads the .txt files in a directory.
func Read(dir fs.FS) ([]Case, error) {
	names, err := fs.Glob(dir, "*.txt")
	if err != nil {
		return nil, err
	}
	var all []Case
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		cases, err := parse(name, string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, cases...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no cases in %v", names)
	}
	return all, nil
}

// words are what lines begin with. A longer word comes before one that it begins with.
var words = []string{"#", "pattern", "match", "no match", "invalid", "reason", "column"}

func parse(name, text string) ([]Case, error) {
	var cases []Case
	comment, commentAt := "", -1
	for i, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		at := fmt.Sprintf("%s:%d", name, i+1)
		word, operand, err := split(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		switch word {
		case "#":
			if commentAt == i-1 {
				operand = comment + " " + operand
			}
			comment, commentAt = operand, i
		case "pattern", "invalid":
			if comment == "" {
				return nil, fmt.Errorf("%s: no comment says what the case is about and where it is from", at)
			}
			cases = append(cases, Case{Name: at, Comment: comment, Pattern: operand, Invalid: word == "invalid"})
		default:
			if len(cases) == 0 {
				return nil, fmt.Errorf("%s: %s before a pattern", at, word)
			}
			if err := cases[len(cases)-1].add(word, operand); err != nil {
				return nil, fmt.Errorf("%s: %w", at, err)
			}
		}
	}
	return cases, nil
}

func split(line string) (word, operand string, err error) {
	for _, w := range words {
		if rest, ok := strings.CutPrefix(line, w); ok && (rest == "" || rest[0] == ' ') {
			return w, strings.TrimLeft(rest, " "), nil
		}
	}
	return "", "", fmt.Errorf("unknown line %q", line)
}

// add takes in a line about the case.
func (c *Case) add(word, operand string) error {
	if event := word == "match" || word == "no match"; event == c.Invalid {
		return fmt.Errorf("%s does not go with this kind of case", word)
	}
	switch word {
	case "match":
		c.Match = append(c.Match, operand)
	case "no match":
		c.NoMatch = append(c.NoMatch, operand)
	case "reason":
		c.Reason = strings.ReplaceAll(operand, `\n`, "\n")
	case "column":
		for s := range strings.FieldsSeq(operand) {
			n, err := strconv.Atoi(s)
			if err != nil && s != "none" {
				return fmt.Errorf("column %q is no number", s)
			}
			c.Columns = append(c.Columns, n)
		}
	}
	return nil
}

// Message is the whole text of AWS for an invalid case, or "" if its reason or its column is not known.
func (c *Case) Message() string {
	if c.Reason == "" || c.Columns == nil {
		return ""
	}
	m := "Event pattern is not valid. Reason: " + c.Reason
	for _, column := range c.Columns {
		if column > 0 {
			m += fmt.Sprintf("\n at [Source: (String)\"%s\"; line: 1, column: %d]", c.Pattern, column)
		}
	}
	return m
}

// Envelope gives an event the members that TestEventPattern requires, as far as it lacks them.
func Envelope(event string) string {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(event), &members) != nil {
		return event
	}
	var missing []string
	for _, m := range [...][2]string{
		{"id", "00000000-0000-0000-0000-000000000001"},
		{"detail-type", "a case"},
		{"source", "cases"},
		{"account", "111122223333"},
		{"time", "2026-01-01T00:00:00Z"},
		{"region", "eu-west-1"},
	} {
		if _, ok := members[m[0]]; !ok {
			missing = append(missing, fmt.Sprintf("%q:%q", m[0], m[1]))
		}
	}
	if len(members) > 0 {
		missing = append(missing, "")
	}
	return "{" + strings.Join(missing, ",") + strings.TrimSpace(event)[1:]
}
