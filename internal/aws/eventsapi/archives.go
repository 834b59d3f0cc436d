package eventsapi

import (
	"cmp"
	"context"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/history"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/pattern"
)

// An Archives keeps what archives have, by [catalog.Archive.ID]. Package history has it.
type Archives interface {
	Count(ctx context.Context, archive string) (history.Total, error)
	Delete(ctx context.Context, archive string) error
}

// noArchives stands for a server that keeps nothing.
type noArchives struct{}

func (noArchives) Count(context.Context, string) (history.Total, error) { return history.Total{}, nil }
func (noArchives) Delete(context.Context, string) error                 { return nil }

func errNoArchive(name string) error { return notFound("Archive %s does not exist.", name) }

// CreateArchive makes an archive, and the rule by which it gets its events. The archive is written first: one whose rule is missing, because
// the process was killed in between, is disabled, and UpdateArchive repairs it.
func (f *Front) CreateArchive(ctx context.Context, in *CreateArchiveInput) (*CreateArchiveOutput, error) {
	scope := aws.Caller(ctx).Scope
	bus, err := f.sourceBus(scope, *in.EventSourceArn)
	if err != nil {
		return nil, err
	}
	defer f.control.lock(scope)()
	if err := f.wantBus(bus); err != nil {
		return nil, err
	}
	if f.archive(scope, *in.ArchiveName) != nil {
		return nil, exists("Archive %s already exists.", *in.ArchiveName)
	}
	a := &catalog.Archive{
		Name: *in.ArchiveName, ID: uuid.NewString(), Bus: bus.Name, Description: given(in.Description), Pattern: given(in.EventPattern),
		RetentionDays: deref(in.RetentionDays), KMSKey: keyOf(in.KmsKeyIdentifier), Created: f.clock.Now(),
	}
	if err := f.wantArchiveRule(scope, a); err != nil {
		return nil, err
	}
	if f.catalog.Archives.Count(catalog.ScopeKey(scope)) >= f.limits.Archives {
		return nil, errTooMany()
	}
	if err := f.setArchive(ctx, scope, a); err != nil {
		return nil, err
	}
	if err := f.setArchiveRule(ctx, scope, a); err != nil {
		undo := context.WithoutCancel(ctx)
		_, undone := f.catalog.Archives.Edit(undo, catalog.NameKey(scope, a.Name), func(*catalog.Archive) (*catalog.Archive, error) { return nil, nil })
		return nil, cmp.Or(err, undone)
	}
	return &CreateArchiveOutput{ArchiveArn: new(a.ARN(scope)), State: new(f.archiveState(scope, a)), CreationTime: &a.Created}, nil
}

// sourceBus finds the bus whose events an archive is to keep.
func (f *Front) sourceBus(s rialto.Scope, source string) (route.Bus, error) {
	arn, err := rialto.ParseARN(source)
	name, ok := strings.CutPrefix(arn.Resource, "event-bus/")
	if err != nil || arn.Service != "events" || !ok || name == "" {
		return route.Bus{}, invalid("Parameter EventSourceArn is not valid. Reason: Must contain an event bus ARN.")
	}
	bus := route.Bus{Scope: arn.Scope(), Name: rialto.BusName(name)}
	switch {
	case arn.Region != s.Region:
		return bus, invalid("Cross-region api call is not allowed.")
	case arn.Account != s.Account: // what is another account's cannot be archived here
		return bus, notFound("Event bus %s does not exist.", name)
	}
	return bus, nil
}

// given is a text, or nil if it is empty, which means the same as leaving it out.
func given(text *string) *string {
	if deref(text) == "" {
		return nil
	}
	return text
}

func (f *Front) archive(s rialto.Scope, name string) *catalog.Archive {
	return f.catalog.Archives.Get(catalog.NameKey(s, name))
}

func (f *Front) setArchive(ctx context.Context, s rialto.Scope, a *catalog.Archive) error {
	_, err := f.catalog.Archives.Edit(ctx, catalog.NameKey(s, a.Name), func(*catalog.Archive) (*catalog.Archive, error) { return a, nil })
	return err
}

func archiveRule(s rialto.Scope, a *catalog.Archive) ruleName {
	return ruleName{route.Bus{Scope: s, Name: a.Bus}, a.RuleName()}
}

