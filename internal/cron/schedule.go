// Package cron reads the schedule expressions of EventBridge and finds the times that they mean.
//
// There are three forms, and two services that read them differently:
//
//	rate(5 minutes)                a fixed interval, counted from a moment; see [Schedule.From]
//	cron(0 10 ? * MON-FRI *)       minutes, hours, day of month, month, day of week, year
//	at(2030-01-01T09:00:00)        once
//
// [ParseRule] is strict in form, as PutRule is, and lenient with what stands in a field, as PutRule is too. [Parse] takes what
// EventBridge Scheduler takes. Both answer with AWS's words; the cause of their errors says which part is at fault.
//
// The package is pure: time is handed in. It promises that [Schedule.Next] ends soon for every expression that was parsed, also
// for those that never fire, such as the 31st of February.
package cron

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
)

// Limits of expressions.
const (
	firstYear = 1970 // of a schedule (EventBridge user guide, "Cron expressions")
	lastYear  = 2199 // of a schedule (same page); a rate or a cron() does not fire later

	maxRate = 1<<31 - 1 // of the number in rate() (recorded on AWS)
	maxText = 256       // characters of an expression, by the service models
)

// A Schedule is a parsed expression. The zero value never fires.
type Schedule struct {
	every    int64     // seconds; 0 if it is not a rate
	from     time.Time // that a rate counts from
	once     time.Time // of at(): the wall clock, written as UTC; zero if it is not one
	calendar *calendar // of cron(); nil if it is not one
	zone     *time.Location
}

// ParseRule reads the expression of a rule. A rule has no at(), its cron() has six fields, and the unit of its rate() must agree
// with the number.
func ParseRule(text string) (Schedule, error) {
	s, err := parse(text, dialect{strict: true})
	if err != nil {
		return Schedule{}, &rialto.Error{Kind: rialto.Invalid, Message: "Parameter ScheduleExpression is not valid.", Cause: err}
	}
	return s, nil
}

// Parse reads the expression of a schedule of EventBridge Scheduler.
func Parse(text string) (Schedule, error) {
	s, err := parse(text, dialect{})
	if err != nil {
		return Schedule{}, &rialto.Error{Kind: rialto.Invalid, Message: "Invalid Schedule Expression " + text + ".", Cause: err}
	}
	return s, nil
}

// A dialect is how one of the two services reads expressions.
type dialect struct {
	// strict asks for the keyword in lower case, single blanks, six fields and units that agree. A strict reader passes over what
	// follows a value inside a field, so that MONDAY is MON (recorded on AWS); the other one refuses it.
	strict bool
}

func parse(text string, d dialect) (Schedule, error) {
	if len(text) > maxText {
		return Schedule{}, fmt.Errorf("longer than %d characters", maxText)
	}
	keyword, rest, opened := strings.Cut(text, "(")
	inside, closed := strings.CutSuffix(rest, ")")
	if !opened || !closed {
		return Schedule{}, errors.New("not of the form keyword(...)")
	}
	if !d.strict {
		keyword = strings.ToLower(keyword)
	}
	switch {
	case keyword == "rate":
		return d.rate(inside)
	case keyword == "cron":
		c, err := d.calendar(inside)
		return Schedule{calendar: c}, err
	case keyword == "at" && !d.strict:
		return at(inside)
	}
	return Schedule{}, fmt.Errorf("%q is no kind of schedule", keyword)
}

var unitSeconds = map[string]int64{"minute": 60, "hour": 60 * 60, "day": 24 * 60 * 60}

func (d dialect) rate(s string) (Schedule, error) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	n, err := strconv.ParseInt(s[:digits], 10, 64)
	if err != nil || n < 1 || n > maxRate {
		return Schedule{}, fmt.Errorf("%q is not a number from 1 to %d", s[:digits], maxRate)
	}
	unit, spaced := strings.CutPrefix(s[digits:], " ")
	one, plural := strings.CutSuffix(unit, "s")
	seconds, ok := unitSeconds[one]
	if !ok || d.strict && (!spaced || plural != (n > 1)) {
		return Schedule{}, fmt.Errorf("%q is not a unit for %d", unit, n)
	}
	return Schedule{every: n * seconds}, nil
}

func at(s string) (Schedule, error) {
	for _, layout := range [...]string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
		// The length keeps out fractions of a second, which time.Parse accepts where the layout has none.
		if t, err := time.Parse(layout, s); err == nil && len(s) == len(layout) {
			return Schedule{once: t}, nil
		}
	}
	return Schedule{}, fmt.Errorf("%q is not of the form 2030-01-01T09:00:00", s)
}

// Once reports whether the schedule is an at().
func (s Schedule) Once() bool { return !s.once.IsZero() }

// Rate reports whether the schedule is a rate().
func (s Schedule) Rate() bool { return s.every > 0 }

// From says what a rate counts from: it fires at t, and then after each interval. Other schedules are not touched by it.
func (s Schedule) From(t time.Time) Schedule {
	s.from = t
	return s
}

// In says where the wall clock hangs that cron() and at() mean; without it that is UTC. A time that a zone leaves out when its
// clocks go forward does not happen on that day; one that comes twice counts at the first (Scheduler user guide, "Daylight
// savings time").
func (s Schedule) In(zone *time.Location) Schedule {
	s.zone = zone
	return s
}

// Next is the first time after the one given at which the schedule fires, if there is one.
func (s Schedule) Next(after time.Time) (time.Time, bool) {
	switch {
	case s.every > 0:
		return s.nextInterval(after)
	case s.calendar != nil:
		return s.nextDate(after)
	case !s.once.IsZero():
		t, ok := instant(s.once, s.location())
		return t, ok && t.After(after)
	}
	return time.Time{}, false
}

// nextInterval counts in seconds, since a rate may be longer than a time.Duration.
func (s Schedule) nextInterval(after time.Time) (time.Time, bool) {
	next := s.from
	if !next.After(after) {
		passed := (after.Unix() - s.from.Unix()) / s.every
		next = s.plus(passed)
		if !next.After(after) {
			next = s.plus(passed + 1)
		}
	}
	return next.UTC(), next.Year() <= lastYear
}

func (s Schedule) plus(intervals int64) time.Time {
	return time.Unix(s.from.Unix()+intervals*s.every, int64(s.from.Nanosecond())).UTC()
}

func (s Schedule) nextDate(after time.Time) (time.Time, bool) {
	zone := s.location()
	wall := wallClock(after.In(zone)).Truncate(time.Minute)
	for {
		var ok bool
		if wall, ok = s.calendar.from(wall); !ok {
			return time.Time{}, false
		}
		if t, ok := instant(wall, zone); ok && t.After(after) {
			return t, true
		}
		wall = wall.Add(time.Minute)
	}
}

func (s Schedule) location() *time.Location {
	if s.zone == nil {
		return time.UTC
	}
	return s.zone
}

// wallClock is what a clock shows at t, written as UTC.
func wallClock(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// instant is the first moment at which the clocks of a zone show the wall time, if they ever do. A zone changes its offset at
// most once within two days, so the offset is either that of the day before or that of the day after.
func instant(wall time.Time, zone *time.Location) (first time.Time, ok bool) {
	for _, near := range [...]time.Time{wall.Add(-24 * time.Hour), wall.Add(24 * time.Hour)} {
		_, offset := near.In(zone).Zone()
		t := wall.Add(-time.Duration(offset) * time.Second)
		if wallClock(t.In(zone)).Equal(wall) && (!ok || t.Before(first)) {
			first, ok = t, true
		}
	}
	return first, ok
}
