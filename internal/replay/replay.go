package replay

import (
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/history"
	"github.com/rialto-events/rialto/internal/jsonpath"
	"github.com/rialto-events/rialto/pattern"
)

// A State is that of a replay, as AWS shows it.
type State string

// States of a replay.
const (
	Starting   State = "STARTING"
	Running    State = "RUNNING"
	Cancelling State = "CANCELLING"
	Completed  State = "COMPLETED"
	Cancelled  State = "CANCELLED"
	Failed     State = "FAILED"
)

// Active reports whether a replay in this state has not ended.
func (s State) Active() bool { return s == Starting || s == Running || s == Cancelling }

const (
	keep = 90 * 24 * time.Hour // that a record stays after the end (EventBridge user guide, "Replaying archived events")
	// mostRecords is how many replays of an account and region that have ended a shard remembers; the one that ended first is forgotten first.
	// AWS names no bound. Replays that begin when circuits close would make them without one.
	mostRecords = 1000

	byTime   = "time" // a [Spec.Order]
	maxSpeed = 1e9    // events a second, or times the original pace: more than any machine has
	minSpeed = 1e-3   // an event in 17 minutes
	maxName  = 64     // characters (service model, ReplayName)

	nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_" // likewise
)

// A Spec says what a replay is to do.
type Spec struct {
	Scope       rialto.Scope `json:"scope"`
	Name        string       `json:"name"`
	Description *string      `json:"description,omitempty"`

	Archive   string    `json:"archive"`   // its name
	ArchiveID string    `json:"archiveId"` // and its [catalog.Archive.ID]: another archive of that name is not meant
	From      time.Time `json:"from"`      // From <= the event's time < To; zero is open
	To        time.Time `json:"to"`
	Since     time.Time `json:"since,omitzero"` // Since <= the event's acceptance < Until; zero is open
	Until     time.Time `json:"until,omitzero"`
	Pattern   string    `json:"pattern,omitempty"` // events that do not match are left out; "" is all

	Bus    rialto.BusName `json:"bus"`              // where the events go, in the same scope
	Rules  []string       `json:"rules,omitempty"`  // ARNs of rules; others get nothing. Nil is every rule
	Target string         `json:"target,omitempty"` // ID of the only target of the rules that gets something; "" is all

	// Order is what the deliveries to each target are ordered by: "time" for one after the other, a path such as $.detail.orderId for those that
	// have the value in common, or "" for what the rules ask for, as with events that are put.
	Order string `json:"order,omitempty"`
	Speed Speed  `json:"speed,omitzero"`

	// Perishable leaves out events whose time to live is over by now, as their bus has it. Who asks for old events by hand wants them all.
	Perishable bool `json:"perishable,omitempty"`
}

// A Speed is how fast events are put. The zero value is as fast as the targets take them.
type Speed struct {
	PerSecond float64 `json:"perSecond,omitempty"` // events, of those that match the pattern of the replay
	Times     float64 `json:"times,omitempty"`     // the pace in which they once came: 2 is twice as fast
}

// Check reports what no replay can do.
func (s Speed) Check() error {
	for _, v := range []float64{s.PerSecond, s.Times} {
		if v != 0 && !(v >= minSpeed && v <= maxSpeed) {
			return rialto.Errorf(rialto.Invalid, "A speed is from %g to %g, or 0 for as fast as the targets take it.", minSpeed, maxSpeed)
		}
	}
	if s.PerSecond != 0 && s.Times != 0 {
		return rialto.Errorf(rialto.Invalid, "A speed is either events a second or times the original pace, not both.")
	}
	return nil
}

// key names a replay: names are unique within a scope.
func key(s rialto.Scope, name string) string {
	return string(s.Account) + "/" + string(s.Region) + "/" + name
}

func (s *Spec) key() string { return key(s.Scope, s.Name) }

// ARN is the ARN of the replay.
func (s *Spec) ARN() string { return s.Scope.ARN("events", "replay/"+s.Name).String() }

// check finds what makes a spec impossible, whatever else there is.
func (s *Spec) check() error {
	if s.Order != "" && s.Order != byTime {
		if _, err := jsonpath.Parse(s.Order); err != nil {
			return rialto.Errorf(rialto.Invalid, "The order is neither %q nor a path into the event, such as $.detail.orderId: %v.", byTime, err)
		}
	}
	if s.Pattern != "" {
		if _, err := pattern.Parse([]byte(s.Pattern)); err != nil {
			return errPattern("pattern", err)
		}
	}
	if s.Name == "" || len(s.Name) > maxName || strings.ContainsFunc(s.Name, notInName) {
		return rialto.Errorf(rialto.Invalid, "The name of a replay has from 1 to 64 letters, digits, dots, dashes and underscores.")
	}
	return s.Speed.Check()
}

// errPattern says which pattern is wrong, and where.
func errPattern(name string, err error) error {
	const known = "Event pattern is not valid. Reason: " // package pattern says that again
	return rialto.Errorf(rialto.Invalid, "The %s is not valid: %s", name, strings.TrimPrefix(err.Error(), known))
}

func notInName(c rune) bool { return !strings.ContainsRune(nameCharacters, c) }

// A Replay is one as it is now.
type Replay struct {
	Spec
	State     State            `json:"state"`
	Reason    string           `json:"reason,omitempty"` // why it failed
	Paused    bool             `json:"paused,omitempty"`
	Position  history.Position `json:"position"`         // of the last event that was read
	Read      int64            `json:"read"`             // events of the window so far
	Put       int64            `json:"put"`              // of these, that a rule wanted
	Delivered int64            `json:"delivered"`        // deliveries that were begun for them
	Expected  int64            `json:"expected"`         // events of the window, counted at the start
	Damage    string           `json:"damage,omitempty"` // what could not be read, and was left out
	Edge      *history.Edge    `json:"edge,omitempty"`   // of the archive at the start: what came later is not in it
	Started   time.Time        `json:"started"`
	Last      time.Time        `json:"last,omitzero"`  // time of the last event that was read
	Moved     time.Time        `json:"moved,omitzero"` // when that was
	Ended     time.Time        `json:"ended,omitzero"`
	Revision  uint64           `json:"revision"` // grows with each change
	Waits     string           `json:"-"`        // what it has waited for, for a while; this process alone knows
}

// window is what the replay reads.
func (r *Replay) window() history.Window {
	return history.Window{From: r.From, To: r.To, Since: r.Since, Before: r.Until, Edge: r.Edge}
}

// LastMinute is AWS's EventLastReplayedTime: the beginning of the minute that was reached; zero if nothing was read yet.
func (r *Replay) LastMinute() time.Time {
	if r.Last.IsZero() {
		return time.Time{}
	}
	return r.Last.Truncate(time.Minute)
}

func (r *Replay) expired(now time.Time) bool { return !r.State.Active() && now.Sub(r.Ended) >= keep }
