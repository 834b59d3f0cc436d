package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rialto-events/rialto/bench/child"
	"github.com/rialto-events/rialto/bench/wire"
)

const (
	archive   = "all"
	kinds     = 10                     // of events: a tenth of them is of each
	aSecond   = 100                    // events of one second, by their own time
	atOnce    = 10                     // events in a call
	putters   = 16                     // callers at once
	parts     = 4                      // in which the events are put, so that there are several segments
	ordered   = 20                     // seconds that the ordered replay at a set rate takes
	killed    = 60_000                 // events that are replayed while the server is killed, at most
	patience  = 60 * time.Second       // without any progress
	looks     = 50 * time.Millisecond  // between two looks at a replay
	rest      = 500 * time.Millisecond // that a paused replay is watched
	growth    = 128 << 20              // bytes by which the server may grow in a replay, once it has put a fifth
	tries     = 12                     // bits that are flipped until one is in a segment that is still used
	onDiskToo = 16 << 20               // bytes that the journal may keep of an archive that is gone: two files
)

var filler = strings.Repeat("x", 116) // so that an event has about 400 bytes, a part of which does not shrink

// A trial is one run of the program.
type trial struct {
	config
	out     io.Writer
	site    *child.Site
	client  *wire.Client
	witness *witness
	first   time.Time // of the events' times
	order   []int     // numbers of the events as the archive has them
}

// run tells the story once. The error says what is wrong with the server, or with the trial.
func run(ctx context.Context, c config, out io.Writer) (err error) {
	t := &trial{config: c, out: out}
	if t.site, err = child.NewSite(ctx, "replays", c.binary); err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, t.site.Close(out, c.keep || err != nil)) }()
	t.client = wire.New(t.site.URL(), putters)
	defer t.client.Close()
	t.witness = newWitness()
	defer t.witness.server.Close()
	t.first = time.Now().Add(-time.Duration(c.events/aSecond+1) * time.Second).UTC().Truncate(time.Second)
	if err := t.site.Start(ctx); err != nil {
		return err
	}
	for _, chapter := range []func(context.Context) error{
		t.define, t.fill, t.dryRun, t.inOrder, t.rests, t.toNobody, t.toAll, t.survives, t.isDamaged, t.givesBack,
	} {
		if err := chapter(ctx); err != nil {
			return t.site.WithLog(err)
		}
	}
	t.say("replays: each event of each window was put once, in order, and the disk has its space back")
	return nil
}

func (t *trial) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// timeOf is the time of an event.
func (t *trial) timeOf(n int) time.Time { return t.first.Add(time.Duration(n/aSecond) * time.Second) }

// define makes a bus with an archive, one with rules that get what is replayed, and one that has none.
func (t *trial) define(ctx context.Context) error {
	arn := func(service, resource string) string {
		return "arn:aws:" + service + ":us-east-1:000000000000:" + resource
	}
	role := "arn:aws:iam::000000000000:role/replays"
	var connection struct{ ConnectionArn string }
	var api struct{ ApiDestinationArn string }
	for _, call := range []struct {
		operation string
		in        func() object
		out       any
	}{
		{"CreateEventBus", func() object { return object{"Name": "live"} }, nil},
		{"CreateEventBus", func() object { return object{"Name": "again"} }, nil},
		{"CreateEventBus", func() object { return object{"Name": "void"} }, nil},
		{"CreateArchive", func() object {
			return object{"ArchiveName": archive, "EventSourceArn": arn("events", "event-bus/live")}
		}, nil},
		{"CreateConnection", func() object {
			return object{"Name": "witness", "AuthorizationType": "API_KEY",
				"AuthParameters": object{"ApiKeyAuthParameters": object{"ApiKeyName": "X-Api-Key", "ApiKeyValue": "secret"}}}
		}, &connection},
		{"CreateApiDestination", func() object {
			return object{"Name": "witness", "ConnectionArn": connection.ConnectionArn, "HttpMethod": "POST",
				"InvocationEndpoint": t.witness.server.URL, "InvocationRateLimitPerSecond": 100_000}
		}, &api},
		{"PutRule", func() object {
			return object{"Name": "every", "EventBusName": "again", "EventPattern": `{"source":["replays"]}`}
		}, nil},
		{"PutTargets", func() object {
			return object{"Rule": "every", "EventBusName": "again", "Targets": []object{
				{"Id": "witness", "Arn": api.ApiDestinationArn, "RoleArn": role}, {"Id": "void", "Arn": arn("events", "event-bus/void"), "RoleArn": role},
			}}
		}, nil},
		{"PutRule", func() object {
			return object{"Name": "tenth", "EventBusName": "again", "EventPattern": `{"detail":{"kind":[3]}}`}
		}, nil},
		{"PutTargets", func() object {
			return object{"Rule": "tenth", "EventBusName": "again", "Targets": []object{{"Id": "void", "Arn": arn("events", "event-bus/void"), "RoleArn": role}}}
		}, nil},
	} {
		if err := t.client.Call(ctx, "AWSEvents."+call.operation, call.in(), call.out); err != nil {
			return fmt.Errorf("%s: %w", call.operation, err)
		}
	}
	return nil
}

