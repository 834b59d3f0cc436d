package rialto_test

import (
	"slices"
	"testing"
	"time"

	"github.com/rialto-events/rialto"
)

// TestReal has those who wait for no time that a clock shows go by the machine's clock where that one stands.
func TestReal(t *testing.T) {
	if got := rialto.Real(rialto.NewVirtualClock(time.Time{})); got != rialto.SystemClock {
		t.Errorf("beside a virtual clock the real one is %v", got)
	}
	if got := rialto.Real(rialto.SystemClock); got != rialto.SystemClock {
		t.Errorf("of the machine's clock the real one is %v", got)
	}
}

func TestVirtualClock(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	c := rialto.NewVirtualClock(start)
	late, early, twin, stopped := c.NewTimer(2*time.Hour), c.NewTimer(time.Hour), c.NewTimer(time.Hour), c.NewTimer(time.Minute)
	at := func(tm rialto.Timer) string {
		select {
		case now := <-tm.C():
			return now.Format("15:04")
		default:
			return ""
		}
	}
	if next, ok := c.Next(); !ok || !next.Equal(start.Add(time.Minute)) {
		t.Errorf("the next timer is at %v", next)
	}
	if !stopped.Stop() || stopped.Stop() {
		t.Error("a timer was not stopped once")
	}
	if now := c.NewTimer(0); at(now) != "00:00" {
		t.Error("a timer of no time has not fired at once")
	}
	c.Advance(59 * time.Minute)
	if got := []string{at(late), at(early), at(twin), at(stopped)}; !slices.Equal(got, []string{"", "", "", ""}) {
		t.Errorf("too early, timers have fired: %q", got)
	}
	c.AdvanceTo(start.Add(3 * time.Hour))
	if got := []string{at(late), at(early), at(twin), at(stopped)}; !slices.Equal(got, []string{"02:00", "01:00", "01:00", ""}) {
		t.Errorf("timers have fired at %q", got)
	}
	if c.AdvanceTo(start); !c.Now().Equal(start.Add(3 * time.Hour)) {
		t.Errorf("the clock went back to %v", c.Now())
	}
	early.Reset(time.Minute)
	c.Advance(time.Hour)
	early.Reset(time.Minute) // what has fired and was not looked at is gone
	if got := at(early); got != "" {
		t.Errorf("a timer that was set anew has fired at %s", got)
	}
	c.Advance(time.Minute)
	if got := at(early); got != "04:01" {
		t.Errorf("a timer that was set anew has fired at %q", got)
	}
	rialto.ResetAlarm(c, late, start.Add(5*time.Hour))
	past := rialto.NewAlarm(c, start)
	if got := []string{at(late), at(past)}; !slices.Equal(got, []string{"", "04:01"}) {
		t.Errorf("alarms have fired at %q", got)
	}
	c.AdvanceTo(start.Add(5 * time.Hour))
	if got := at(late); got != "05:00" {
		t.Errorf("an alarm has fired at %q", got)
	}
	if next, ok := c.Next(); ok {
		t.Errorf("a timer is left, at %v", next)
	}
}
