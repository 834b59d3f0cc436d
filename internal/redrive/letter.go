package redrive

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/queue"
)

// Limits of lists.
const (
	defaultPage = 100
	maxPage     = 1000
	maxGroups   = 10_000 // that are counted apart in one list
	maxRead     = 20_000 // messages that one request reads; each takes some 40 µs
)

// What a message in a queue is.
const (
	KindRule     = "rule"     // a dead letter of a rule or a subscription: it can be brought back
	KindSchedule = "schedule" // a dead letter of a schedule: likewise
	KindQueue    = "queue"    // a dead letter of a queue, by its redrive policy
	KindSent     = "sent"     // somebody has sent it, or it is of a time before letters kept their origin
)

// A Letter is a message of a queue, as a look at it shows that disturbs nobody.
type Letter struct {
	ID       string
	Queue    queue.Address
	Kind     string
	State    string    // as [queue.Standing] has it
	Sent     time.Time // when it came into its first queue
	Receives int
	Size     int    // bytes, as AWS counts them
	Source   string // ARN of the queue where it was received too often, or empty

	// Of a dead letter of a rule or a schedule.
	Rule      rialto.ARN // or the schedule
	TargetID  string     // of a rule's
	Target    string     // ARN of the target, as it was then
	Event     string     // id
	Bus       rialto.ARN
	Accepted  time.Time // when the event was accepted
	Code      string
	Reason    string
	Exhausted string // which limit of retries, if it was one
	Retries   string // attempts after the first, as AWS writes them
	Redrives  int    // how often it was brought back before

	Body     string // what the target was to receive
	Original []byte // the event as it was accepted
}

// letterOf is a message as a letter.
func letterOf(at queue.Address, s *queue.Standing, m *queue.Message) *Letter {
	l := &Letter{
		ID: m.ID, Queue: at, Kind: KindSent, State: s.State, Sent: s.Sent, Receives: s.Receives, Size: m.Size(), Source: s.Source,
		Target: m.Attributes["TARGET_ARN"].Value, Code: m.Attributes["ERROR_CODE"].Value, Reason: m.Attributes["ERROR_MESSAGE"].Value,
		Exhausted: m.Attributes["EXHAUSTED_RETRY_CONDITION"].Value, Retries: m.Attributes["RETRY_ATTEMPTS"].Value, Body: m.Body,
	}
	switch o := m.Origin; {
	case o != nil:
		l.Kind = KindRule
		l.Rule, l.TargetID, l.Event, l.Bus, l.Accepted = o.Rule, o.TargetID, o.EventID, o.Bus, o.Accepted
		l.Redrives, l.Original = o.Redrives, o.Event
		if o.Rule.Service == "scheduler" {
			l.Kind, l.Rule, l.TargetID, l.Bus = KindSchedule, senderOf(o), "", rialto.ARN{}
		}
	case s.Source != "":
		l.Kind = KindQueue
	}
	return l
}

// A Filter selects letters: those that fit everything that is set. The zero value is all messages.
type Filter struct {
	Rule   string    `json:"rule,omitempty"`   // ARN, or name, of a rule or a schedule
	Target string    `json:"target,omitempty"` // ARN, or id within the rule
	Code   string    `json:"code,omitempty"`   // such as CONNECTION_FAILURE
	Text   string    `json:"text,omitempty"`   // somewhere in the body, the event or the reason
	Event  string    `json:"event,omitempty"`  // id
	From   time.Time `json:"from,omitzero"`    // sent at this time or later
	Until  time.Time `json:"until,omitzero"`   // sent before
	IDs    []string  `json:"ids,omitempty"`    // one of these messages
}

// everything reports whether no message has to be read to know that it fits.
func (f *Filter) everything() bool {
	return f.Rule == "" && f.Target == "" && f.Code == "" && f.Text == "" && f.Event == "" && f.From.IsZero() && f.Until.IsZero() && len(f.IDs) == 0
}

// fits reports whether a letter is selected.
func (f *Filter) fits(l *Letter) bool {
	return (f.Rule == "" || f.Rule == l.Rule.String() || f.Rule == ruleName(l.Rule)) &&
		(f.Target == "" || f.Target == l.TargetID || f.Target == l.Target) &&
		(f.Code == "" || strings.EqualFold(f.Code, l.Code)) &&
		(f.Text == "" || strings.Contains(l.Body, f.Text) || strings.Contains(l.Reason, f.Text) || strings.Contains(string(l.Original), f.Text)) &&
		(f.Event == "" || f.Event == l.Event) &&
		(f.From.IsZero() || !l.Sent.Before(f.From)) &&
		(f.Until.IsZero() || l.Sent.Before(f.Until)) &&
		(len(f.IDs) == 0 || slices.Contains(f.IDs, l.ID))
}

// ruleName is the last part of a rule's ARN, or a schedule's.
func ruleName(rule rialto.ARN) string {
	return rule.Resource[strings.LastIndexByte(rule.Resource, '/')+1:]
}

// A Group is the letters that have queue, rule, target and code in common.
type Group struct {
	Queue    queue.Address
	Kind     string
	Rule     rialto.ARN
	TargetID string
	Target   string
	Code     string
	Source   string // ARN of the queue, for dead letters of queues
	N        int
	Oldest   time.Time
	Newest   time.Time
}

type groupKey struct {
	queue                             queue.Address
	kind, rule, id, arn, code, source string
}

// A Query asks for letters of queues.
type Query struct {
	Filter
	Queues []queue.Address // in the order of their names
	Dead   bool            // leave out what somebody has sent to a queue
	After  string          // a [Page]'s Next
	Limit  int             // letters on the page; 0 is 100
}

