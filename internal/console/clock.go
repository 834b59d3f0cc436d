package console

import (
	"context"
	"net/http"
	"time"

	"github.com/rialto-events/rialto"
)

// A ClockState is what the API says of the clock.
type ClockState struct {
	Mode string     `json:"mode"` // real or virtual
	Now  time.Time  `json:"now"`
	Next *ClockNext `json:"next,omitempty"` // of a virtual clock: what is due next
	Busy []string   `json:"busy,omitempty"` // parts that have work in hand
}

// A ClockNext is what is due next.
type ClockNext struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// A ClockMove is what the API says of a move of the clock.
type ClockMove struct {
	Mode        string    `json:"mode"`
	From        time.Time `json:"from"`
	Now         time.Time `json:"now"`
	Stops       int       `json:"stops"`
	Fired       uint64    `json:"fired"`       // occurrences of schedules
	Delivered   uint64    `json:"delivered"`   // deliveries that have arrived
	Failed      uint64    `json:"failed"`      // attempts
	DeadLetters uint64    `json:"deadLetters"` // deliveries that have failed for good
	Left        []string  `json:"left,omitempty"`
}

// maxAdvance bounds one move, in which every thing that is due is done.
const maxAdvance = 100 * 365 * 24 * time.Hour

// Clock is the part that shows the clock and, if it is a virtual one, moves it.
func Clock(state func(context.Context) (ClockState, error), advance func(context.Context, func(now time.Time) time.Time) (ClockMove, error)) Part {
	return Part{
		{"GET", "/_rialto/v1/clock", func(w http.ResponseWriter, r *Request) error {
			is, err := state(r.Context())
			if err != nil {
				return err
			}
			return Answer(w, is)
		}},
		{"POST", "/_rialto/v1/clock/advance", func(w http.ResponseWriter, r *Request) error {
			to, err := goal(r)
			if err != nil {
				return err
			}
			m, err := advance(r.Context(), to)
			if err != nil {
				return err
			}
			return Answer(w, m)
		}},
	}
}

// goal reads where the clock is to be moved.
func goal(r *Request) (func(now time.Time) time.Time, error) {
	var asked struct {
		By string    `json:"by"`
		To time.Time `json:"to"`
	}
	if err := r.Decode(&asked); err != nil {
		return nil, err
	}
	if (asked.By == "") == asked.To.IsZero() {
		return nil, rialto.Errorf(rialto.Invalid, `Say by how much the clock is to be moved, such as {"by": "720h"}, or to which time, such as `+
			`{"to": "2026-03-01T00:00:00Z"}.`)
	}
	if asked.By == "" {
		return func(time.Time) time.Time { return asked.To.UTC() }, nil
	}
	by, err := time.ParseDuration(asked.By)
	if err != nil || by < 0 || by > maxAdvance {
		return nil, rialto.Errorf(rialto.Invalid, "%q is not a time by which the clock can be moved: it is one such as 90s, 15m or 720h, of up to 100 years.", asked.By)
	}
	return func(now time.Time) time.Time { return now.Add(by) }, nil
}
