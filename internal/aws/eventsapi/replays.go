package eventsapi

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/replay"
	"github.com/rialto-events/rialto/internal/route"
)

// A Replays carries out replays. Package replay has it.
type Replays interface {
	Start(ctx context.Context, spec replay.Spec) (replay.Replay, error)
	Get(ctx context.Context, s rialto.Scope, name string) (replay.Replay, error)
	Cancel(ctx context.Context, s rialto.Scope, name string) (replay.Replay, error)
	List(ctx context.Context, s rialto.Scope) ([]replay.Replay, error)
}

// noReplays stands for a server that replays nothing.
type noReplays struct{}

func (noReplays) Start(context.Context, replay.Spec) (replay.Replay, error) {
	return replay.Replay{}, rialto.Errorf(rialto.Unavailable, "This server cannot replay events.")
}

func (noReplays) Get(_ context.Context, _ rialto.Scope, name string) (replay.Replay, error) {
	return replay.Replay{}, notFound("Replay %s does not exist.", name)
}

func (n noReplays) Cancel(ctx context.Context, s rialto.Scope, name string) (replay.Replay, error) {
	return n.Get(ctx, s, name)
}

func (noReplays) List(context.Context, rialto.Scope) ([]replay.Replay, error) { return nil, nil }

// StartReplay begins to put the events of an archive onto its bus again.
func (f *Front) StartReplay(ctx context.Context, in *StartReplayInput) (*StartReplayOutput, error) {
	scope := aws.Caller(ctx).Scope
	spec, err := f.replaySpec(scope, in)
	if err != nil {
		return nil, err
	}
	r, err := f.replays.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &StartReplayOutput{ReplayArn: new(r.ARN()), State: new(ReplayState(r.State)), ReplayStartTime: &r.Started}, nil
}

// replaySpec reads what a replay is to do, and reports what AWS would not take.
func (f *Front) replaySpec(s rialto.Scope, in *StartReplayInput) (replay.Spec, error) {
	bus, ok := parseBusARN(*in.Destination.Arn)
	if !ok {
		return replay.Spec{}, invalid("Parameter Destination.Arn is not valid. Reason: Must contain an event bus ARN.")
	}
	if bus.Scope != s {
		return replay.Spec{}, notFound("Event bus %s does not exist.", bus.Name)
	}
	if err := f.wantBus(bus); err != nil {
		return replay.Spec{}, err
	}
	a, err := f.replayed(s, *in.EventSourceArn)
	switch {
	case err != nil:
		return replay.Spec{}, err
	case a.Bus != bus.Name:
		return replay.Spec{}, invalid("Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.")
	}
	from, to := in.EventStartTime.Truncate(time.Second), in.EventEndTime.Truncate(time.Second)
	if !from.Before(to) {
		return replay.Spec{}, invalid("Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.")
	}
	for _, arn := range in.Destination.FilterArns {
		if err := f.wantRuleOf(bus, arn); err != nil {
			return replay.Spec{}, err
		}
	}
	return replay.Spec{
		Scope: s, Name: *in.ReplayName, Description: given(in.Description), Archive: a.Name, From: from, To: to,
		Bus: bus.Name, Rules: in.Destination.FilterArns,
	}, nil
}

// parseBusARN reads the ARN of a bus.
func parseBusARN(s string) (route.Bus, bool) {
	arn, err := rialto.ParseARN(s)
	name, ok := strings.CutPrefix(arn.Resource, "event-bus/")
	return route.Bus{Scope: arn.Scope(), Name: rialto.BusName(name)}, err == nil && arn.Service == "events" && ok && name != ""
}

// replayed finds the archive of an ARN.
func (f *Front) replayed(s rialto.Scope, source string) (*catalog.Archive, error) {
	arn, err := rialto.ParseARN(source)
	name, ok := strings.CutPrefix(arn.Resource, "archive/")
	if err != nil || arn.Service != "events" || !ok {
		return nil, invalid("Parameter EventSourceArn is not valid. Reason: Must contain an archive ARN.")
	}
	if a := f.archive(s, name); a != nil && arn.Scope() == s {
		return a, nil
	}
	return nil, invalid("Parameter EventSourceArn is not valid. Reason: Archive %s does not exist.", name)
}

