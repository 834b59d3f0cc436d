package main

import (
	"fmt"
	"regexp"
	"strings"
)

// lineEnds are what a dot does not match in Java, where the patterns of the models come from. In Go it is \n alone.
const lineEnds = `\n\r\x{85}\x{2028}\x{2029}`

// translate turns a pattern that Java matches against a whole string into one that Go matches the same way. The two differ in
// the dot, in \s, which has the vertical tab in Java only, and in look-ahead, which services.go replaces by hand.
func translate(pattern string) (string, error) {
	if other, ok := patterns[pattern]; ok {
		pattern = other
	}
	var b strings.Builder
	class := false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i++
			switch {
			case pattern[i] != 's':
				b.WriteString(pattern[i-1 : i+1])
			case class:
				b.WriteString(`\s\x0B`)
			default:
				b.WriteString(`[\s\x0B]`)
			}
		case c == '.' && !class:
			b.WriteString("[^" + lineEnds + "]")
		default:
			if c == '[' {
				if class {
					return "", fmt.Errorf("%s: a class within a class means something else in Java", pattern)
				}
				class = true
			} else if c == ']' {
				class = false
			}
			b.WriteByte(c)
		}
	}
	_, err := regexp.Compile(b.String())
	return b.String(), err
}
