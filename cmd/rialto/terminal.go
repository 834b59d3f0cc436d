package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/pflag"
)

// An outputFormat is how a command writes its results.
type outputFormat string

const (
	asText   outputFormat = "text"
	asPretty outputFormat = "pretty"
	asTable  outputFormat = "table"
	asJSON   outputFormat = "json"
)

// declare adds the flag --output; the first of the formats is the default.
func (o *outputFormat) declare(fs *pflag.FlagSet, formats ...outputFormat) {
	*o = formats[0]
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = string(f)
	}
	fs.Var(&choice{(*string)(o), names}, "output", "`FORMAT` Write results as "+strings.Join(names, " or ")+".")
}

// A choice is a flag that is one of several words.
type choice struct {
	value *string
	of    []string
}

func (c *choice) String() string { return *c.value }
func (c *choice) Type() string   { return "string" }

func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("it takes %s", strings.Join(c.of, " or "))
	}
	*c.value = s
	return nil
}

// A count is a flag of a whole number from 1; 0 is that it was not given.
type count int

func (c *count) String() string { return strconv.Itoa(int(*c)) }
func (c *count) Type() string   { return "count" }

func (c *count) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return errors.New("it takes a whole number from 1")
	}
	*c = count(n)
	return nil
}

// A past is a flag of how long ago something was; 0 is that it was not given.
type past time.Duration

func (p *past) String() string { return time.Duration(*p).String() }
func (p *past) Type() string   { return "past" }

func (p *past) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return errors.New("it takes a time such as 15s or 2m")
	}
	*p = past(d)
	return nil
}

// isTerminal reports whether somebody looks at what is written to w.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(f.Fd())
}

// widthOf is how many columns w shows, or otherwise if it is no terminal.
func widthOf(w io.Writer, otherwise int) int {
	if f, ok := w.(*os.File); ok && term.IsTerminal(f.Fd()) {
		if width, _, err := term.GetSize(f.Fd()); err == nil && width > 0 {
			return width
		}
	}
	return otherwise
}

// colored returns a writer that leaves in what is written the colours that w can show: none if it is no terminal, or if
// NO_COLOR is set.
func colored(w io.Writer) io.Writer { return colorprofile.NewWriter(w, os.Environ()) }

// printable replaces what could command a terminal: events are written by strangers.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return '·'
		}
		return r
	}, s)
}

// shorten cuts s to a number of columns, and shows that it did.
func shorten(s string, columns int) string { return ansi.Truncate(s, columns, "…") }

func spaces(n int) string { return strings.Repeat(" ", max(0, n)) }