// fill puts the events, and holds what the archive says against what it has, before and after a kill.
func (t *trial) fill(ctx context.Context) error {
	began := time.Now()
	for i := range parts {
		if err := t.put(ctx, i*t.events/parts, (i+1)*t.events/parts); err != nil {
			return err
		}
	}
	took := time.Since(began)
	before, err := t.counts(ctx)
	if err != nil {
		return err
	}
	t.say("%d events put in %s, %.0f a second; the archive has all of them at once", t.events, brief(took), float64(t.events)/took.Seconds())
	t.site.Server.Kill()
	if err := t.site.Start(ctx); err != nil {
		return err
	}
	after, err := t.counts(ctx)
	if err != nil {
		return err
	}
	if after.Bytes != before.Bytes {
		return fmt.Errorf("the archive had %d bytes before a kill, and has %d after it", before.Bytes, after.Bytes)
	}
	began = time.Now()
	var size int64
	if t.order, size, err = t.kept(ctx); err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	took = time.Since(began)
	seen := make([]bool, t.events)
	for i, n := range t.order {
		if n < 0 || n >= t.events || seen[n] || i > 0 && t.timeOf(n).Before(t.timeOf(t.order[i-1])) {
			return fmt.Errorf("event %d is in the archive, as number %d, where it should not be", n, i)
		}
		seen[n] = true
	}
	if len(t.order) != t.events || size != after.Bytes {
		return fmt.Errorf("the archive has %d events of %d bytes, and says %d of %d", len(t.order), size, after.Events, after.Bytes)
	}
	if after, err = t.counts(ctx); err != nil { // reading has sealed the rest
		return err
	}
	t.say("counts are exact after kill -9 (ready again in %s); the archive is read in %s; %s of JSON take %s in %d segments",
		brief(t.site.Server.Took), brief(took), mb(size), mb(after.Stored), after.Segments)
	return nil
}

// counts asks what the archive has, which must be every event.
func (t *trial) counts(ctx context.Context) (a archiveState, err error) {
	var aws struct{ EventCount, SizeBytes int64 }
	if err := t.client.Call(ctx, "AWSEvents.DescribeArchive", object{"ArchiveName": archive}, &aws); err != nil {
		return a, err
	}
	if err := t.native(ctx, http.MethodGet, "archives/"+archive, nil, &a); err != nil {
		return a, err
	}
	if aws.EventCount != int64(t.events) || a.Events != aws.EventCount || a.Bytes != aws.SizeBytes {
		return a, fmt.Errorf("of %d events the archive says that it has %d of %d bytes, and by AWS's API %d of %d", t.events, a.Events, a.Bytes,
			aws.EventCount, aws.SizeBytes)
	}
	return a, nil
}

// dryRun asks where everything would go.
func (t *trial) dryRun(ctx context.Context) error {
	type goal struct {
		Rule, TargetID string
		Events         int
	}
	var out struct {
		Events, Put, Deliveries int
		Goals                   []goal
	}
	began := time.Now()
	if err := t.native(ctx, http.MethodPost, "replays/dry-run", object{"archive": archive, "bus": "again"}, &out); err != nil {
		return err
	}
	tenth := 0
	for n := range t.events {
		if n%kinds == 3 {
			tenth++
		}
	}
	got := map[string]int{}
	for _, g := range out.Goals {
		got[g.Rule[strings.LastIndex(g.Rule, "/")+1:]+" "+g.TargetID] = g.Events
	}
	if out.Events != t.events || out.Put != t.events || out.Deliveries != 2*t.events+tenth || len(got) != 3 ||
		got["every witness"] != t.events || got["every void"] != t.events || got["tenth void"] != tenth {
		return fmt.Errorf("of %d events, the dry run says %+v", t.events, out)
	}
	t.say("dry run: %d events would make %d deliveries to 3 targets of 2 rules, which is exact; it took %s", out.Events, out.Deliveries, brief(time.Since(began)))
	return nil
}

