package cron

import (
	"math/bits"
	"time"
)

// A calendar is the times that cron() means, on a wall clock. Sets of small numbers are bits: bit 9 of hours is nine o'clock.
type calendar struct {
	minutes  uint64
	hours    uint64
	days     monthDays
	months   uint64
	weekdays weekDays
	years    []span
}

// A span is every step-th number from first to last.
type span struct{ first, last, step int }

func (s span) has(n int) bool { return s.first <= n && n <= s.last && (n-s.first)%s.step == 0 }

// monthDays says which days of a month count. The zero value is "?": the days of the week decide.
type monthDays struct {
	set     uint64 // days by number
	last    bool   // L: the last day, or with before some days before that
	before  int
	nearest int  // 15W: the weekday nearest to it, within the month
	weekday bool // LW: the last weekday
}

// weekDays says which days of the week count, 1 being Sunday. The zero value is "?": the days of the month decide.
type weekDays struct {
	set  uint64
	last int // 6L: the last such day of the month
	day  int // 2#1: the nth such day of the month
	nth  int
}

// from is the first time of the calendar that is not before t, if there is one.
func (c *calendar) from(t time.Time) (time.Time, bool) {
	year, month, day := t.Date()
	minute := t.Hour()*60 + t.Minute()
	for y := max(year, firstYear); y <= lastYear; y++ {
		if !c.inYear(y) {
			continue
		}
		for m := time.January; m <= time.December; m++ {
			if c.months>>m&1 == 0 || y == year && m < month {
				continue
			}
			days := c.daysOf(y, m)
			if y == year && m == month {
				days &= ^uint64(0) << day
			}
			for ; days != 0; days &= days - 1 {
				d, earliest := bits.TrailingZeros64(days), 0
				if y == year && m == month && d == day {
					earliest = minute
				}
				if at, ok := c.timeOf(earliest); ok {
					return time.Date(y, m, d, 0, at, 0, 0, time.UTC), true
				}
			}
		}
	}
	return time.Time{}, false
}

func (c *calendar) inYear(y int) bool {
	for _, s := range c.years {
		if s.has(y) {
			return true
		}
	}
	return false
}

// timeOf is the first time of day, in minutes, that is not before another.
func (c *calendar) timeOf(earliest int) (minute int, ok bool) {
	for h := earliest / 60; h < 24; h++ {
		if c.hours>>h&1 == 0 {
			continue
		}
		minutes := c.minutes
		if h == earliest/60 {
			minutes &= ^uint64(0) << (earliest % 60)
		}
		if minutes != 0 {
			return h*60 + bits.TrailingZeros64(minutes), true
		}
	}
	return 0, false
}

// daysOf is the set of the days of a month that count.
func (c *calendar) daysOf(y int, m time.Month) uint64 {
	month := newMonth(y, m)
	return c.days.of(month) | c.weekdays.of(month)
}

// A month is what has to be known of one.
type month struct {
	length int
	first  int // day of the week of the first, 1 being Sunday
}

func newMonth(y int, m time.Month) month {
	first := time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	return month{length: first.AddDate(0, 1, -1).Day(), first: int(first.Weekday()) + 1}
}

// weekday is the day of the week of a day.
func (m month) weekday(day int) int { return (m.first+day-2)%7 + 1 }

func (m month) has(day int) bool { return 1 <= day && day <= m.length }

const (
	sunday   = 1
	saturday = 7
)

func (d monthDays) of(m month) uint64 {
	switch {
	case d.weekday:
		return 1 << m.nearestWeekday(m.length)
	case d.last && m.has(m.length-d.before):
		return 1 << (m.length - d.before)
	case m.has(d.nearest):
		return 1 << m.nearestWeekday(d.nearest)
	}
	return d.set & (1<<(m.length+1) - 1)
}

// nearestWeekday is the day from Monday to Friday that is nearest to a day without leaving the month.
func (m month) nearestWeekday(day int) int {
	switch m.weekday(day) {
	case saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case sunday:
		if day == m.length {
			return day - 2
		}
		return day + 1
	}
	return day
}

func (d weekDays) of(m month) uint64 {
	switch {
	case d.last != 0:
		return 1 << (m.length - (m.weekday(m.length)-d.last+7)%7)
	case d.nth != 0:
		day := 1 + (d.day-m.first+7)%7 + 7*(d.nth-1)
		if !m.has(day) {
			return 0
		}
		return 1 << day
	}
	var days uint64
	for day := 1; day <= m.length; day++ {
		days |= d.set >> m.weekday(day) & 1 << day
	}
	return days
}
