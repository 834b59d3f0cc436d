package lambda

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/rialto-events/rialto"
)

// Limits of what a program may print, so that it fills neither log nor memory. What is beyond them is lost, and counted.
const (
	maxLine        = 8 << 10 // bytes; the rest of a longer line is left out
	linesPerSecond = 200     // of an instance
	lineBurst      = 1000
)

// An output turns what a process prints into lines.
type output struct {
	say     func(line string)
	limiter *rate.Limiter

	mu      sync.Mutex
	line    []byte // that has not ended yet
	dropped int    // lines
}

func newOutput(o Options, arn rialto.ARN, name string) *output {
	say := func(line string) { o.Logger.Info("function printed", "function", name, "line", line) }
	if o.Output != nil {
		say = func(line string) { o.Output(arn, name, time.Now(), line) }
	}
	return &output{say: say, limiter: rate.NewLimiter(linesPerSecond, lineBurst)}
}

// Write takes what was printed. It never fails: a program is not to end because nobody listens.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(b)
	for len(b) > 0 {
		piece, rest, whole := bytes.Cut(b, []byte{'\n'})
		if room := maxLine - len(o.line); room > 0 {
			o.line = append(o.line, piece[:min(len(piece), room)]...)
		}
		if b = rest; whole {
			o.end()
		}
	}
	return n, nil
}

// end hands a line on. o.mu is held.
func (o *output) end() {
	line := strings.ToValidUTF8(strings.TrimSuffix(string(o.line), "\r"), "�")
	o.line = o.line[:0]
	if !o.limiter.Allow() {
		o.dropped++
		return
	}
	o.tellDropped()
	o.say(line)
}

func (o *output) tellDropped() {
	if o.dropped > 0 {
		o.say(fmt.Sprintf("(%d lines were left out: a function may print %d lines a second)", o.dropped, linesPerSecond))
		o.dropped = 0
	}
}

// flush hands on what is left when the process has ended.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.line) > 0 {
		o.end()
	}
	o.tellDropped()
}
