package tuning

import (
	"bytes"
	"crypto/sha256"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/rialto-events/rialto/internal/jsonpath"
)

// AppendKey appends what a value of an event, as JSON, is told apart from others by. It is the same for texts that are the same
// however they are escaped, and for numbers that are the same however they are written; the text "1" and the number 1 are two.
// Objects and arrays are told apart by how they are written. A null is no value: nothing is appended, and ok is false.
func AppendKey(dst, value []byte) (key []byte, ok bool) {
	if len(value) == 0 || string(value) == "null" {
		return dst, false
	}
	switch c := value[0]; {
	case c == '"':
		return jsonpath.AppendText(append(dst, '"'), value), true
	case c == '-' || '0' <= c && c <= '9':
		return appendNumber(dst, value), true
	}
	return append(dst, value...), true
}

// Hash hashes a value of an event, as JSON, together with what tells this use of it from others. It is not ok if there is no value.
func Hash(salt, value []byte) (sum [sha256.Size]byte, ok bool) {
	var room [128]byte
	key, ok := AppendKey(append(room[:0], salt...), value)
	if ok {
		sum = sha256.Sum256(key)
	}
	return sum, ok
}

// appendNumber appends a number as its digits without needless zeros and the power of ten that they are multiplied by. Nothing is
// rounded: two that differ in their last digit stay two.
func appendNumber(dst, number []byte) []byte {
	start, mantissa, exponent := len(dst), number, 0
	if i := bytes.IndexAny(number, "eE"); i >= 0 {
		power, err := strconv.Atoi(string(number[i+1:]))
		if err != nil {
			return append(dst, number...) // nobody counts so far
		}
		mantissa, exponent = number[:i], power
	}
	if mantissa[0] == '-' {
		dst, mantissa = append(dst, '-'), mantissa[1:]
	}
	first, whole := len(dst), true
	for _, c := range mantissa {
		switch {
		case c == '.':
			whole = false
			continue
		case !whole:
			exponent--
		}
		if c != '0' || len(dst) > first {
			dst = append(dst, c)
		}
	}
	for len(dst) > first && dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
		exponent++
	}
	if len(dst) == first {
		return append(dst[:start], '0')
	}
	return strconv.AppendInt(append(dst, 'e'), int64(exponent), 10)
}

// Borders between the sorts of numbers that a time to live may be.
const (
	leastUnix   = 1e9               // Unix seconds begin here, in 2001; smaller numbers count from the event
	leastMillis = 1e11              // Unix milliseconds begin here, in 1973; as seconds that would be the year 5138
	mostMillis  = 253_402_300_799e3 // the end of the year 9999
)

// Expiry is when an event ends that was made at a time, by the value of its time to live, as JSON: an instant, which is written by
// RFC 3339 or as Unix seconds or milliseconds; or a span after the event's time, which is a number of seconds, or a text such as
// 30s or PT30S. Numbers may be texts, too. It is not ok if the value is none of these, or says that the event ends before it began
// to live: a time to live that is not above 0 is how many systems write that there is none.
func Expiry(value []byte, made time.Time) (end time.Time, ok bool) {
	if len(value) == 0 {
		return time.Time{}, false
	}
	if value[0] != '"' {
		return expiryOfNumber(string(value), made)
	}
	text := string(jsonpath.AppendText(nil, value))
	if plain(text, true) {
		return expiryOfNumber(text, made)
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), true
	}
	span, err := time.ParseDuration(text)
	if err != nil {
		span, ok = parsePeriod(text)
	}
	return made.Add(span), (err == nil || ok) && span > 0
}

func expiryOfNumber(text string, made time.Time) (end time.Time, ok bool) {
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || !(n > 0) || n > mostMillis:
		return time.Time{}, false
	case n < leastUnix:
		return made.Add(time.Duration(n * float64(time.Second))), true
	case n < leastMillis:
		whole, part := math.Modf(n)
		return time.Unix(int64(whole), int64(part*1e9)).UTC(), true
	}
	return time.UnixMilli(int64(n)).UTC(), true
}

// units are those of a period of ISO 8601 in their order, before and after its T. Years and months are of no certain length.
var (
	dateUnits = []unit{{'W', 7 * 24 * time.Hour}, {'D', 24 * time.Hour}}
	timeUnits = []unit{{'H', time.Hour}, {'M', time.Minute}, {'S', time.Second}}
)

type unit struct {
	letter byte
	span   time.Duration
}

// parsePeriod reads a period of ISO 8601, such as PT30S or P1DT12H.
func parsePeriod(s string) (time.Duration, bool) {
	s, ok := strings.CutPrefix(s, "P")
	date, clock, timed := strings.Cut(s, "T")
	if !ok || date == "" && !timed || timed && clock == "" {
		return 0, false
	}
	days, ok := sumUnits(date, dateUnits)
	hours, fine := sumUnits(clock, timeUnits)
	sum := days + hours
	return time.Duration(sum), ok && fine && sum < math.MaxInt64
}

// sumUnits adds up numbers that stand before the letters of units, each at most once and in their order. The sum is in nanoseconds.
func sumUnits(s string, units []unit) (sum float64, ok bool) {
	for _, u := range units {
		i := strings.IndexByte(s, u.letter)
		if i < 0 {
			continue
		}
		n, ok := parseDecimal(s[:i])
		if !ok {
			return 0, false
		}
		sum += n * float64(u.span)
		s = s[i+1:]
	}
	return sum, s == ""
}