// A Page is an answer to a query. Groups and Total are of all that fits, whatever the page shows, unless there is too much for one request:
// then Partial says that they are of what comes after the page before, as far as it was read.
type Page struct {
	Groups  []Group // the largest first
	Letters []*Letter
	Next    string // for the next page, or empty
	Total   int
	Partial bool
}

// List finds letters. It reads the messages of the queues, a bounded number of them, and nobody who receives from them notices.
func (s *Service) List(ctx context.Context, q Query) (*Page, error) {
	if q.Limit < 0 || q.Limit > maxPage {
		return nil, rialto.Errorf(rialto.Invalid, "A page has from 1 to %d dead letters.", maxPage)
	}
	if q.Limit == 0 {
		q.Limit = defaultPage
	}
	after, err := parseToken(q.After)
	if err != nil {
		return nil, err
	}
	page := new(Page)
	groups := make(map[groupKey]*Group)
	r := reading{Service: s}
	if few, err := s.few(ctx, q.Queues); err != nil {
		return nil, err
	} else if !few {
		r.last, page.Partial = after, after != token{}
	}
	whole, err := r.each(ctx, q.Queues, func(here token, l *Letter) bool {
		if q.Dead && l.Kind == KindSent || !q.fits(l) {
			return true
		}
		page.Total++
		count(groups, l)
		switch {
		case !after.before(here):
		case len(page.Letters) < q.Limit:
			page.Letters = append(page.Letters, l)
			after = here
		case page.Next == "":
			page.Next = after.String()
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if !whole {
		page.Next, page.Partial = cmp.Or(page.Next, r.last.String()), true
	}
	for _, g := range groups {
		page.Groups = append(page.Groups, *g)
	}
	slices.SortFunc(page.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.N, a.N), a.Oldest.Compare(b.Oldest), cmp.Compare(a.Rule.Resource, b.Rule.Resource),
			cmp.Compare(a.TargetID, b.TargetID), cmp.Compare(a.Code, b.Code))
	})
	return page, nil
}

// few reports whether one request may read all messages of queues.
func (s *Service) few(ctx context.Context, queues []queue.Address) (bool, error) {
	n := 0
	for _, at := range queues {
		size, err := s.queues.Size(ctx, at)
		if err != nil && !queue.IsMissing(err) {
			return false, err
		}
		if n += size; n > maxRead {
			return false, nil
		}
	}
	return true, nil
}

// count adds a letter to its group. Should there be too many, what is left over is in one without a name.
func count(groups map[groupKey]*Group, l *Letter) {
	key := groupKey{l.Queue, l.Kind, l.Rule.String(), l.TargetID, l.Target, l.Code, l.Source}
	g, ok := groups[key]
	if !ok {
		if len(groups) >= maxGroups {
			key = groupKey{}
			l = &Letter{Sent: l.Sent}
		}
		if g, ok = groups[key]; !ok {
			g = &Group{
				Queue: l.Queue, Kind: l.Kind, Rule: l.Rule, TargetID: l.TargetID, Target: l.Target, Code: l.Code, Source: l.Source,
				Oldest: l.Sent, Newest: l.Sent,
			}
			groups[key] = g
		}
	}
	g.N++
	if l.Sent.Before(g.Oldest) {
		g.Oldest = l.Sent
	}
	if l.Sent.After(g.Newest) {
		g.Newest = l.Sent
	}
}

// Letter finds one message by its id, after a place that a [Page] ended with or, if that is empty, from the beginning.
func (s *Service) Letter(ctx context.Context, queues []queue.Address, id, after string) (found *Letter, err error) {
	r := reading{Service: s}
	if r.last, err = parseToken(after); err != nil {
		return nil, err
	}
	whole, err := r.each(ctx, queues, func(_ token, l *Letter) bool {
		if l.ID == id {
			found = l
		}
		return found == nil
	})
	switch {
	case err != nil:
		return nil, err
	case found != nil:
		return found, nil
	case !whole:
		return nil, rialto.Errorf(rialto.NotFound, "Message %s is not among %d messages that were looked at. Say in which queue it is, or look further: after=%s",
			id, maxRead, r.last)
	}
	return nil, rialto.Errorf(rialto.NotFound, "There is no message %s.", id)
}

// A reading reads messages of queues for one request, no more than it may.
type reading struct {
	*Service
	last token // that was read
	n    int
}

// each reads the messages after the last, queue by queue, each in the order in which they came, until f returns false. It reports whether
// there are no more that could not be read. Of several queues some may be gone.
func (r *reading) each(ctx context.Context, queues []queue.Address, f func(at token, l *Letter) bool) (whole bool, err error) {
	for _, at := range queues {
		if at.Name < r.last.queue {
			continue
		}
		least := uint64(0)
		if at.Name == r.last.queue {
			least = r.last.order
		}
		v, err := r.queues.SurveyFrom(ctx, at, least, maxRead-r.n+1)
		if queue.IsMissing(err) && len(queues) > 1 {
			continue
		}
		if err != nil {
			return false, err
		}
		for i := range v.Messages {
			if r.n++; r.n > maxRead {
				return false, nil
			}
			st := &v.Messages[i]
			m, ok, err := v.Read(ctx, st)
			if err != nil {
				return false, err
			}
			if r.last = (token{at.Name, st.Order() + 1}); ok && !f(r.last, letterOf(at, st, &m)) {
				return true, nil
			}
		}
	}
	return true, nil
}
