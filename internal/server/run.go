package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// drainTimeout bounds how long requests and attempts in progress are waited for at an orderly end.
const drainTimeout = 10 * time.Second

// Run serves until ctx ends or a part fails, and stops everything that it has started. It can be called once.
//
// Parts are started from the bottom up and stopped from the top down: requests end before deliveries, these before the shards
// that their outcomes go into, and the journal is closed last.
func (s *Server) Run(ctx context.Context) error {
	stack := &stack{failed: make(chan error, 1)}
	stack.start("catalog", s.catalog.Run)
	for _, sh := range s.shards {
		stack.start(sh.Name(), sh.Run)
	}
	stack.start("explanations", s.recorder.Run)
	if s.tracer != nil {
		stack.start("traces", s.tracer.Run)
	}
	stack.start("queues", s.queues.Run)
	stack.start("deliveries", s.deliver.Run)
	stack.start("topics", s.topics.Run)
	stack.start("archives", s.history.Run)
	stack.start("circuits", s.circuits.Run)
	stack.start("redrives", s.redrive.Run)
	stack.start("replays", s.replays.Run)
	stack.start("schedules", s.timers.Run)
	stack.start("schedules of rules", s.rules.Run)
	stack.start("ends of schedules", s.schedules.Run)
	stack.start("outages", s.outages.Run)
	stack.start("connections", s.conns.Run)
	if s.scrapes != nil {
		stack.start("metrics", s.serveMetrics)
	}
	stack.start("requests", s.serveRequests)
	s.health.ready.Store(true)
	close(s.ready)

	var err error
	select {
	case <-ctx.Done():
	case err = <-stack.failed:
	}
	s.health.ready.Store(false)
	err = errors.Join(err, stack.stop())
	s.close(context.WithoutCancel(ctx))
	return err
}

// serveRequests answers requests until ctx ends, then waits for those in progress. Requests that wait for messages end at once.
func (s *Server) serveRequests(ctx context.Context) error {
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	done := make(chan error, 1)
	go func() { done <- s.http.Serve(s.listen) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := s.http.Shutdown(drain)
	if err != nil {
		err = s.http.Close() // some client is slower than we are patient
	}
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// A stack is parts that run, each of which needs those started before it.
type stack struct {
	parts  []part
	failed chan error // has room for one: a part ended that was not told to
}

type part struct {
	name   string
	cancel context.CancelFunc
	done   chan error
}

func (s *stack) start(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := part{name, cancel, make(chan error, 1)}
	s.parts = append(s.parts, p)
	go func() {
		err := run(ctx)
		if ctx.Err() == nil { // not told to end
			if err == nil {
				err = errors.New("ended by itself")
			}
			select {
			case s.failed <- fmt.Errorf("%s: %w", name, err):
			default:
			}
			err = nil // said
		}
		p.done <- err
	}()
}

// stop ends the parts, the last one first.
func (s *stack) stop() error {
	var errs []error
	for i := len(s.parts) - 1; i >= 0; i-- {
		p := s.parts[i]
		p.cancel()
		if err := <-p.done; err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", p.name, err))
		}
	}
	return errors.Join(errs...)
}
