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
)

// What a message in a queue is.
const (
	KindRule  = "rule"  // a dead letter of a rule: it can be brought back
	KindQueue = "queue" // a dead letter of a queue, by its redrive policy
	KindSent  = "sent"  // somebody has sent it, or it is of a time before letters kept their origin
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

	// Of a dead letter of a rule.
	Rule      rialto.ARN
	TargetID  string
	Target    string // ARN of the target, as it was then
	Event     string // id
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
	case s.Source != "":
		l.Kind = KindQueue
	}
	return l
}

// A Filter selects letters: those that fit everything that is set. The zero value is all messages.
type Filter struct {
	Rule   string    `json:"rule,omitempty"`   // ARN, or name
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

// ruleName is the last part of a rule's ARN.
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

// A Page is an answer to a query. Groups and Total are of all that fits, whatever the page shows.
type Page struct {
	Groups  []Group // the largest first
	Letters []*Letter
	Next    string // for the next page, or empty
	Total   int
}

// List finds letters. It reads every message of the queues, and nobody who receives from them notices.
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
	for _, at := range q.Queues {
		err := s.each(ctx, at, func(st *queue.Standing, l *Letter) bool {
			if q.Dead && l.Kind == KindSent || !q.fits(l) {
				return true
			}
			page.Total++
			count(groups, l)
			here := token{at.Name, st.Order() + 1}
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
		if err != nil && !(queue.IsMissing(err) && len(q.Queues) > 1) {
			return nil, err
		}
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

// Letter finds one message by its id.
func (s *Service) Letter(ctx context.Context, queues []queue.Address, id string) (*Letter, error) {
	var found *Letter
	for _, at := range queues {
		err := s.each(ctx, at, func(_ *queue.Standing, l *Letter) bool {
			if l.ID == id {
				found = l
			}
			return found == nil
		})
		if err != nil && !(queue.IsMissing(err) && len(queues) > 1) {
			return nil, err
		}
		if found != nil {
			return found, nil
		}
	}
	return nil, rialto.Errorf(rialto.NotFound, "There is no message %s.", id)
}

// each reads the messages of a queue, in the order in which they came, until f returns false.
func (s *Service) each(ctx context.Context, at queue.Address, f func(st *queue.Standing, l *Letter) bool) error {
	v, err := s.queues.Survey(ctx, at)
	if err != nil {
		return err
	}
	for i := range v.Messages {
		st := &v.Messages[i]
		m, ok, err := v.Read(ctx, st)
		if err != nil {
			return err
		}
		if ok && !f(st, letterOf(at, st, &m)) {
			return nil
		}
	}
	return nil
}
