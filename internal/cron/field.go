package cron

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A field is one of the six parts of cron().
type field struct {
	name     string
	min, max int
	names    string // three-letter names of the values, joined
	year     bool   // does not wrap, and holds more than a set can
}

var (
	minuteField  = field{name: "minutes", min: 0, max: 59}
	hourField    = field{name: "hours", min: 0, max: 23}
	dayField     = field{name: "day of month", min: 1, max: 31}
	monthField   = field{name: "month", min: 1, max: 12, names: "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"}
	weekdayField = field{name: "day of week", min: 1, max: 7, names: "SUNMONTUEWEDTHUFRISAT"}
	yearField    = field{name: "year", min: firstYear, max: lastYear, year: true}
)

// calendar reads what is between the parentheses of cron().
func (d dialect) calendar(s string) (*calendar, error) {
	var parts []string
	if d.strict {
		parts = strings.Split(s, " ")
	} else if parts = strings.Fields(s); len(parts) == 5 {
		parts = append(parts, "*")
	}
	if len(parts) != 6 || strings.TrimSpace(s) != s {
		return nil, fmt.Errorf("%d fields", len(parts))
	}
	if (parts[2] == "?") == (parts[4] == "?") {
		return nil, errors.New("one of day of month and day of week must be ?, and only one")
	}
	years := yearField
	if d.strict {
		years.min, years.max = 0, math.MaxInt32 // documented as 1970 to 2199, but more is accepted (recorded on AWS)
	}
	c := new(calendar)
	var errs [6]error
	c.minutes, errs[0] = d.set(minuteField, parts[0])
	c.hours, errs[1] = d.set(hourField, parts[1])
	c.days, errs[2] = d.monthDays(parts[2])
	c.months, errs[3] = d.set(monthField, parts[3])
	c.weekdays, errs[4] = d.weekDays(parts[4])
	c.years, errs[5] = d.spans(years, parts[5])
	return c, errors.Join(errs[:]...)
}

// monthDays reads the day of month. L and W are not for lists.
func (d dialect) monthDays(s string) (days monthDays, err error) {
	switch offset, fromLast := strings.CutPrefix(s, "L-"); {
	case s == "?":
		return monthDays{}, nil
	case s == "L":
		return monthDays{last: true}, nil
	case s == "LW":
		return monthDays{weekday: true}, nil
	case fromLast:
		n, ok := number(offset)
		if !ok || n > 30 {
			return monthDays{}, fmt.Errorf("day of month %q: L- needs a number from 0 to 30", s)
		}
		return monthDays{last: true, before: n}, nil
	}
	if day, ok := strings.CutSuffix(s, "W"); ok {
		if n, ok := number(day); ok && dayField.has(n) {
			return monthDays{nearest: n}, nil
		}
	}
	days.set, err = d.set(dayField, s)
	return days, err
}

// weekDays reads the day of week. L and # are not for lists.
func (d dialect) weekDays(s string) (days weekDays, err error) {
	switch s {
	case "?":
		return weekDays{}, nil
	case "L":
		return weekDays{set: 1 << saturday}, nil
	}
	if day, nth, ok := strings.Cut(s, "#"); ok {
		days.day, ok = weekdayField.value(day)
		days.nth, err = strconv.Atoi(nth)
		if !ok || err != nil || len(nth) != 1 || days.nth < 1 || days.nth > 5 {
			return weekDays{}, fmt.Errorf("day of week %q: # stands between a day and a number from 1 to 5", s)
		}
		return days, nil
	}
	if day, ok := strings.CutSuffix(s, "L"); ok {
		if days.last, ok = weekdayField.value(day); ok {
			return days, nil
		}
	}
	days.set, err = d.set(weekdayField, s)
	return days, err
}

// set reads a list of values and ranges of a field whose values fit into a set.
func (d dialect) set(f field, s string) (set uint64, err error) {
	spans, err := d.spans(f, s)
	size := f.max - f.min + 1
	for _, sp := range spans {
		for n := sp.first; n <= sp.last; n += sp.step {
			set |= 1 << (f.min + (n-f.min)%size)
		}
	}
	return set, err
}

// spans reads a list of values and ranges. A range that wraps, as 20-2 hours do, goes beyond the maximum of its field.
func (d dialect) spans(f field, s string) ([]span, error) {
	var spans []span
	for item := range strings.SplitSeq(s, ",") {
		sp, ok := d.span(f, item)
		if !ok {
			return nil, fmt.Errorf("%s: %q is not valid", f.name, item)
		}
		spans = append(spans, sp)
	}
	return spans, nil
}

// span reads one item of a list: *, a value or a range, and perhaps a step.
func (d dialect) span(f field, s string) (span, bool) {
	sp := span{first: f.min, last: f.max, step: 1}
	rest, ok := strings.CutPrefix(s, "*")
	ranged := ok
	if !ok {
		if sp.first, rest, ok = f.cut(s); !ok {
			return span{}, false
		}
		sp.last = sp.first
		if end, isRange := strings.CutPrefix(rest, "-"); isRange {
			if sp.last, rest, ok = f.cut(end); !ok {
				return span{}, false
			}
			ranged = true
		}
	}
	if sp.last < sp.first {
		if f.year {
			return span{}, false
		}
		sp.last += f.max - f.min + 1
	}
	if step, stepped := strings.CutPrefix(rest, "/"); stepped {
		if !ranged {
			sp.last = f.max // 5/10 goes on to the end of the field
		}
		return d.stepped(sp, step)
	}
	return sp, rest == "" || d.passesOver(rest, ranged)
}

// stepped adds a step to a span. A step of 0 leaves only the start, and so does one that is too large (recorded on AWS).
func (d dialect) stepped(sp span, s string) (span, bool) {
	digits := leadingDigits(s)
	n, err := strconv.Atoi(s[:digits])
	if digits == 0 || err != nil && !errors.Is(err, strconv.ErrRange) {
		return span{}, false
	}
	if sp.step = n; n == 0 || n > sp.last-sp.first {
		sp.last, sp.step = sp.first, 1
	}
	return sp, digits == len(s) || d.passesOver(s[digits:], true)
}

// passesOver reports whether what follows a value is ignored. L and W right behind a single value mean something in other places,
// and are refused where they mean nothing; behind a range they are ignored (recorded on AWS).
func (d dialect) passesOver(rest string, ranged bool) bool {
	return d.strict && !strings.ContainsAny(rest, "*?/#-") && (ranged || rest[0] != 'L' && rest[0] != 'W')
}

// cut reads the value at the beginning of s: a number or a name.
func (f field) cut(s string) (n int, rest string, ok bool) {
	if digits := leadingDigits(s); digits > 0 {
		n, ok = number(s[:digits])
		return n, s[digits:], ok && f.has(n)
	}
	if len(s) < 3 {
		return 0, "", false
	}
	name := strings.ToUpper(s[:3])
	for i := 0; i < len(f.names); i += 3 {
		if f.names[i:i+3] == name {
			return f.min + i/3, s[3:], true
		}
	}
	return 0, "", false
}

// value reads a number or a name with nothing behind it.
func (f field) value(s string) (int, bool) {
	n, rest, ok := f.cut(s)
	return n, ok && rest == ""
}

func (f field) has(n int) bool { return f.min <= n && n <= f.max }

func number(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && leadingDigits(s) == len(s)
}

func leadingDigits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }
