package server

import (
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/explain"
	"github.com/rialto-events/rialto/internal/ingest"
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

// watch makes those who are told what happens to events. It is called once the journal is open.
func (s *Server) watch() observers {
	memory := int(s.config.ExplainMemory)
	s.recorder = explain.NewRecorder(explain.Options{
		Logger: s.config.Logger, Clock: s.config.Clock, Journal: s.journal, Recent: memory / recentShare, Failures: memory - memory/recentShare,
	})
	return observers{s.recorder}
}

// recentShare is the part of the memory for explanations that events get which were delivered. Those that were not are what people
// ask for.
const recentShare = 3