// wantRuleOf reports an ARN that is none of a rule of a bus.
func (f *Front) wantRuleOf(bus route.Bus, s string) error {
	arn, err := rialto.ParseARN(s)
	name, rule, ok := parseRuleARN(arn.Resource)
	if err != nil || !ok || arn.Service != "events" || arn.Scope() != bus.Scope || name != bus.Name {
		return invalid("Parameter Destination.FilterArns is not valid. Reason: %s is not the ARN of a rule of EventBus %s.", s, bus.Name)
	}
	if n := (ruleName{bus, rule}); f.catalog.Rules.Get(n.key()) == nil {
		return n.missing()
	}
	return nil
}

func (f *Front) DescribeReplay(ctx context.Context, in *DescribeReplayInput) (*DescribeReplayOutput, error) {
	scope := aws.Caller(ctx).Scope
	r, err := f.replays.Get(ctx, scope, *in.ReplayName)
	if err != nil {
		return nil, err
	}
	return &DescribeReplayOutput{
		ReplayName: &r.Name, ReplayArn: new(r.ARN()), Description: r.Description, State: new(ReplayState(r.State)), StateReason: text(r.Reason),
		EventSourceArn: new(archiveOf(&r)), Destination: &ReplayDestination{Arn: new(scope.BusARN(r.Bus).String()), FilterArns: r.Rules},
		EventStartTime: moment(r.From), EventEndTime: moment(r.To), EventLastReplayedTime: moment(r.LastMinute()),
		ReplayStartTime: moment(r.Started), ReplayEndTime: moment(r.Ended),
	}, nil
}

// archiveOf is the ARN of the archive of a replay.
func archiveOf(r *replay.Replay) string {
	return (&catalog.Archive{Name: r.Archive}).ARN(r.Scope)
}

func (f *Front) CancelReplay(ctx context.Context, in *CancelReplayInput) (*CancelReplayOutput, error) {
	r, err := f.replays.Cancel(ctx, aws.Caller(ctx).Scope, *in.ReplayName)
	if err != nil {
		return nil, err
	}
	return &CancelReplayOutput{ReplayArn: new(r.ARN()), State: new(ReplayStateCancelling)}, nil
}

func (f *Front) ListReplays(ctx context.Context, in *ListReplaysInput) (*ListReplaysOutput, error) {
	if err := f.wantOneFilter("ListReplays", in.State != nil, in.EventSourceArn != nil, in.NamePrefix != nil); err != nil {
		return nil, err
	}
	all, err := f.replays.List(ctx, aws.Caller(ctx).Scope)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r replay.Replay) bool {
		return !strings.HasPrefix(r.Name, deref(in.NamePrefix)) || in.State != nil && r.State != replay.State(*in.State) ||
			in.EventSourceArn != nil && archiveOf(&r) != *in.EventSourceArn
	})
	l := listing{in.NextToken, in.Limit, []string{deref(in.NamePrefix), deref(in.EventSourceArn), string(deref(in.State))}, badTokenValue}
	replays, next, err := page(ctx, l, func(after string, n int) []replay.Replay {
		i, found := slices.BinarySearchFunc(all, after, func(r replay.Replay, name string) int { return strings.Compare(r.Name, name) })
		if found {
			i++
		}
		return all[i:min(i+n, len(all))]
	}, func(r replay.Replay) string { return r.Name })
	if err != nil {
		return nil, err
	}
	out := &ListReplaysOutput{Replays: make([]Replay, 0, len(replays)), NextToken: next}
	for i := range replays {
		r := &replays[i]
		out.Replays = append(out.Replays, Replay{
			ReplayName: &r.Name, EventSourceArn: new(archiveOf(r)), State: new(ReplayState(r.State)), StateReason: text(r.Reason),
			EventStartTime: moment(r.From), EventEndTime: moment(r.To), EventLastReplayedTime: moment(r.LastMinute()),
			ReplayStartTime: moment(r.Started), ReplayEndTime: moment(r.Ended),
		})
	}
	return out, nil
}
