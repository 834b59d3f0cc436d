package shard

import (
	"context"
)

// A Batch is the part of a frame that one proposal builds. It is valid only during the call that gets it.
type Batch struct{}

// Add appends a command to the frame; it copies the body.
func (b *Batch) Add(kind Kind, body []byte) {}

// First reports whether key is asked about for the first time in this frame. It lets proposals that share a frame agree
// on who brings along what all of them need once.
func (b *Batch) First(key string) bool { return false }

// A Shard is a log with its machines and their owner.
type Shard struct{}

// Propose asks for commands to be committed. The owner calls build when it makes the next frame: all frames before are
// applied by then, so build may look at the machines' state, and it must be quick. Propose returns what Apply returned for
// each command added, in order. If ctx ends first, the commands may or may not be committed.
//
// The error is an *rialto.Error of kind Unavailable if the frame could not be written (it is then not in the log),
// [ErrTooLarge] if the proposal does not fit into a frame, or [ErrFenced] if the shard has another owner now.
func (s *Shard) Propose(ctx context.Context, build func(b *Batch)) ([]any, error) { return nil, nil }

// View calls f on the owner's goroutine, between two frames, so that it sees a consistent state. It must be quick.
func (s *Shard) View(ctx context.Context, f func()) error { return nil }

// Read returns a payload from the log. Recent frames are answered from memory. It may be called from any goroutine. If the
// payload was carried forward meanwhile, the error is [ErrMoved]: ask the machine for the new place and read again.
func (s *Shard) Read(ctx context.Context, ref Ref) ([]byte, error) { return nil, nil }
