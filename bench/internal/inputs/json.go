package inputs

import (
	"fmt"
	"strconv"
)

// lines collects events one behind the other, as if they had been read from a file, so that memory is gone through in order.
type lines struct {
	text []byte
	ends []int
}

func (l *lines) end() { l.ends = append(l.ends, len(l.text)) }

func (l *lines) all() [][]byte {
	all, start := make([][]byte, len(l.ends)), 0
	for i, end := range l.ends {
		all[i] = l.text[start:end:end]
		start = end
	}
	return all
}

// An ob is a JSON object: keys and values by turns, in the order given.
type ob []any

func o(kv ...any) ob { return kv }

func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case ob:
		b = append(b, '{')
		for i := 0; i < len(v); i += 2 {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, v[i].(string))
			b = append(b, ':')
			b = appendJSON(b, v[i+1])
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, e)
		}
		return append(b, ']')
	case []string:
		return appendJSON(b, list(v...))
	case string:
		return appendString(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case float64:
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	case bool:
		return strconv.AppendBool(b, v)
	case nil:
		return append(b, "null"...)
	}
	panic(fmt.Sprintf("%T", v))
}

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < 0x20:
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func list[T any](xs ...T) []any {
	out := make([]any, len(xs))
	for i, x := range xs {
		out[i] = x
	}
	return out
}
