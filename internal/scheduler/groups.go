package scheduler

import (
	"context"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
)

const (
	groupExists  = "Schedule group %s already exists."
	deletingText = "Schedule group %s is being deleted."                                 // AWS's text is not known
	onDefault    = "This operation cannot be performed on schedule group default."       // recorded on AWS
	tooMany      = "The limit of %d schedule groups for this account has been exceeded." // likewise not known

	clearPause = 10 * time.Millisecond // between two looks at whether a group is gone
	clearWait  = 2 * time.Second       // that DeleteScheduleGroup waits for it
)

// defaultSince is since when there is a default group of a scope: the day on which EventBridge Scheduler began.
var defaultSince = time.Date(2022, 11, 10, 0, 0, 0, 0, time.UTC)

// Group returns a group.
func (s *Schedules) Group(scope rialto.Scope, name string) (*catalog.ScheduleGroup, error) {
	g := s.catalog.Groups.Get(catalog.NameKey(scope, name))
	if g == nil && name == catalog.DefaultScheduleGroup {
		g = &catalog.ScheduleGroup{Name: name, Created: defaultSince, Modified: defaultSince}
	}
	if g == nil {
		return nil, rialto.Errorf(rialto.NotFound, noGroup, name)
	}
	return g, nil
}

// knownGroup refuses a group that is not there.
func (s *Schedules) knownGroup(scope rialto.Scope, name string) error {
	_, err := s.Group(scope, name)
	return err
}

// openGroup refuses a group in which nothing can be made.
func (s *Schedules) openGroup(scope rialto.Scope, name string) error {
	g, err := s.Group(scope, name)
	if err == nil && g.Deleting {
		return rialto.Errorf(rialto.Conflict, deletingText, name)
	}
	return err
}

// Groups lists the groups of a scope whose names have a prefix, in order: those after a name, no more than most.
func (s *Schedules) Groups(scope rialto.Scope, prefix, after string, most int) []*catalog.ScheduleGroup {
	var list []*catalog.ScheduleGroup
	key := ""
	if after != "" {
		key = catalog.NameKey(scope, after)
	}
	for _, e := range s.catalog.Groups.List(catalog.NameKey(scope, prefix), key, most) {
		list = append(list, e.Value)
	}
	const name = catalog.DefaultScheduleGroup
	if s.catalog.Groups.Get(catalog.NameKey(scope, name)) != nil || !strings.HasPrefix(name, prefix) || after >= name {
		return list
	}
	d, _ := s.Group(scope, name)
	at := 0
	for at < len(list) && list[at].Name < name {
		at++
	}
	list = append(list[:at], append([]*catalog.ScheduleGroup{d}, list[at:]...)...)
	return list[:min(len(list), most)]
}

// CreateGroup makes a group. If it is there already, made by a call with the same client token, that is the answer again.
func (s *Schedules) CreateGroup(ctx context.Context, scope rialto.Scope, name string, tags []catalog.Tag, clientToken string) (rialto.ARN, error) {
	if name == catalog.DefaultScheduleGroup {
		return rialto.ARN{}, rialto.Errorf(rialto.Invalid, onDefault)
	}
	now := s.clock.Now().UTC()
	g := &catalog.ScheduleGroup{Name: name, Tags: tags, Token: clientToken, Created: now, Modified: now}
	_, err := s.catalog.Groups.Edit(ctx, catalog.NameKey(scope, name), func(was *catalog.ScheduleGroup) (*catalog.ScheduleGroup, error) {
		switch {
		case was == nil && s.opts.MaxGroups > 0 && s.catalog.Groups.Count(catalog.ScopeKey(scope)) >= s.opts.MaxGroups:
			return nil, rialto.Errorf(rialto.Exceeded, tooMany, s.opts.MaxGroups)
		case was == nil:
			return g, nil
		case was.Deleting:
			return nil, rialto.Errorf(rialto.Conflict, deletingText, name)
		case clientToken != "" && was.Token == clientToken:
			return nil, catalog.Unchanged
		}
		return nil, rialto.Errorf(rialto.Exists, groupExists, name)
	})
	return g.ARN(scope), err
}

// DeleteGroup deletes a group with all its schedules, in the background. It waits a moment for that, so that a client that looks for what was in a
// small group does not find it any more.
func (s *Schedules) DeleteGroup(ctx context.Context, scope rialto.Scope, name, clientToken string) error {
	if name == catalog.DefaultScheduleGroup {
		return rialto.Errorf(rialto.Invalid, onDefault)
	}
	arn := (&catalog.ScheduleGroup{Name: name}).ARN(scope)
	_, err := s.edit(ctx, scope, name, func(g *catalog.ScheduleGroup) error {
		g.Deleting = true
		return nil
	})
	if err != nil {
		if rialto.KindOf(err) == rialto.NotFound && s.gone.knows(arn, clientToken) {
			return nil
		}
		return err
	}
	s.gone.note(arn, clientToken)
	for range clearWait / clearPause {
		if s.catalog.Groups.Get(catalog.NameKey(scope, name)) == nil {
			return nil
		}
		t := time.NewTimer(clearPause) // of the real world: it is for a client's sake
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
	return nil
}

// edit changes a group that is there.
func (s *Schedules) edit(ctx context.Context, scope rialto.Scope, name string, change func(*catalog.ScheduleGroup) error) (*catalog.ScheduleGroup, error) {
	return s.catalog.Groups.Edit(ctx, catalog.NameKey(scope, name), func(was *catalog.ScheduleGroup) (*catalog.ScheduleGroup, error) {
		if was == nil {
			var err error
			if was, err = s.Group(scope, name); err != nil {
				return nil, err
			}
		}
		is := *was
		is.Modified = s.clock.Now().UTC()
		return &is, change(&is)
	})
}

// Tag changes the tags of a group.
func (s *Schedules) Tag(ctx context.Context, scope rialto.Scope, name string, change func(tags []catalog.Tag) ([]catalog.Tag, error)) error {
	if name == catalog.DefaultScheduleGroup {
		return rialto.Errorf(rialto.Invalid, onDefault)
	}
	_, err := s.edit(ctx, scope, name, func(g *catalog.ScheduleGroup) (err error) {
		g.Tags, err = change(g.Tags)
		return err
	})
	return err
}

// Pause stops the schedules of a group, or lets them go on. What is due meanwhile is not made up for, but for an at(), which fires when the group
// goes on.
func (s *Schedules) Pause(ctx context.Context, scope rialto.Scope, name string, paused bool) error {
	_, err := s.edit(ctx, scope, name, func(g *catalog.ScheduleGroup) error {
		g.Paused = paused
		return nil
	})
	return err
}
