package server

import (
	"context"
	"net/http"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/circuits"
	"github.com/rialto-events/rialto/internal/console"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/explain"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/metrics"
	"github.com/rialto-events/rialto/internal/outages"
	"github.com/rialto-events/rialto/internal/tracing"
)

// An observer is told what happens to events, from when they are accepted until their last delivery has ended.
type observer interface {
	ingest.Observer
	deliver.Observer
}

// observers tells several what it is told itself.
type observers []observer

// Accepted tells all of an event that was accepted.
func (all observers) Accepted(e *deliver.Accepted) {
	for _, o := range all {
		o.Accepted(e)
	}
}

// Attempted tells all of an attempt.
func (all observers) Attempted(a *deliver.Attempted) {
	for _, o := range all {
		o.Attempted(a)
	}
}

// CircuitChanged tells all of a circuit.
func (all observers) CircuitChanged(c *deliver.Circuit) {
	for _, o := range all {
		o.CircuitChanged(c)
	}
}

// ends tells the schedules when what they have caused has ended.
type ends struct{ server *Server }

// Accepted is nothing to them.
func (ends) Accepted(*deliver.Accepted) {}

// Attempted tells them.
func (e ends) Attempted(a *deliver.Attempted) { e.server.schedules.Attempted(a) }

// CircuitChanged is nothing to them.
func (ends) CircuitChanged(*deliver.Circuit) {}

// watch makes those who are told what happens to events. It is called once the journal is open.
func (s *Server) watch(ctx context.Context) (observers, error) {
	memory := int(s.config.ExplainMemory)
	s.recorder = explain.NewRecorder(explain.Options{
		Logger: s.config.Logger, Clock: s.config.Clock, Journal: s.journal, Recent: memory / recentShare, Failures: memory - memory/recentShare,
	})
	s.metrics = metrics.New(Version)
	s.circuits = circuits.New(circuits.Options{Logger: s.config.Logger, Clock: s.config.Clock})
	s.outages = outages.New(outages.Options{Logger: s.config.Logger, Clock: s.config.Clock})
	all := observers{s.recorder, s.metrics, s.circuits, s.outages, ends{s}, &s.tally}
	if s.config.Tracing {
		var err error
		if s.tracer, err = tracing.New(ctx, Version, s.config.Logger, s.config.Clock); err != nil {
			return nil, err
		}
		all = append(all, s.tracer)
	}
	return all, nil
}

// recentShare is the part of the memory for explanations that events get which were delivered. Those that were not are what people
// ask for.
const recentShare = 3

// measure serves the metrics: all of them at an address of their own, to everybody who reaches it; otherwise beside the APIs, to those
// who may use these. They name buses, rules and queues, so that whoever has to prove who they are gets those of their account alone.
func (s *Server) measure(mux *http.ServeMux, auth aws.Authenticator) {
	s.metrics.Ask(metrics.Sources{
		Catalog: s.catalog, Stats: s.deliver.Stats, Circuits: s.deliver.Circuits, Queue: s.queues.Counts, Writable: s.journal.Health, Room: s.journal.Room,
		LeftOut: s.recorder.LeftOut, Archives: s.archived, Keys: s.deliver.Keys,
		Queued: func() map[string]int {
			queued := make(map[string]int)
			for _, sh := range s.shards {
				queued[sh.Name()] = sh.Queued()
			}
			return queued
		},
	})
	if s.scrapes != nil {
		return
	}
	all := s.metrics.Handler()
	handler := console.Protected(auth, func(who rialto.Scope) http.Handler {
		if s.config.Credentials == "" {
			return all
		}
		return s.metrics.HandlerOf(who.Account)
	})
	mux.Handle("GET /metrics", handler)
	mux.Handle("GET "+console.Prefix+"metrics", handler)
}

// archived are the figures of all archives.
func (s *Server) archived() metrics.Archives {
	waiting, stored, damaged := s.history.Figures()
	return metrics.Archives{Waiting: waiting, Stored: stored, Damaged: damaged}
}

// serveMetrics serves them at their own address until ctx ends.
func (s *Server) serveMetrics(ctx context.Context) error {
	mux := http.NewServeMux()
	for _, path := range []string{"/metrics", console.Prefix + "metrics"} {
		mux.Handle("GET "+path, s.metrics.Handler())
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader}
	done := make(chan error, 1)
	go func() { done <- server.Serve(s.scrapes) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		_ = server.Close() // whoever reads will read again
		<-done
		return nil
	}
}
