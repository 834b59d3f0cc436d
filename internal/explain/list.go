package explain

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
)

// Limits of a list.
const (
	defaultListed = 50
	mostListed    = 500
)

// A Query says which events to list. The zero value is the latest, whatever became of them.
type Query struct {
	Bus    string // name or ARN
	Rule   string // name or ARN
	Target string // its id within the rule, or its ARN
	Status Status
	Since  time.Time
	Limit  int // 0 is 50; 500 is the most
}

// A Status is what became of events, or of one of their deliveries.
type Status string

// The statuses.
const (
	StatusAny       Status = ""
	StatusFailed    Status = "failed"    // an attempt failed, whatever came after
	StatusDead      Status = "dead"      // failed for good
	StatusWaiting   Status = "waiting"   // for an attempt
	StatusExpired   Status = "expired"   // it had lived long enough
	StatusDelivered Status = "delivered" // everything arrived
	StatusUnmatched Status = "unmatched" // no rule wanted it
)

// Statuses are all that can be asked for.
var Statuses = []Status{StatusFailed, StatusDead, StatusWaiting, StatusExpired, StatusDelivered, StatusUnmatched}

// A Summary is an event in a list.
type Summary struct {
	ID         string    `json:"id"`
	Bus        string    `json:"bus"`
	Accepted   time.Time `json:"accepted,omitzero"`
	Source     string    `json:"source,omitempty"`
	DetailType string    `json:"detailType,omitempty"`
	State      State     `json:"state"`
	Rules      []string  `json:"rules"` // that matched
	Attempts   int       `json:"attempts"`
	Code       string    `json:"code,omitempty"` // of the last error
	Message    string    `json:"message,omitempty"`

	event []byte
}

// Recent lists events of a scope that are remembered, the latest first.
func (x *Explainer) Recent(ctx context.Context, scope rialto.Scope, q Query) ([]Summary, error) {
	if q.Status != StatusAny && !slices.Contains(Statuses, q.Status) {
		return nil, rialto.Errorf(rialto.Invalid, "There is no status %q: it is one of %v.", q.Status, Statuses)
	}
	if q.Limit <= 0 {
		q.Limit = defaultListed
	}
	q.Limit = min(q.Limit, mostListed)
	if err := x.recorder.ready(ctx); err != nil {
		return nil, err
	}
	list := []Summary{}
	for i := range x.recorder.shelves {
		list = x.recorder.shelves[i].find(list, scope, &q)
		list = latest(list, q.Limit)
	}
	for i := range list {
		list[i].read() // not while somebody waits for a shelf
	}
	return list, nil
}

func latest(list []Summary, limit int) []Summary {
	slices.SortStableFunc(list, func(a, b Summary) int { return b.Accepted.Compare(a.Accepted) })
	return list[:min(len(list), limit)]
}

// find adds what fits a query, of each list of the shelf the latest ones.
func (s *shelf) find(found []Summary, scope rialto.Scope, q *Query) []Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range []*list{&s.recent, &s.failures, &s.unmatched} {
		n := 0
		for rec := l.last; rec != nil && n < q.Limit && !rec.at.Before(q.Since); rec = rec.prev {
			for i := range rec.passages {
				if p := &rec.passages[i]; p.bus.Scope() == scope && q.wants(p) {
					found = append(found, p.summary(rec.id))
					n++
				}
			}
		}
	}
	return found
}

func (q *Query) wants(p *passage) bool {
	if q.Bus != "" && q.Bus != string(busName(p.bus)) && q.Bus != p.bus.String() || p.accepted.Before(q.Since) {
		return false
	}
	if len(p.deliveries) == 0 {
		return q.Rule == "" && q.Target == "" && (q.Status == StatusAny ||
			q.Status == StatusUnmatched && p.duplicateOf == "" && !p.late() || q.Status == StatusExpired && p.late())
	}
	if q.Status == StatusUnmatched {
		return false
	}
	if q.Status == StatusDelivered && slices.ContainsFunc(p.deliveries, func(d delivery) bool { return d.state != Delivered }) {
		return false
	}
	return slices.ContainsFunc(p.deliveries, func(d delivery) bool { return q.wantsDelivery(&d) })
}

func (q *Query) wantsDelivery(d *delivery) bool {
	if q.Rule != "" && q.Rule != string(d.def.RuleName) && q.Rule != d.def.Rule.String() {
		return false
	}
	if q.Target != "" && q.Target != d.def.ID && q.Target != d.def.ARN {
		return false
	}
	switch q.Status {
	case StatusFailed:
		return slices.ContainsFunc(d.tries, func(t try) bool { return t.failed })
	case StatusDead:
		return d.state == Dead || d.state == Dying || d.state == Dropped
	case StatusExpired:
		return d.state == Expired
	case StatusWaiting:
		return d.state == Waiting || d.state == Dying
	}
	return true
}

func (p *passage) summary(id string) Summary {
	one := record{passages: []passage{*p}}
	a := Summary{ID: id, Bus: p.bus.String(), Accepted: p.accepted, State: one.state(), Rules: []string{}, event: p.event}
	for i := range p.deliveries {
		d := &p.deliveries[i]
		if name := string(d.def.RuleName); !slices.Contains(a.Rules, name) {
			a.Rules = append(a.Rules, name)
		}
		a.Attempts += len(d.tries) + d.omitted()
		if n := len(d.tries); n > 0 && d.tries[n-1].failed {
			a.Code, a.Message = d.tries[n-1].code, d.tries[n-1].message
		}
	}
	slices.Sort(a.Rules)
	return a
}

// read finds what the event says of itself.
func (a *Summary) read() {
	var head struct {
		Source     string
		DetailType string `json:"detail-type"`
	}
	if json.Unmarshal(a.event, &head) == nil { // not all are kept
		a.Source, a.DetailType = head.Source, head.DetailType
	}
}

// ruleName is the name in the ARN of a rule.
func ruleName(rule rialto.ARN) string {
	return rule.Resource[strings.LastIndexByte(rule.Resource, '/')+1:]
}
