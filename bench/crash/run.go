package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rialto-events/rialto/bench/child"
)

const (
	shortestLife = 200 * time.Millisecond // under load, before the server is killed
	longestLife  = 2500 * time.Millisecond
	inRecovery   = 150 * time.Millisecond // within which some are killed again while they recover
	patience     = 30 * time.Second       // in the end, for something more to arrive
	receivers    = 12                     // of each queue
)

// A trial is one run of the program.
type trial struct {
	config
	out    io.Writer
	site   *child.Site
	random *rand.Rand
	world  *world
}

// run kills the server as often as asked. The error says what is wrong with the server, or with the trial.
func run(ctx context.Context, c config, out io.Writer) (err error) {
	t := &trial{config: c, out: out, random: rand.New(rand.NewPCG(c.seed, 0))}
	if t.site, err = child.NewSite(ctx, "crash", c.binary, shards); err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, t.site.Close(out, c.keep || err != nil)) }()
	t.world = newWorld(t.site.URL(), c.callers)
	defer t.world.close()

	fmt.Fprintf(out, "crash: %d rounds, %d callers, seed %d\n", c.rounds, c.callers, c.seed)
	if err := t.site.Start(ctx); err != nil {
		return err
	}
	if err := t.world.define(ctx); err != nil {
		return err
	}
	return t.load(ctx)
}

// load has everybody call, kills the server meanwhile, and accounts in the end.
func (t *trial) load(ctx context.Context) error {
	receiving, stopReceiving := context.WithCancel(ctx)
	calling, stopCalling := context.WithCancel(ctx)
	var takers, callers sync.WaitGroup
	defer func() {
		stopCalling()
		stopReceiving()
		callers.Wait()
		takers.Wait()
	}()
	for i, q := range []struct {
		name string
		on   way
	}{{"direct", direct}, {"over", over}, {"dead", letters}, {"plain", ways}} {
		for j := range receivers {
			random := rand.New(rand.NewPCG(t.seed, uint64(1000+10*i+j)))
			takers.Go(func() { t.world.receive(receiving, q.name, q.on, random) })
		}
	}
	for i := range t.callers {
		random := rand.New(rand.NewPCG(t.seed, uint64(2000+i)))
		if i%8 == 7 {
			callers.Go(func() { t.world.send(calling, i) })
		} else {
			callers.Go(func() { t.world.putEvents(calling, i, random) })
		}
	}
	callers.Go(func() { t.world.defineMore(calling) })
	for key := range lineKeys {
		callers.Go(func() { t.world.stand(calling, key) })
	}

	t.world.setUp(true)
	for round := range t.rounds {
		if err := t.round(ctx, round+1); err != nil {
			return err
		}
	}
	stopCalling()
	callers.Wait()
	fmt.Fprintln(t.out, "calls have ended; waiting for what is on its way")
	t.world.ledger.settle(ctx, patience)
	t.world.line.settle(ctx, patience)
	return t.verdict(ctx)
}

// round lets the server live for a while, kills it and starts it again.
func (t *trial) round(ctx context.Context, n int) error {
	life := between(t.random, shortestLife, longestLife)
	timer := time.NewTimer(life)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	case <-t.site.Server.Ended():
		return t.site.WithLog(errors.New("the server ended by itself"))
	}
	t.world.setUp(false)
	t.site.Server.Kill()
	again := ""
	if t.random.IntN(4) == 0 {
		moment := between(t.random, 0, inRecovery)
		again = fmt.Sprintf(", and again %s after its start", moment.Round(time.Millisecond))
		p, err := t.site.Launch(ctx)
		if err != nil {
			return err
		}
		err = pause(ctx, moment)
		p.Kill()
		if err != nil {
			return err
		}
	}
	if err := t.site.Start(ctx); err != nil {
		return err
	}
	t.world.setUp(true)
	s := t.world.ledger.sum()
	fmt.Fprintf(t.out, "%3d/%d  killed after %4d ms%s; ready in %3d ms; acknowledged %d events (%d open), %d messages; duplicates %d\n",
		n, t.rounds, life.Milliseconds(), again, t.site.Server.Took.Milliseconds(), s.events, s.open, s.messages, s.duplicates)
	return nil
}

func between(random *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(random.Int64N(int64(high-low)))
}

// shards is one more than a server on one disk gets by itself, so that messages and events go from one to the other.
const shards = "--shards=2"

// verdict prints what became of everything, and fails if anything is lost.
func (t *trial) verdict(ctx context.Context) error {
	waiting, err := t.world.waiting(ctx)
	if err != nil {
		return err
	}
	defined, err := t.world.queues(ctx, "defined-")
	if err != nil {
		return err
	}
	a := t.world.ledger.account(defined)
	for _, d := range a.duplicates {
		fmt.Fprintln(t.out, "duplicate:", d)
	}
	s := t.world.ledger.sum()
	fmt.Fprintf(t.out, "acknowledged: %d events on %d ways, %d messages, %d deletes, %d definitions; %d calls without an answer\n",
		s.events, ways, s.messages, s.deletes, len(t.world.ledger.definitions), s.unknown)
	fmt.Fprintf(t.out, "duplicates:   %d deliveries %v\n", len(a.duplicates), a.perWay)
	lined, repeats, wrong := t.world.line.account()
	fmt.Fprintf(t.out, "in line:      %d events of %d keys, %d came twice in a row\n", lined, lineKeys, repeats)
	fmt.Fprintf(t.out, "ready:        in %d ms at most\n", t.site.Slowest.Milliseconds())

	if len(a.events) > 0 && len(a.events) <= waiting {
		for _, e := range a.events {
			fmt.Fprintln(t.out, "waiting:", e)
		}
		fmt.Fprintf(t.out, "waiting:      %d deliveries, as the server says\n", waiting)
		a.events = nil
	}
	lost := slices.Concat(a.events, a.messages, a.back, a.definitions, wrong)
	if t.world.failed != nil {
		lost = append(lost, "an answer that should not have been: "+t.world.failed.Error())
	}
	if t.site.Slowest > readyLimit {
		lost = append(lost, fmt.Sprintf("the server took %s to be ready, more than %s", t.site.Slowest, readyLimit))
	}
	if len(lost) > 0 {
		return fmt.Errorf("NOT WELL:\n%s", strings.Join(lost, "\n"))
	}
	fmt.Fprintln(t.out, "nothing is lost")
	return nil
}

// waiting asks the server how many deliveries are on their way or wait for another attempt.
func (w *world) waiting(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/_rialto/v1/destinations", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask for what waits: %w", err)
	}
	defer resp.Body.Close()
	var out struct {
		Destinations []struct{ InFlight, Waiting int }
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return 0, fmt.Errorf("ask for what waits: %w", err)
	}
	n := 0
	for _, d := range out.Destinations {
		n += d.InFlight + d.Waiting
	}
	return n, nil
}
