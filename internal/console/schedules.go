package console

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/scheduler"
)

// Timetable knows the schedules of EventBridge Scheduler.
type Timetable interface {
	Get(ctx context.Context, n scheduler.ScheduleName) (scheduler.Shown, error)
	List(ctx context.Context, scope rialto.Scope, q scheduler.Query, after string, most int) ([]scheduler.Shown, error)
	Fire(ctx context.Context, n scheduler.ScheduleName) (eventID string, err error)
	Groups(scope rialto.Scope, prefix, after string, most int) []*catalog.ScheduleGroup
	Group(scope rialto.Scope, name string) (*catalog.ScheduleGroup, error)
	Pause(ctx context.Context, scope rialto.Scope, name string, paused bool) error
}

// Schedules is the part that shows when schedules fire, lets one fire now, and groups of them pause.
func Schedules(t Timetable) Part {
	p := timetable{t}
	return Part{
		{"GET", "/_rialto/v1/schedules", p.list},
		{"GET", "/_rialto/v1/schedules/{group}/{name}", p.next},
		{"POST", "/_rialto/v1/schedules/{group}/{name}/fire", p.fire},
		{"GET", "/_rialto/v1/schedule-groups", p.groups},
		{"PUT", "/_rialto/v1/schedule-groups/{group}", p.pause},
	}
}

// timetable answers for schedules.
type timetable struct{ Timetable }

const (
	schedulesMost  = 1000 // in one answer
	upcomingMost   = 1000 // coming times in one answer
	upcomingCount  = 10   // unless asked for another number
	upcomingInList = 1
)

// A plannedSchedule is what the API says of one.
type plannedSchedule struct {
	ARN        string     `json:"arn"`
	Group      string     `json:"group"`
	Name       string     `json:"name"`
	Expression string     `json:"expression"`
	Zone       string     `json:"zone"`
	Enabled    bool       `json:"enabled"`
	Paused     bool       `json:"paused"` // its group is
	Target     string     `json:"target"`
	Last       time.Time  `json:"last,omitzero"` // for which it has fired
	Next       []upcoming `json:"next"`
}

// An upcoming is a time at which a schedule is due.
type upcoming struct {
	Time  time.Time `json:"time"`  // as clocks show it where the schedule is
	Fires time.Time `json:"fires"` // later, if it has a flexible window
}

func (p timetable) show(s *scheduler.Shown, count int) plannedSchedule {
	is := plannedSchedule{
		ARN: s.ARN().String(), Group: s.ScheduleName.Group, Name: s.ScheduleName.Name, Expression: s.Expression, Zone: s.Zone, Enabled: s.Enabled,
		Target: s.Target.ARN, Last: s.Fired, Next: []upcoming{},
	}
	if g, err := p.Group(s.Scope, is.Group); err == nil {
		is.Paused = g.Paused
	}
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		zone = time.UTC
	}
	for _, due := range s.Upcoming(count) {
		is.Next = append(is.Next, upcoming{due.Time.In(zone), due.At.In(zone)})
	}
	return is
}

func (p timetable) list(w http.ResponseWriter, r *Request) error {
	q := scheduler.Query{Group: r.URL.Query().Get("group"), Prefix: r.URL.Query().Get("prefix")}
	list, err := p.List(r.Context(), r.Scope, q, r.URL.Query().Get("after"), schedulesMost)
	if err != nil {
		return err
	}
	shown := make([]plannedSchedule, len(list))
	for i := range list {
		shown[i] = p.show(&list[i], upcomingInList)
	}
	return Answer(w, map[string]any{"schedules": shown, "more": len(list) == schedulesMost})
}

// scheduleName is that of the path.
func scheduleName(r *Request) scheduler.ScheduleName {
	return scheduler.ScheduleName{Scope: r.Scope, Group: r.PathValue("group"), Name: r.PathValue("name")}
}

func (p timetable) next(w http.ResponseWriter, r *Request) error {
	count := upcomingCount
	if text := r.URL.Query().Get("count"); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil || count < 1 || count > upcomingMost {
			return rialto.Errorf(rialto.Invalid, "count is a number from 1 to %d.", upcomingMost)
		}
	}
	s, err := p.Get(r.Context(), scheduleName(r))
	if err != nil {
		return err
	}
	return Answer(w, p.show(&s, count))
}

func (p timetable) fire(w http.ResponseWriter, r *Request) error {
	id, err := p.Fire(r.Context(), scheduleName(r))
	if err != nil {
		return err
	}
	return Answer(w, map[string]string{"eventId": id})
}

// A scheduleGroup is what the API says of one.
type scheduleGroup struct {
	Name     string `json:"name"`
	Paused   bool   `json:"paused"`
	Deleting bool   `json:"deleting"`
}

func (p timetable) groups(w http.ResponseWriter, r *Request) error {
	list := []scheduleGroup{}
	for _, g := range p.Groups(r.Scope, "", "", schedulesMost) {
		list = append(list, scheduleGroup{g.Name, g.Paused, g.Deleting})
	}
	return Answer(w, map[string]any{"groups": list})
}

func (p timetable) pause(w http.ResponseWriter, r *Request) error {
	var asked struct {
		Paused *bool `json:"paused"`
	}
	if err := r.Decode(&asked); err != nil {
		return err
	}
	if asked.Paused == nil {
		return rialto.Errorf(rialto.Invalid, "Say whether the group is to be paused: {\"paused\": true}.")
	}
	name := r.PathValue("group")
	if err := p.Pause(r.Context(), r.Scope, name, *asked.Paused); err != nil {
		return err
	}
	g, err := p.Group(r.Scope, name)
	if err != nil {
		return err
	}
	return Answer(w, scheduleGroup{g.Name, g.Paused, g.Deleting})
}