// wantArchiveRule reports why the rule of an archive cannot be made: a bad pattern, a rule of that name that is somebody else's, or no room.
func (f *Front) wantArchiveRule(s rialto.Scope, a *catalog.Archive) error {
	p := (*pattern.Pattern)(nil)
	if a.Pattern != nil {
		if utf8.RuneCountInString(*a.Pattern) > f.limits.PatternLength {
			return invalid("Parameter EventPattern for archive %s exceeds limit of %d.", a.Name, f.limits.PatternLength)
		}
		var err error
		if p, err = parsePattern(*a.Pattern); err != nil {
			return err
		}
	}
	name := archiveRule(s, a)
	if r := f.catalog.Rules.Get(name.key()); r != nil && deref(r.ManagedBy) != catalog.ManagedByArchives {
		return exists("Rule %s already exists.", name.rule)
	}
	return f.wantRoom(name, p)
}

// setArchiveRule makes or repairs the rule of an archive.
func (f *Front) setArchiveRule(ctx context.Context, s rialto.Scope, a *catalog.Archive) error {
	text, err := archivePattern(a)
	if err != nil {
		return err
	}
	_, err = f.catalog.Rules.Edit(ctx, archiveRule(s, a).key(), func(*catalog.Rule) (*catalog.Rule, error) {
		return &catalog.Rule{
			Name: a.RuleName(), Bus: a.Bus, Pattern: &text, Enabled: true, State: string(RuleStateEnabled),
			ManagedBy: new(catalog.ManagedByArchives), CreatedBy: s.Account, Targets: []catalog.Target{a.Target(s)},
		}, nil
	})
	return err
}

// notReplayed is what keeps events of a replay out of archives (recorded on AWS).
const notReplayed = `"replay-name":[{"exists":false}]`

// archivePattern is the pattern of an archive's rule: the archive's own, for events that are no replay.
func archivePattern(a *catalog.Archive) (string, error) {
	if a.Pattern == nil {
		return "{" + notReplayed + "}", nil
	}
	own, err := pattern.AppendCompact(nil, []byte(*a.Pattern))
	if err != nil {
		return "", err
	}
	return "{" + notReplayed + "," + strings.TrimPrefix(string(own), "{"), nil
}

// archiveState is DISABLED if somebody has taken the rule or its target away by force (recorded on AWS).
func (f *Front) archiveState(s rialto.Scope, a *catalog.Archive) ArchiveState {
	if r := f.catalog.Rules.Get(archiveRule(s, a).key()); r != nil && r.Enabled {
		for i := range r.Targets {
			if r.Targets[i].Archive == a.StoreARN(s) {
				return ArchiveStateEnabled
			}
		}
	}
	return ArchiveStateDisabled
}

func (f *Front) DescribeArchive(ctx context.Context, in *DescribeArchiveInput) (*DescribeArchiveOutput, error) {
	scope := aws.Caller(ctx).Scope
	a := f.archive(scope, *in.ArchiveName)
	if a == nil {
		return nil, errNoArchive(*in.ArchiveName)
	}
	has, err := f.archives.Count(ctx, a.ID)
	if rialto.KindOf(err) == rialto.NotFound { // it was deleted meanwhile
		err = errNoArchive(a.Name)
	}
	return &DescribeArchiveOutput{
		ArchiveArn: new(a.ARN(scope)), ArchiveName: &a.Name, EventSourceArn: new(scope.BusARN(a.Bus).String()), Description: a.Description,
		EventPattern: a.Pattern, State: new(f.archiveState(scope, a)), KmsKeyIdentifier: a.KMSKey, RetentionDays: &a.RetentionDays,
		SizeBytes: &has.Bytes, EventCount: &has.Events, CreationTime: &a.Created,
	}, err
}

// UpdateArchive changes what is given and leaves the rest, and repairs the archive's rule.
func (f *Front) UpdateArchive(ctx context.Context, in *UpdateArchiveInput) (*UpdateArchiveOutput, error) {
	if in.EventPattern == nil && in.RetentionDays == nil && in.Description == nil && in.KmsKeyIdentifier == nil {
		return nil, invalid("At least one of EventPattern, RetentionDays or Description must be provided.")
	}
	scope := aws.Caller(ctx).Scope
	defer f.control.lock(scope)()
	was := f.archive(scope, *in.ArchiveName)
	if was == nil {
		return nil, errNoArchive(*in.ArchiveName)
	}
	a := *was
	if in.EventPattern != nil {
		a.Pattern = given(in.EventPattern)
	}
	if in.Description != nil {
		a.Description = given(in.Description)
	}
	if in.KmsKeyIdentifier != nil {
		a.KMSKey = keyOf(in.KmsKeyIdentifier)
	}
	a.RetentionDays = deref(cmp.Or(in.RetentionDays, &a.RetentionDays))
	if err := cmp.Or(f.wantBus(route.Bus{Scope: scope, Name: a.Bus}), f.wantArchiveRule(scope, &a)); err != nil {
		return nil, err
	}
	if err := f.setArchive(ctx, scope, &a); err != nil {
		return nil, err
	}
	if err := f.setArchiveRule(ctx, scope, &a); err != nil {
		return nil, err
	}
	return &UpdateArchiveOutput{ArchiveArn: new(a.ARN(scope)), State: new(f.archiveState(scope, &a)), CreationTime: &a.Created}, nil
}

