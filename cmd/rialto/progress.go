package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	progressAfter = time.Second            // what is done sooner needs no progress
	progressEvery = 200 * time.Millisecond // between two pictures
)

// A progress says on a terminal how far a long file has got. A nil one says nothing.
type progress struct {
	w          io.Writer
	total      int64 // bytes; 0 if they are not known
	bytes      int64
	count      int
	began, due time.Time
	shown      bool
}

// newProgress returns nil if w is no terminal.
func newProgress(w io.Writer, total int64) *progress {
	if !isTerminal(w) {
		return nil
	}
	now := time.Now()
	return &progress{w: w, total: total, began: now, due: now.Add(progressAfter)}
}

// add counts one event that came from so many bytes.
func (p *progress) add(bytes int) {
	if p == nil {
		return
	}
	p.count++
	p.bytes += int64(bytes)
	now := time.Now()
	if now.Before(p.due) {
		return
	}
	p.due = now.Add(progressEvery)
	p.clear()
	spent := now.Sub(p.began).Seconds()
	fmt.Fprintf(p.w, "%d events, %.0f a second", p.count, float64(p.count)/spent)
	if p.total > 0 && p.bytes > 0 {
		left := spent * float64(p.total-p.bytes) / float64(p.bytes)
		fmt.Fprintf(p.w, ", %d %%, %v to go", p.bytes*100/p.total, time.Duration(left*float64(time.Second)).Round(time.Second))
	}
	p.shown = true
}

// clear takes the picture off the screen.
func (p *progress) clear() {
	if p != nil && p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// done ends with the figures of the whole.
func (p *progress) done() {
	if p == nil || !p.shown {
		return
	}
	p.clear()
	spent := time.Since(p.began)
	fmt.Fprintf(p.w, "%d events in %v\n", p.count, spent.Round(10*time.Millisecond))
}

// A gauge shows on a terminal how far something is that the server does. A nil one shows nothing.
type gauge struct {
	w     io.Writer
	began time.Time
	from  int64 // what was done when the watching began
	shown bool
}

// newGauge returns nil if w is no terminal.
func newGauge(w io.Writer) *gauge {
	if !isTerminal(w) {
		return nil
	}
	return &gauge{w: w}
}

// show shows how much is done of a total, and, if it goes on, how fast and for how long still.
func (g *gauge) show(done, total int64, state string, runs bool) {
	if g == nil {
		return
	}
	if g.began.IsZero() || !runs {
		g.began, g.from = time.Now(), done
	}
	g.clear()
	fmt.Fprint(g.w, gaugeOf(done, total, done-g.from, time.Since(g.began), state, runs))
	g.shown = true
}

// gaugeOf is a gauge in words and blocks. So much was done in the time that is looked at.
func gaugeOf(done, total, lately int64, in time.Duration, state string, runs bool) string {
	full := int64(barWidth)
	if total > 0 {
		full = min(barWidth*done/total, barWidth)
	}
	text := fmt.Sprintf("%s%s %d of %d", strings.Repeat("█", int(full)), strings.Repeat("░", barWidth-int(full)), done, total)
	if !runs {
		return text + ", " + state
	}
	if lately > 0 && in > 0 {
		rate := float64(lately) / in.Seconds()
		left := time.Duration(float64(max(0, total-done)) / rate * float64(time.Second)).Round(time.Second)
		text += fmt.Sprintf(", %.0f a second, %v to go", rate, left)
	}
	return text
}

// clear takes the gauge off the screen.
func (g *gauge) clear() {
	if g != nil && g.shown {
		fmt.Fprint(g.w, "\r\x1b[K")
		g.shown = false
	}
}
