package syntax

import "fmt"

// wildcard parses the operand of wildcard: * is any run of bytes, \* and \\ are themselves. Positions in errors count
// from the opening quote.
func wildcard(text string) (Test, error) {
	t := Test{Op: Wildcard, Text: text}
	var part []byte
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '*':
			if i+1 < len(text) && text[i+1] == '*' {
				return Test{}, fmt.Errorf("Consecutive wildcard characters at pos %d", i+1)
			}
			t.Parts = append(t.Parts, string(part))
			part = nil
		case '\\':
			if i+1 == len(text) || text[i+1] != '*' && text[i+1] != '\\' {
				return Test{}, fmt.Errorf("Invalid escape character at pos %d", i+1)
			}
			i++
			part = append(part, text[i])
		default:
			part = append(part, c)
		}
	}
	t.Parts = append(t.Parts, string(part))
	return t, nil
}
