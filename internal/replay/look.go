package replay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/history"
	"github.com/rialto-events/rialto/target"
)

// An Outcome is what a replay would do.
type Outcome struct {
	Events     int64  `json:"events"`     // of the window
	Put        int64  `json:"put"`        // of these, that a rule wants
	Deliveries int64  `json:"deliveries"` // that they make
	Goals      []Goal `json:"goals"`
}

// A Goal is a target that gets events.
type Goal struct {
	Rule     string `json:"rule"`     // ARN
	TargetID string `json:"targetId"` // within the rule
	Target   string `json:"target"`   // ARN
	Events   int64  `json:"events"`
}

// DryRun finds out what a replay would do, by the rules as they are now. Nothing is put. An error with [history.Damages] comes with the outcome
// for the rest.
func (s *Service) DryRun(ctx context.Context, spec Spec) (Outcome, error) {
	if spec.Name == "" {
		spec.Name = "dry-run" // rules may ask for the name
	}
	if err := spec.check(); err != nil {
		return Outcome{}, err
	}
	a, err := s.Archive(spec.Scope, spec.Archive)
	if err != nil {
		return Outcome{}, err
	}
	r := &runner{service: s, known: &known{Replay: &Replay{Spec: spec}}, salts: make(map[target.Key][8]byte)}
	if err := r.prepare(); err != nil {
		return Outcome{}, err
	}
	var out Outcome
	goals := make(map[target.Key]*Goal)
	err = s.each(ctx, a, r.known.window(), func(e history.Entry) error {
		out.Events++
		if !r.match(e.Event) {
			return nil
		}
		again, err := r.again(e.Event)
		if err != nil {
			return err
		}
		if len(again.Targets) > 0 {
			out.Put++
		}
		for _, t := range again.Targets {
			g, ok := goals[t.Key]
			if !ok {
				g = &Goal{Rule: t.Rule.String(), TargetID: t.ID, Target: t.ARN}
				goals[t.Key] = g
			}
			g.Events++
			out.Deliveries++
		}
		return nil
	})
	out.Goals = make([]Goal, 0, len(goals))
	for _, g := range goals {
		out.Goals = append(out.Goals, *g)
	}
	slices.SortFunc(out.Goals, func(a, b Goal) int { return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.TargetID, b.TargetID)) })
	return out, err
}

// each reads what an archive has, with what it got before the call. What is damaged is left out, and told of by the error.
func (s *Service) each(ctx context.Context, a *catalog.Archive, w history.Window, f func(history.Entry) error) error {
	if err := s.history.Flush(ctx, a.ID); err != nil {
		return fmt.Errorf("gather what archive %s has: %w", a.Name, err)
	}
	var damaged []error
	for e, err := range s.history.Read(ctx, a.ID, w, history.Position{}) {
		switch {
		case history.Damages(err) != nil:
			damaged = append(damaged, err)
			continue
		case err == nil:
			err = f(e)
		}
		if err != nil {
			return fmt.Errorf("read archive %s: %w", a.Name, err)
		}
	}
	return cmp.Or(ctx.Err(), errors.Join(damaged...))
}

// PatternOf is the event pattern of a rule of an archive's bus.
func (s *Service) PatternOf(scope rialto.Scope, archive, rule string) (string, error) {
	a, err := s.Archive(scope, archive)
	if err != nil {
		return "", err
	}
	r := s.catalog.Rules.Get(catalog.RuleKey(scope, a.Bus, rialto.RuleName(rule)))
	switch {
	case r == nil:
		return "", rialto.Errorf(rialto.NotFound, "Rule %s does not exist on EventBus %s.", rule, a.Bus)
	case r.Pattern == nil || *r.Pattern == "":
		return "", rialto.Errorf(rialto.Invalid, "Rule %s has a schedule and no event pattern.", rule)
	}
	return *r.Pattern, nil
}

// A Change is what another pattern would mean for the events of an archive.
type Change struct {
	Both  int64     `json:"both"`  // events that both patterns match
	More  Different `json:"more"`  // that only the new one does
	Fewer Different `json:"fewer"` // that only the old one does
}

// A Different is events, some of them as examples.
type Different struct {
	Events   int64             `json:"events"`
	Examples []json.RawMessage `json:"examples"`
}

func (d *Different) add(event []byte, most int) {
	d.Events++
	if len(d.Examples) < most {
		d.Examples = append(d.Examples, bytes.Clone(event))
	}
}

// Compare holds two patterns against the events of an archive, and returns up to so many examples of each difference. A pattern "" matches
// every event. An error with [history.Damages] comes with the change for the rest.
func (s *Service) Compare(ctx context.Context, scope rialto.Scope, archive string, w history.Window, was, is string, examples int) (Change, error) {
	change := Change{More: Different{Examples: []json.RawMessage{}}, Fewer: Different{Examples: []json.RawMessage{}}}
	a, err := s.Archive(scope, archive)
	if err != nil {
		return change, err
	}
	before, err := matcher(`pattern "was"`, was)
	if err != nil {
		return change, err
	}
	after, err := matcher(`pattern "is"`, is)
	if err != nil {
		return change, err
	}
	err = s.each(ctx, a, w, func(e history.Entry) error {
		switch old, young := before(e.Event), after(e.Event); {
		case old && young:
			change.Both++
		case young:
			change.More.add(e.Event, examples)
		case old:
			change.Fewer.add(e.Event, examples)
		}
		return nil
	})
	return change, err
}

// Archives lists the archives of a scope, sorted by name.
func (s *Service) Archives(scope rialto.Scope) []*catalog.Archive {
	var list []*catalog.Archive
	for _, e := range s.catalog.Archives.List(catalog.ScopeKey(scope), "", 0) {
		list = append(list, e.Value)
	}
	return list
}
