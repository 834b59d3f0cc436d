package explain

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
)

// An Answer is all that is known of an event.
type Answer struct {
	ID      string    `json:"id"`
	State   State     `json:"state"`
	Buses   []Passage `json:"buses"` // that it was on, the first first
	Remarks []string  `json:"remarks,omitempty"`
}

// A Passage is an event on one bus.
type Passage struct {
	Bus         string          `json:"bus"`
	Accepted    time.Time       `json:"accepted,omitzero"` // zero if that is not known any more
	Forwarded   bool            `json:"forwarded"`         // from another bus
	Bytes       int             `json:"bytes"`
	Trace       string          `json:"trace,omitempty"`
	Expires     time.Time       `json:"expires,omitzero"`
	DuplicateOf string          `json:"duplicateOf,omitempty"` // id of the event that was accepted before
	Duplicates  int             `json:"duplicates,omitempty"`  // that were put later, and not accepted
	Event       json.RawMessage `json:"event,omitempty"`       // absent if it is not kept
	Deliveries  []Delivery      `json:"deliveries"`
	NotMatched  []NotMatched    `json:"notMatched"` // rules of the bus as they were at RulesAt
	More        int             `json:"moreNotMatched,omitempty"`
	RulesAt     time.Time       `json:"rulesAt"`
}

// A Delivery is that of the event to one target of a rule that matched.
type Delivery struct {
	Rule       string    `json:"rule"`
	RuleARN    string    `json:"ruleArn"`
	Target     string    `json:"target"` // its id within the rule
	TargetARN  string    `json:"targetArn"`
	DeadLetter string    `json:"deadLetter,omitempty"` // ARN of the queue, if there is one
	State      State     `json:"state"`
	Next       time.Time `json:"next,omitzero"`     // of the next attempt
	Why        string    `json:"waits,omitempty"`   // why it waits, in words
	Payload    *string   `json:"payload,omitempty"` // what the target receives, or its beginning; absent if it is the event, or not known yet
	Bytes      int       `json:"payloadBytes,omitempty"`
	Cut        bool      `json:"payloadCut,omitempty"`
	Attempts   []Attempt `json:"attempts"`
	Omitted    int       `json:"attemptsOmitted,omitempty"` // of all but the first and the last ones
}

// An Attempt is one try to deliver the event, or its dead letter.
type Attempt struct {
	Number    int       `json:"number"`
	NotMade   bool      `json:"notMade,omitempty"` // it would have been this one: the event had lived long enough, or waited too long
	Redrive   int       `json:"redrive,omitempty"` // how often the event had come back from a dead-letter queue
	Letter    bool      `json:"deadLetter,omitempty"`
	Batch     int       `json:"batch,omitempty"` // events that shared it, if there were several
	Began     time.Time `json:"began"`
	Micros    int64     `json:"tookMicros"`
	Status    int       `json:"status,omitempty"` // HTTP status of the answer
	Answer    string    `json:"answer,omitempty"` // its beginning
	Verdict   string    `json:"verdict"`
	Code      string    `json:"code,omitempty"` // of the error, as a dead letter has it
	Message   string    `json:"message,omitempty"`
	Exhausted string    `json:"exhausted,omitempty"`
	Next      time.Time `json:"next,omitzero"`
}

// Backlog knows what waits. *deliver.Deliverer is one.
type Backlog interface {
	Pending(ctx context.Context, eventID string) ([]deliver.Pending, error)
	Circuits(ctx context.Context) ([]deliver.Circuit, error)
}

// An Explainer makes answers of what a Recorder knows.
type Explainer struct {
	recorder *Recorder
	catalog  *catalog.Catalog
	backlog  Backlog
	changes  changes
}

// NewExplainer makes an Explainer.
func NewExplainer(r *Recorder, c *catalog.Catalog, b Backlog) *Explainer {
	x := &Explainer{recorder: r, catalog: c, backlog: b}
	x.changes.follow(c, r.opts.Clock)
	return x
}

// Explain tells all that is known of an event on the buses of a scope, and up to rules of the rules that did not match; 0 is a
// good number. If nothing is known, the error says what may be the reason.
func (x *Explainer) Explain(ctx context.Context, scope rialto.Scope, id string, rules int) (*Answer, error) {
	if rules <= 0 {
		rules = defaultRules
	}
	rules = min(rules, mostRules)
	if err := x.recorder.ready(ctx); err != nil {
		return nil, err
	}
	a, bodies := x.recorder.answer(scope, id)
	pending, err := x.backlog.Pending(ctx, id)
	if err != nil {
		a.Remarks = append(a.Remarks, fmt.Sprintf("What waits cannot be read at the moment: %s.", err))
	}
	for _, p := range pending {
		if p.Event.Bus.Scope() == scope {
			bodies = a.waits(&p, bodies)
		}
	}
	if len(a.Buses) == 0 {
		return nil, x.unknown(scope, id)
	}
	if a.State == "" {
		a.State = Waiting
	}
	circuits, err := x.backlog.Circuits(ctx)
	if err != nil {
		a.Remarks = append(a.Remarks, fmt.Sprintf("Circuits cannot be looked at at the moment: %s.", err))
	}
	for i := range a.Buses {
		a.Buses[i].stopped(scope, circuits)
		if err := x.complete(ctx, a, &a.Buses[i], bodies[i], rules); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// complete adds what must be looked up, not remembered: rules and circuits.
func (x *Explainer) complete(ctx context.Context, a *Answer, p *Passage, event []byte, rules int) error {
	p.RulesAt = x.recorder.opts.Clock.Now()
	bus, err := rialto.ParseARN(p.Bus)
	if err != nil {
		return fmt.Errorf("explain event %s: %w", a.ID, err)
	}
	if bus.Service != "events" { // a topic, which has no rules
		p.NotMatched = []NotMatched{}
		return nil
	}
	if name := busName(bus); name != rialto.DefaultBus && x.catalog.Buses.Get(catalog.BusKey(bus.Scope(), name)) == nil {
		a.Remarks = append(a.Remarks, fmt.Sprintf("The bus %s does not exist. An event for a bus that is not there is answered with an id and dropped, as on AWS.", name))
	}
	went := make(map[rialto.ARN]bool)
	for i := range p.Deliveries {
		d := &p.Deliveries[i]
		if arn, err := rialto.ParseARN(d.RuleARN); err == nil {
			went[arn] = true
		}
	}
	if p.DuplicateOf != "" {
		p.NotMatched = []NotMatched{}
		return nil
	}
	p.NotMatched, p.More, err = x.notMatched(ctx, bus, event, p.Accepted, went, !p.Expires.IsZero() && !p.Expires.After(p.Accepted), rules)
	if p.NotMatched == nil {
		p.NotMatched = []NotMatched{}
	}
	if len(p.NotMatched) > 0 && !x.changes.known(p.Accepted) {
		a.Remarks = append(a.Remarks, fmt.Sprintf("Rules are those of now. Whether one was changed after the event came, and before the server was started at %s, is not known.",
			x.changes.since.Format(time.RFC3339)))
	}
	return err
}

// stopped says of deliveries whether the circuit of their destination is what they wait for.
func (p *Passage) stopped(scope rialto.Scope, circuits []deliver.Circuit) {
	for i := range p.Deliveries {
		d := &p.Deliveries[i]
		arn := d.TargetARN
		if d.State == Dying {
			arn = d.DeadLetter
		}
		if d.State != Waiting && d.State != Dying {
			continue
		}
		for _, c := range circuits {
			if c.Scope == scope && c.ARN == arn && c.State != deliver.CircuitClosed {
				d.Why = circuitText(&c)
			}
		}
	}
}

func circuitText(c *deliver.Circuit) string {
	text := fmt.Sprintf("The circuit of the destination is %s since %s: %s.", c.State, c.Since.UTC().Format(time.RFC3339), strings.TrimSuffix(c.Reason, "."))
	if !c.Probe.IsZero() && c.State == deliver.CircuitOpen {
		text += fmt.Sprintf(" An attempt finds out at %s whether it is back.", c.Probe.UTC().Format(time.RFC3339))
	}
	return text
}

// unknown says that nothing is known of an event, and why that may be.
func (x *Explainer) unknown(scope rialto.Scope, id string) error {
	r := x.recorder
	u, err := uuid.Parse(id)
	if err != nil {
		return rialto.Errorf(rialto.NotFound, "%q is no event id: PutEvents answers with ids such as 019ab3c4-5d6e-7f80-9123-456789abcdef.", shortened(id))
	}
	when := ""
	if u.Version() == 7 {
		sec, nsec := u.Time().UnixTime()
		when = fmt.Sprintf(" By its id it is from %s.", time.Unix(sec, nsec).UTC().Format(time.RFC3339))
	}
	return rialto.Errorf(rialto.NotFound, "Nothing is known of the event %s in account %s, region %s.%s Either it was never accepted there (ask with the account and "+
		"the region of its bus), or it is forgotten: what was delivered is remembered in memory, %d MiB of it%s; what failed, and some of what no rule wanted, for %d hours.",
		id, scope.Account, scope.Region, when, r.opts.Recent>>20, r.reach(), int(keepFor/time.Hour))
}

func shortened(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// ready waits until what was kept across a restart is there.
func (r *Recorder) ready(ctx context.Context) error {
	select {
	case <-r.keeper.loaded:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reach tells, in words, how far back the memory of delivered events goes.
func (r *Recorder) reach() string {
	var oldest time.Time
	for i := range r.shelves {
		s := &r.shelves[i]
		s.mu.Lock()
		if l := s.recent.first; l != nil && (oldest.IsZero() || l.at.Before(oldest)) {
			oldest = l.at
		}
		s.mu.Unlock()
	}
	if oldest.IsZero() {
		oldest = r.started
	}
	return ", at present back to " + oldest.UTC().Format(time.RFC3339)
}

// answer copies what is known of an event on the buses of a scope, and returns its bytes on each.
func (r *Recorder) answer(scope rialto.Scope, id string) (*Answer, [][]byte) {
	a := &Answer{ID: id}
	s := r.shelf(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.byID[id]
	if rec == nil {
		return a, nil
	}
	var bodies [][]byte
	var seen record
	for i := range rec.passages {
		p := &rec.passages[i]
		if p.bus.Scope() == scope {
			seen.passages = append(seen.passages, *p)
			a.Buses = append(a.Buses, p.answer())
			bodies = append(bodies, p.event)
		}
	}
	if len(a.Buses) == 0 {
		return a, nil
	}
	a.State = seen.state()
	if rec.partial {
		a.Remarks = append(a.Remarks, "What happened to the event first is forgotten.")
	}
	return a, bodies
}

func (p *passage) answer() Passage {
	a := Passage{
		Bus: p.bus.String(), Accepted: p.accepted, Forwarded: p.hops.SameRegion+p.hops.CrossRegion > 0, Bytes: p.size, Trace: p.trace,
		Expires: p.expires, DuplicateOf: p.duplicateOf, Duplicates: p.duplicates, Event: p.event, Deliveries: []Delivery{},
	}
	for i := range p.deliveries {
		a.Deliveries = append(a.Deliveries, p.deliveries[i].answer())
	}
	slices.SortStableFunc(a.Deliveries, func(x, y Delivery) int { return cmp.Or(cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Target, y.Target)) })
	return a
}

func (d *delivery) answer() Delivery {
	a := Delivery{
		Rule: string(d.def.RuleName), RuleARN: d.def.Rule.String(), Target: d.def.ID, TargetARN: d.def.ARN, DeadLetter: d.def.DeadLetter,
		State: d.state, Bytes: d.bytes, Attempts: []Attempt{}, Omitted: d.omitted(),
	}
	if d.shaped {
		text := string(d.payload)
		a.Payload, a.Cut = &text, len(d.payload) < d.bytes
	}
	if d.state == Waiting || d.state == Dying {
		a.Next = d.next
	}
	for i := range d.tries {
		a.Attempts = append(a.Attempts, d.tries[i].answer())
	}
	return a
}

func (t *try) answer() Attempt {
	a := Attempt{
		Number: t.number, Redrive: t.redrive, Letter: t.letter, Began: t.began, Micros: t.took.Microseconds(), Status: t.status, Answer: t.head,
		Verdict: t.action.String(), Code: t.code, Message: t.message, Exhausted: t.exhausted, NotMade: t.batch == 0,
	}
	if t.batch > 1 {
		a.Batch = t.batch
	}
	if t.action == deliver.Again {
		a.Next = t.at
	}
	return a
}

// waits adds what package deliver knows of an event that waits. It knows better: what is noted may lag behind a frame.
func (a *Answer) waits(p *deliver.Pending, bodies [][]byte) [][]byte {
	bus := p.Event.Bus.String()
	at := slices.IndexFunc(a.Buses, func(b Passage) bool { return b.Bus == bus })
	if at < 0 {
		at = len(a.Buses)
		a.Buses = append(a.Buses, Passage{Bus: bus, Deliveries: []Delivery{}, Forwarded: p.Event.Hops.SameRegion+p.Event.Hops.CrossRegion > 0})
		bodies = append(bodies, nil)
		a.Remarks = append(a.Remarks, "Only what still waits is known of the event: what else happened to it is forgotten.")
	}
	b := &a.Buses[at]
	b.Accepted, b.Bytes, b.Trace, b.Expires, b.Event = p.Event.Accepted, len(p.Event.Event), p.Event.Trace, p.Event.Expires, p.Event.Event
	bodies[at] = p.Event.Event
	for _, w := range p.Waiting {
		b.waits(&w, p.Event.Redriven)
	}
	return bodies
}

// waits adds a delivery that waits, of an event that came back from a dead-letter queue at a time, or did not.
func (p *Passage) waits(w *deliver.Waiting, redriven time.Time) {
	at := slices.IndexFunc(p.Deliveries, func(d Delivery) bool { return d.RuleARN == w.Rule.String() && d.Target == w.TargetID })
	if at < 0 {
		at = len(p.Deliveries)
		p.Deliveries = append(p.Deliveries, Delivery{
			Rule: ruleName(w.Rule), RuleARN: w.Rule.String(), Target: w.TargetID, TargetARN: w.Target, Attempts: []Attempt{}, Omitted: w.Attempts,
		})
	}
	d := &p.Deliveries[at]
	switch ended := d.State == Delivered || d.State == Dead || d.State == Dropped || d.State == Expired; {
	case ended && d.endedBefore(redriven), d.State == Dead && !w.DeadLetter:
		d.Why = "It was brought back from the dead-letter queue."
	case ended:
		return // the outcome is on its way into the log
	}
	d.State = Waiting
	if !w.Next.IsZero() {
		d.Next = w.Next
	}
	if w.DeadLetter {
		d.State = Dying
	}
	switch {
	case w.Behind != "":
		d.Why = fmt.Sprintf("It comes after event %s, by the order of the rule.", w.Behind)
	case len(d.Attempts) == 0 && w.Attempts == 0:
		d.Why = "No attempt was made yet: it waits for room at the destination, or is being attempted."
	}
}

// endedBefore reports whether every attempt was made before the event came back.
func (d *Delivery) endedBefore(redriven time.Time) bool {
	return !redriven.IsZero() && (len(d.Attempts) == 0 || d.Attempts[len(d.Attempts)-1].Began.Before(redriven))
}
