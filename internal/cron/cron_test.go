package cron_test

import (
	"embed"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the machine of a test may have none

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/cron"
)

//go:embed testdata/*.txt
var cases embed.FS

const layout = "2006-01-02T15:04"

// TestCases runs the lines of the case files:
//
//	ok EXPRESSION, refuse EXPRESSION, never EXPRESSION      what is said about an expression
//	next EXPRESSION TIME...                                 when it fires, in UTC; never is the end
//	zone ZONE after TIME                                    for the lines that follow
func TestCases(t *testing.T) {
	for file, parse := range map[string]func(string) (cron.Schedule, error){"rules.txt": cron.ParseRule, "schedules.txt": cron.Parse} {
		text, err := cases.ReadFile(path.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		zone, after := time.UTC, date(t, "2025-01-15T09:30")
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			verb, rest, _ := strings.Cut(line, " ")
			expr := rest[min(len(rest), len("refuse  ")-len(verb)-1):]
			switch verb {
			case "", "#":
			case "ok":
				if _, err := parse(expr); err != nil {
					t.Errorf("%s: %s: %v", file, expr, err)
				}
			case "refuse":
				if _, err := parse(expr); rialto.KindOf(err) != rialto.Invalid {
					t.Errorf("%s: %s: got the error %v, want one that it is invalid", file, expr, err)
				}
			case "zone":
				name, at, _ := strings.Cut(rest, " after ")
				if zone, err = time.LoadLocation(name); err != nil {
					t.Fatal(err)
				}
				after = date(t, at)
			case "never":
				s, err := parse(expr)
				if next, ok := s.Next(after); err != nil || ok {
					t.Errorf("%s: %s: fires at %v, err %v, want never", file, expr, next, err)
				}
			case "next":
				expr, times, _ := strings.Cut(expr, ")")
				want := strings.Fields(times)
				s, err := parse(expr + ")")
				if got := fires(s.In(zone), after, len(want)); err != nil || !slices.Equal(got, want) {
					t.Errorf("%s: %s) after %s in %s:\n got %v, err %v\nwant %v", file, expr, after.Format(layout), zone, got, err, want)
				}
			default:
				t.Errorf("%s: unknown line %q", file, line)
			}
		}
	}
}

// fires lists up to n times at which a schedule fires.
func fires(s cron.Schedule, after time.Time, n int) (times []string) {
	for range n {
		next, ok := s.Next(after)
		if !ok {
			return append(times, "never")
		}
		times = append(times, next.Format(layout))
		after = next
	}
	return times
}

func date(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(layout, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestRateCountsFromAMoment(t *testing.T) {
	s, err := cron.ParseRule("rate(7 minutes)")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 3, 1, 10, 0, 0, 500, time.UTC)
	s = s.From(start)
	for _, tc := range []struct {
		after time.Duration
		want  time.Duration
	}{
		{-time.Hour, 0},
		{-1, 0},
		{0, 7 * time.Minute},
		{7*time.Minute - 1, 7 * time.Minute},
		{7 * time.Minute, 14 * time.Minute},
		{24 * time.Hour, 24*time.Hour + 2*time.Minute},
	} {
		if got, ok := s.Next(start.Add(tc.after)); !ok || !got.Equal(start.Add(tc.want)) {
			t.Errorf("%v after the start: got %v, %v; want %v", tc.after, got, ok, start.Add(tc.want))
		}
	}
}

func TestLongestRateDoesNotOverflow(t *testing.T) {
	s, err := cron.ParseRule("rate(2147483647 days)")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	if next, ok := s.From(start).Next(start); ok {
		t.Errorf("fires at %v, want never", next)
	}
}

func TestErrorsAreInAWSsWords(t *testing.T) {
	for _, tc := range []struct {
		parse func(string) (cron.Schedule, error)
		want  string
	}{
		{cron.ParseRule, "Parameter ScheduleExpression is not valid."},
		{cron.Parse, "Invalid Schedule Expression rate( 1 day)."},
	} {
		_, err := tc.parse("rate( 1 day)")
		if e, ok := err.(*rialto.Error); !ok || e.Message != tc.want || e.Cause == nil {
			t.Errorf("got %#v, want the message %q with a cause", err, tc.want)
		}
	}
}

// FuzzParse holds that whatever is accepted has an answer that lies ahead, and that it does not depend on where one starts to look.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"rate(1 day)", "at(2030-01-01T00:00)", "cron(0 10 ? * 6L 2030/2)", "cron(*/7 20-2/3 L-3 NOV-FEB ? *)", "cron(0 0 ? * 2#5 *)", "cron(0 0 31W * ? 0-99)"} {
		f.Add(s, int64(1736933400))
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, after int64) {
		start := time.Unix(after%(1<<36), 0)
		for _, parse := range []func(string) (cron.Schedule, error){cron.ParseRule, cron.Parse} {
			s, err := parse(text)
			if err != nil {
				continue
			}
			for _, zone := range []*time.Location{time.UTC, berlin} {
				next, ok := s.In(zone).From(time.Unix(0, 0)).Next(start)
				if !ok {
					continue
				}
				if !next.After(start) || next.Year() > 9999 {
					t.Fatalf("%s after %v in %s fires at %v", text, start, zone, next)
				}
				if again, ok := s.In(zone).From(time.Unix(0, 0)).Next(next.Add(-1)); !ok || !again.Equal(next) {
					t.Fatalf("%s fires at %v, but right before that it fires at %v next", text, next, again)
				}
			}
		}
	})
}