// A part is the first events of the archive.
func (t *trial) part(most int) []int {
	n := max(aSecond, most/aSecond*aSecond)
	return t.order[:min(n, t.events)]
}

// start begins a replay of a part to the bus again.
func (t *trial) start(ctx context.Context, name string, part []int, more object) error {
	asked := object{"name": name, "archive": archive, "bus": "again"}
	if len(part) < len(t.order) {
		asked["to"] = t.timeOf(part[len(part)-1]).Add(time.Second)
	}
	for key, value := range more {
		asked[key] = value
	}
	var r replayState
	if err := t.native(ctx, http.MethodPost, "replays", asked, &r); err != nil {
		return err
	}
	if r.Expected != int64(len(part)) {
		return fmt.Errorf("the replay %s is to have %d events, and expects %d", name, len(part), r.Expected)
	}
	return nil
}

// toWitness is a replay whose events the witness gets one after the other.
func toWitness(perSecond float64) object {
	o := object{"rules": []string{"every"}, "target": "witness", "order": "time"}
	if perSecond > 0 {
		o["speed"] = object{"perSecond": perSecond}
	}
	return o
}

// finish waits for the end of a replay that the witness gets, and accounts for each event.
func (t *trial) finish(ctx context.Context, name string, part []int) (y tally, err error) {
	r, err := t.ended(ctx, name)
	if err != nil {
		return y, err
	}
	if err := t.arrive(ctx, name, len(part)); err != nil {
		return y, err
	}
	came, _ := t.witness.of(name)
	if y, err = account(came, part); err != nil {
		return y, fmt.Errorf("%s: %w", name, err)
	}
	n := int64(len(part))
	if r.State != "COMPLETED" || r.Read != n || r.Put != n || r.Delivered != n {
		return y, fmt.Errorf("%s is %s with %d events read, %d put and %d deliveries, of %d: %s", name, r.State, r.Read, r.Put, r.Delivered, n, r.Reason)
	}
	at, err := t.lastReplayed(ctx, name)
	if want := t.timeOf(part[len(part)-1]).Truncate(time.Minute); err == nil && !at.Equal(want) {
		err = fmt.Errorf("the last event of %s is of %s, and AWS's API says %s", name, want, at)
	}
	return y, err
}

// inOrder replays some events in order at a set rate.
func (t *trial) inOrder(ctx context.Context) error {
	part := t.part(min(t.events/3, int(ordered*t.rate)))
	if err := t.start(ctx, "in-order", part, toWitness(t.rate)); err != nil {
		return err
	}
	y, err := t.finish(ctx, "in-order", part)
	if err != nil {
		return err
	}
	came, _ := t.witness.of("in-order")
	got := rate(came)
	if off := got/t.rate - 1; off > t.within || off < -t.within {
		return fmt.Errorf("%g events a second were asked for, and %.1f came", t.rate, got)
	}
	t.say("in order at %g a second: %d events came in order, %d of them twice, at %.1f a second (%+.2f %%)", t.rate, y.events, y.repeats, got, 100*(got/t.rate-1))
	return nil
}

// rests pauses a replay, resumes it, and changes its speed twice.
func (t *trial) rests(ctx context.Context) error {
	const name = "rests"
	part := t.part(min(t.events/3, int(ordered*t.rate)))
	change := func(what string, body any) error {
		return t.native(ctx, http.MethodPost, "replays/"+name+"/"+what, body, nil)
	}
	reach := func(n int) ([]arrival, error) { // so many events were put
		_, err := t.watch(ctx, name, func(r replayState) bool { return r.Read >= int64(n) })
		came, _ := t.witness.of(name)
		return came, err
	}
	if err := t.start(ctx, name, part, toWitness(t.rate)); err != nil {
		return err
	}
	if _, err := reach(len(part) / 4); err != nil {
		return err
	}
	if err := change("pause", nil); err != nil {
		return err
	}
	at, err := t.restsAt(ctx, name)
	if err != nil {
		return err
	}
	if err := change("resume", nil); err != nil {
		return err
	}
	was, err := reach(len(part) / 2)
	if err != nil {
		return err
	}
	if err := change("speed", object{"perSecond": 2 * t.rate}); err != nil {
		return err
	}
	twice, err := reach(len(part) * 3 / 4)
	if err != nil {
		return err
	}
	if err := change("speed", object{}); err != nil {
		return err
	}
	if _, err := t.finish(ctx, name, part); err != nil {
		return err
	}
	came, _ := t.witness.of(name)
	t.say("paused at %d of %d, where it stayed; resumed; at twice the rate %.0f a second; without one %.0f a second; in order all the time",
		at, len(part), rate(twice[len(was):]), rate(came[len(twice):]))
	return nil
}

