package console

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/internal/redrive"
)

// Letters knows the dead letters of queues.
type Letters interface {
	Queues(scope rialto.Scope) []queue.Address
	List(ctx context.Context, q redrive.Query) (*redrive.Page, error)
	Letter(ctx context.Context, queues []queue.Address, id, after string) (*redrive.Letter, error)
}

// DeadLetters is the part that shows dead letters. Nobody who receives from the queues notices.
func DeadLetters(l Letters) Part {
	d := deadLetters{l}
	return Part{{"GET", "/_rialto/v1/dead-letters", d.list}, {"GET", "/_rialto/v1/dead-letters/{id}", d.show}}
}

type deadLetters struct{ Letters }

// A letter is what the API says of a message.
type letter struct {
	ID       string    `json:"id"`
	Queue    string    `json:"queue"`
	Kind     string    `json:"kind"`  // of a rule, of a schedule, of a queue, or sent by somebody
	State    string    `json:"state"` // visible, in flight …
	Sent     time.Time `json:"sent"`
	Receives int       `json:"receives"`
	Size     int       `json:"size"`
	Source   string    `json:"source,omitempty"`

	Rule      string    `json:"rule,omitempty"` // or the schedule
	TargetID  string    `json:"targetId,omitempty"`
	Target    string    `json:"target,omitempty"`
	Event     string    `json:"event,omitempty"`
	Bus       string    `json:"bus,omitempty"`
	Accepted  time.Time `json:"accepted,omitzero"`
	Code      string    `json:"code,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Exhausted string    `json:"exhausted,omitempty"`
	Retries   string    `json:"retries,omitempty"`
	Redrives  int       `json:"redrives"`

	Body     *string         `json:"body,omitempty"`     // of one that is shown alone
	Original json.RawMessage `json:"original,omitempty"` // the event as it was accepted
}

func letterOf(l *redrive.Letter) letter {
	is := letter{
		ID: l.ID, Queue: string(l.Queue.Name), Kind: l.Kind, State: l.State, Sent: l.Sent, Receives: l.Receives, Size: l.Size, Source: l.Source,
		TargetID: l.TargetID, Target: l.Target, Event: l.Event, Accepted: l.Accepted, Code: l.Code, Reason: l.Reason,
		Exhausted: l.Exhausted, Retries: l.Retries, Redrives: l.Redrives,
	}
	switch l.Kind {
	case redrive.KindRule:
		is.Rule, is.Bus = l.Rule.String(), l.Bus.String()
	case redrive.KindSchedule:
		is.Rule = l.Rule.String()
	}
	return is
}

// A letterGroup is how many letters have the rest in common.
type letterGroup struct {
	Queue    string    `json:"queue"`
	Kind     string    `json:"kind"`
	Rule     string    `json:"rule,omitempty"`
	TargetID string    `json:"targetId,omitempty"`
	Target   string    `json:"target,omitempty"`
	Code     string    `json:"code,omitempty"`
	Source   string    `json:"source,omitempty"`
	Count    int       `json:"count"`
	Oldest   time.Time `json:"oldest"`
	Newest   time.Time `json:"newest"`
}

func groupsOf(groups []redrive.Group) []letterGroup {
	list := make([]letterGroup, len(groups))
	for i, g := range groups {
		list[i] = letterGroup{
			Queue: string(g.Queue.Name), Kind: g.Kind, TargetID: g.TargetID, Target: g.Target, Code: g.Code, Source: g.Source,
			Count: g.N, Oldest: g.Oldest, Newest: g.Newest,
		}
		if g.Kind == redrive.KindRule || g.Kind == redrive.KindSchedule {
			list[i].Rule = g.Rule.String()
		}
	}
	return list
}

// list answers with groups of letters and a page of them.
func (d deadLetters) list(w http.ResponseWriter, r *Request) error {
	queues, err := d.queues(r)
	if err != nil {
		return err
	}
	filter, err := r.filter()
	if err != nil {
		return err
	}
	limit, err := r.number("limit")
	if err != nil {
		return err
	}
	query := redrive.Query{Filter: filter, Queues: queues, After: r.FormValue("after"), Limit: limit}
	query.Dead = r.FormValue("queue") == "" // in a queue that somebody names they look for whatever is there
	page, err := d.List(r.Context(), query)
	if err != nil {
		return err
	}
	letters := make([]letter, len(page.Letters))
	for i, l := range page.Letters {
		letters[i] = letterOf(l)
	}
	return Answer(w, map[string]any{"total": page.Total, "groups": groupsOf(page.Groups), "letters": letters, "next": page.Next,
		"partial": page.Partial})
}

// show answers with one letter and all that it says.
func (d deadLetters) show(w http.ResponseWriter, r *Request) error {
	queues, err := d.queues(r)
	if err != nil {
		return err
	}
	l, err := d.Letter(r.Context(), queues, r.PathValue("id"), r.FormValue("after"))
	if err != nil {
		return err
	}
	is := letterOf(l)
	is.Body = &l.Body
	if json.Valid(l.Original) {
		is.Original = l.Original
	}
	return Answer(w, is)
}

// queues are the queue that the request names, or all of the caller's.
func (d deadLetters) queues(r *Request) ([]queue.Address, error) {
	name := r.FormValue("queue")
	if name == "" {
		return d.Queues(r.Scope), nil
	}
	at, err := r.queue(name)
	return []queue.Address{at}, err
}

// queue reads the name or ARN of a queue, which must be the caller's.
func (r *Request) queue(s string) (queue.Address, error) {
	arn, err := rialto.ParseARN(s)
	if err != nil {
		arn = r.Scope.QueueARN(rialto.QueueName(s))
	}
	at, ok := queue.AddressOf(arn)
	switch {
	case !ok:
		return at, rialto.Errorf(rialto.Invalid, "%q is neither the name nor the ARN of a queue.", s)
	case at.Scope.Account != r.Scope.Account:
		return at, rialto.Errorf(rialto.Denied, "The queue %s belongs to another account.", arn)
	}
	return at, nil
}

// filter reads what letters are to be like.
func (r *Request) filter() (f redrive.Filter, err error) {
	f = redrive.Filter{
		Rule: r.FormValue("rule"), Target: r.FormValue("target"), Code: r.FormValue("code"), Text: r.FormValue("text"), Event: r.FormValue("event"),
	}
	if f.From, err = r.since("from"); err != nil {
		return f, err
	}
	f.Until, err = r.since("until")
	return f, err
}