// DeleteArchive removes an archive with all that it has. Its rule goes first, so that nothing comes in any more; the archive itself goes before
// what it has, since a name without data may be deleted again, and data without a name could not.
func (f *Front) DeleteArchive(ctx context.Context, in *DeleteArchiveInput) (*DeleteArchiveOutput, error) {
	scope := aws.Caller(ctx).Scope
	a, err := f.dropArchive(ctx, scope, *in.ArchiveName)
	if err != nil {
		return nil, err
	}
	return &DeleteArchiveOutput{}, f.archives.Delete(ctx, a.ID)
}

func (f *Front) dropArchive(ctx context.Context, s rialto.Scope, name string) (*catalog.Archive, error) {
	defer f.control.lock(s)()
	a := f.archive(s, name)
	if a == nil {
		return nil, errNoArchive(name)
	}
	_, err := f.catalog.Rules.Edit(ctx, archiveRule(s, a).key(), func(was *catalog.Rule) (*catalog.Rule, error) {
		if was == nil || deref(was.ManagedBy) != catalog.ManagedByArchives {
			return nil, catalog.Unchanged
		}
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	_, err = f.catalog.Archives.Edit(ctx, catalog.NameKey(s, name), func(*catalog.Archive) (*catalog.Archive, error) { return nil, nil })
	return a, err
}

func (f *Front) ListArchives(ctx context.Context, in *ListArchivesInput) (*ListArchivesOutput, error) {
	scope := aws.Caller(ctx).Scope
	if err := f.wantOneFilter("ListArchives", in.State != nil, in.EventSourceArn != nil, in.NamePrefix != nil); err != nil {
		return nil, err
	}
	var bus route.Bus
	if in.EventSourceArn != nil {
		var err error
		if bus, err = f.sourceBus(scope, *in.EventSourceArn); err == nil {
			err = f.wantBus(bus)
		}
		if err != nil {
			return nil, err
		}
	}
	l := listing{in.NextToken, in.Limit, []string{deref(in.NamePrefix), deref(in.EventSourceArn), string(deref(in.State))}, badTokenValue}
	archives, next, err := page(ctx, l, func(after string, n int) []*catalog.Archive {
		keys := catalog.ScopeKey(scope)
		return firstOf(f.catalog.Archives.List(keys+deref(in.NamePrefix), keys+after, 0), n, func(a *catalog.Archive) bool {
			return (bus.Name == "" || a.Bus == bus.Name) && (in.State == nil || f.archiveState(scope, a) == *in.State)
		})
	}, func(a *catalog.Archive) string { return a.Name })
	if err != nil {
		return nil, err
	}
	out := &ListArchivesOutput{Archives: make([]Archive, 0, len(archives)), NextToken: next}
	for _, a := range archives {
		has, err := f.archives.Count(ctx, a.ID)
		if rialto.KindOf(err) == rialto.NotFound && err != nil {
			continue // it was deleted while the list was made
		}
		if err != nil {
			return nil, err
		}
		out.Archives = append(out.Archives, Archive{
			ArchiveName: &a.Name, EventSourceArn: new(scope.BusARN(a.Bus).String()), State: new(f.archiveState(scope, a)),
			RetentionDays: &a.RetentionDays, SizeBytes: &has.Bytes, EventCount: &has.Events, CreationTime: &a.Created,
		})
	}
	return out, nil
}

// wantOneFilter reports more filters than a list takes.
func (f *Front) wantOneFilter(operation string, filters ...bool) error {
	n := 0
	for _, given := range filters {
		if given {
			n++
		}
	}
	if n > 1 {
		return invalid("At most one filter is allowed for %s. Use either : State, EventSourceArn, or NamePrefix.", operation)
	}
	return nil
}