// restsAt waits until a paused replay has nothing on its way, and sees to it that nothing comes any more.
func (t *trial) restsAt(ctx context.Context, name string) (n int64, err error) {
	r, err := t.get(ctx, name)
	if err != nil {
		return 0, err
	}
	for {
		if err := t.arrive(ctx, name, int(r.Put)); err != nil {
			return 0, err
		}
		if err := pause(ctx, rest); err != nil {
			return 0, err
		}
		now, err := t.get(ctx, name)
		if err != nil {
			return 0, err
		}
		if now.Read == r.Read { // what was being put when it was paused is
			r = now
			break
		}
		r = now
	}
	if err := pause(ctx, rest); err != nil {
		return 0, err
	}
	now, err := t.get(ctx, name)
	came, _ := t.witness.of(name)
	if err == nil && (!now.Paused || now.Read != r.Read || int64(len(came)) != now.Put) {
		err = fmt.Errorf("%s is paused: %t; it had read %d events, and later %d; it has put %d, and %d came", name, now.Paused, r.Read, now.Read, now.Put, len(came))
	}
	return now.Read, err
}

// toNobody replays everything to a bus without rules.
func (t *trial) toNobody(ctx context.Context) error {
	_, err := t.fast(ctx, "to-nobody", "a bus without rules", object{"bus": "void"}, 0)
	return err
}

// toAll replays everything to a target that takes everything, which is another bus.
func (t *trial) toAll(ctx context.Context) error {
	got, err := t.fast(ctx, "to-all", "a target that takes everything", object{"rules": []string{"every"}, "target": "void"}, int64(t.events))
	if err == nil && got < t.least {
		err = fmt.Errorf("%.0f events a second were replayed as fast as possible, not %.0f", got, t.least)
	}
	return err
}

// fast replays everything as fast as possible, and prints how fast, and the server's memory meanwhile.
func (t *trial) fast(ctx context.Context, name, to string, more object, deliveries int64) (perSecond float64, err error) {
	if err := t.start(ctx, name, t.order, more); err != nil {
		return 0, err
	}
	used := processor(t.site.Server.PID())
	var memory []string
	var early, most int64 // bytes: after a fifth, and ever after
	r, err := t.watch(ctx, name, func(r replayState) bool {
		now := resident(t.site.Server.PID())
		if share := int(10 * r.Read / max(1, r.Expected)); share >= len(memory) {
			memory = append(memory, fmt.Sprintf("%.0f", float64(now)/1e6))
		}
		if 5*r.Read < r.Expected {
			early = max(early, now)
		}
		most = max(most, now)
		return false
	})
	if err != nil {
		return 0, err
	}
	if n := int64(t.events); r.State != "COMPLETED" || r.Read != n || r.Put != deliveries || r.Delivered != deliveries {
		return 0, fmt.Errorf("%s is %s with %d of %d events read, %d put, %d deliveries: %s", name, r.State, r.Read, n, r.Put, r.Delivered, r.Reason)
	}
	if early > 0 && most > early+growth {
		return 0, fmt.Errorf("the server had %s of memory after a fifth of %s, and later %s", mb(early), name, mb(most))
	}
	took, used := r.Ended.Sub(r.Started), processor(t.site.Server.PID())-used
	perSecond = float64(t.events) / took.Seconds()
	t.say("as fast as possible to %s: %d events in %s, %.0f a second, %.1f µs of processor each; the server's memory over time, in MB: %s", to, t.events,
		brief(took), perSecond, float64(used.Microseconds())/float64(t.events), strings.Join(memory, " "))
	return perSecond, nil
}

func brief(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }
