package scheduler

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/cron"
	"github.com/rialto-events/rialto/target"
)

// A ScheduleName is where a schedule of EventBridge Scheduler is found.
type ScheduleName struct {
	Scope rialto.Scope
	Group string
	Name  string
}

// ARN is the ARN of the schedule.
func (n ScheduleName) ARN() rialto.ARN {
	return n.Scope.ARN("scheduler", "schedule/"+n.Group+"/"+n.Name)
}

// place is where the timers keep it. Each has a home of its own, so that those of one group are spread over all shards.
func (n ScheduleName) place() Place { return Place{Owner: OwnerSchedules, Home: n.ARN().String()} }

// nameOf is the name of a schedule's ARN.
func nameOf(arn rialto.ARN) (n ScheduleName, ok bool) {
	rest, ok := strings.CutPrefix(arn.Resource, "schedule/")
	if !ok || arn.Service != "scheduler" {
		return n, false
	}
	n.Scope = arn.Scope()
	n.Group, n.Name, ok = strings.Cut(rest, "/")
	return n, ok
}

// A Definition is a schedule of EventBridge Scheduler as its user wants it, with all that is meant by default. As JSON it is part of the log.
type Definition struct {
	Group       string    `json:"group"`
	Name        string    `json:"name"`
	Description *string   `json:"description,omitempty"`
	Expression  string    `json:"expression"`
	Zone        string    `json:"zone"` // of an at() and a cron(), by its name in the IANA database
	Start       time.Time `json:"start,omitzero"`
	End         time.Time `json:"end,omitzero"`
	Window      int32     `json:"window,omitempty"` // minutes over which occurrences are spread; 0 is none
	Enabled     bool      `json:"enabled"`
	Delete      bool      `json:"delete,omitempty"` // once it has fired for the last time
	KMSKey      *string   `json:"kmsKey,omitempty"`
	Target      Target    `json:"target"`

	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
	From     time.Time `json:"from"` // when its expression was given, which a rate counts from, unless it has a Start

	// By these the calls that made and changed it are known again.
	CreateToken token `json:"createToken,omitzero"`
	UpdateToken token `json:"updateToken,omitzero"`
}

// unmarshal reads a definition from the log. It is what encoding/json would read, in half the time: a million may be due in a minute.
func unmarshal(b []byte, d *Definition) error { return jsonv1.Unmarshal(b, d) }

// A Target is where the occurrences of a schedule go.
type Target struct {
	ARN        string                     `json:"arn"`
	RoleARN    string                     `json:"roleArn"`
	Input      *string                    `json:"input,omitempty"`
	Retry      target.Retry               `json:"retry"`
	DeadLetter *string                    `json:"deadLetter,omitempty"` // ARN of a queue; "" if the configuration was given without one
	SQS        *target.SQS                `json:"sqs,omitempty"`
	Parameters map[string]json.RawMessage `json:"parameters,omitempty"` // by AWS name
}

// A token is a ClientToken with a hash of what was asked for with it.
type token struct {
	Token string `json:"token,omitempty"`
	Sum   string `json:"sum,omitempty"`
}

// tokenFor is the token of a call that asks for a definition, whatever is not of the caller's choice in it.
func tokenFor(clientToken string, d Definition) token {
	if clientToken == "" {
		return token{}
	}
	d.Created, d.Modified, d.From, d.CreateToken, d.UpdateToken = time.Time{}, time.Time{}, time.Time{}, token{}, token{}
	b, _ := json.Marshal(d) // never fails: what is raw in it was encoded by us
	sum := sha256.Sum256(b)
	return token{clientToken, hex.EncodeToString(sum[:16])}
}

// cron is the expression, as it is read where the schedule is.
func (d *Definition) cron() (cron.Schedule, error) {
	c, err := cron.Parse(d.Expression)
	if err != nil {
		return c, err
	}
	zone, err := zoneOf(d.Zone)
	if err != nil {
		return c, err
	}
	from := d.From
	if !d.Start.IsZero() {
		from = d.Start
	}
	return c.In(zone).From(from), nil
}

// zones holds those that were used, by name: to load one is to read a file.
var zones sync.Map

func zoneOf(name string) (*time.Location, error) {
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), nil
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		zones.Store(name, zone)
	}
	return zone, err
}

// A pace is when a definition is due.
type pace struct {
	cron.Schedule
	of     *Definition
	spread time.Duration // into its window, of each occurrence
}

func (d *Definition) pace(n ScheduleName) (pace, error) {
	c, err := d.cron()
	p := pace{Schedule: c, of: d}
	if d.Window > 0 {
		hash := fnv.New64a()
		hash.Write([]byte(n.ARN().String()))
		p.spread = time.Duration(hash.Sum64()%uint64(d.Window*60)) * time.Second
	}
	return p, err
}

// first is the occurrence that comes first for a definition that begins to count now. An at() that is past is due at once, unless it is the
// one that has fired.
func (p pace) first(now, fired time.Time) Due {
	if p.Once() {
		t, ok := p.Next(time.Time{})
		if ok && t.Equal(fired) {
			return Due{}
		}
		return p.due(t, ok)
	}
	now = now.Truncate(time.Second)
	if p.Rate() && p.of.From.Equal(now) {
		now = now.Add(-time.Second) // a rate fires as soon as it is there
	}
	return p.next(now)
}

// next is the occurrence after a time; there may be none.
func (p pace) next(after time.Time) Due {
	if p.Once() {
		return p.due(p.Next(after))
	}
	if start := p.of.Start; !start.IsZero() && after.Before(start) {
		after = start.Add(-time.Nanosecond)
	}
	t, ok := p.Next(after)
	return p.due(t, ok && (p.of.End.IsZero() || !t.After(p.of.End)))
}

func (p pace) due(t time.Time, ok bool) Due {
	if !ok {
		return Due{}
	}
	return Due{Time: t, At: t.Add(p.spread)}
}

// Upcoming is the next occurrences, with when each fires: no more than most, and none of a schedule that is not enabled.
func (s *Shown) Upcoming(most int) []Due {
	var list []Due
	p, err := s.pace(s.ScheduleName)
	for next := s.Next; err == nil && !next.Time.IsZero() && len(list) < most; next = p.next(next.Time) {
		list = append(list, next)
	}
	return list
}
