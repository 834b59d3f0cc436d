package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/shard"
)

// ReceiveOptions says what a receive wants. The zero value is what AWS does by default.
type ReceiveOptions struct {
	Max        int  // messages, up to 10; 0 is 1
	Visibility *int // seconds for which the messages are hidden from others; nil is the queue's
	Wait       *int // seconds to wait if there is nothing; nil is the queue's

	// Attempt, of a FIFO queue, names the receive: made again under the same name within five minutes, it returns the same messages, as
	// long as nothing was done with their handles.
	Attempt string
}

func (o *ReceiveOptions) check(fifo bool) error {
	switch {
	case o.Attempt != "" && !fifo:
		return errParameter(o.Attempt, "ReceiveRequestAttemptId", wrongKind)
	case o.Attempt != "" && !validGroup(o.Attempt):
		return errID(o.Attempt, "ReceiveRequestAttemptId")
	case o.Max < 0 || o.Max > maxReceive:
		return errParameter(o.Max, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
	case o.Visibility != nil && (*o.Visibility < 0 || *o.Visibility > maxVisibility):
		return errParameter(*o.Visibility, "VisibilityTimeout", "Must be >= 0 and <= 43200, if provided.")
	case o.Wait != nil && (*o.Wait < 0 || *o.Wait > maxWait):
		return errParameter(*o.Wait, "WaitTimeSeconds", "Must be >= 0 and <= 20, if provided.")
	}
	return nil
}

// Receive takes messages out of sight of others and returns them. If there are none, it waits as the options say; it then returns
// none when the time is over or the service ends, and the error of ctx if that ends first. Waiting costs no command and no work
// until something happens in the queue.
func (s *Service) Receive(ctx context.Context, at Address, opts ReceiveOptions) ([]Message, error) {
	d, err := s.find(at)
	if err != nil {
		return nil, err
	}
	if err := opts.check(d.fifo); err != nil {
		return nil, err
	}
	wait := d.wait
	if opts.Wait != nil {
		wait = *opts.Wait
	}
	if wait == 0 {
		return s.look(ctx, d, opts, false)
	}
	over := rialto.Real(s.clock).NewTimer(time.Duration(wait) * time.Second) // the caller waits in the real world
	defer over.Stop()
	w := s.lines.join(d.id)
	defer s.lines.leave(w)
	for {
		messages, err := s.look(ctx, d, opts, true)
		if len(messages) > 0 || err != nil {
			return messages, err
		}
		select {
		case <-w.woken:
			s.lines.rejoin(w)
		case <-over.C():
			return nil, nil
		case <-s.closing:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		now, err := s.find(at) // it may have been set up in another way, or be gone
		if err != nil || now.id != d.id {
			return nil, errMissing
		}
		d = now
	}
}

// look receives what there is.
func (s *Service) look(ctx context.Context, d *definition, opts ReceiveOptions, waits bool) ([]Message, error) {
	timeout := d.visibility
	if opts.Visibility != nil {
		timeout = *opts.Visibility
	}
	h := s.host(d)
	kind, body := kindReceive, receiveCommand(d.id, d.retention, max(opts.Max, 1), timeout, s.redriveOf(d))
	var attempt onceKey
	if opts.Attempt != "" {
		attempt = attemptKey(opts.Attempt)
		kind, body = kindReceiveFIFO, receiveFIFOCommand(d.id, d.retention, max(opts.Max, 1), timeout, s.redriveOf(d), attempt)
	}
	results, err := h.shard.Propose(ctx, func(b *shard.Batch) {
		q, ok := h.machine.queues[d.id]
		if !ok || h.machine.worthReceiving(q, h.shard.Now().UnixMicro(), waits) || opts.Attempt != "" && q.attempts.byKey[attempt] != nil {
			b.Add(kind, body)
		}
	})
	if err != nil || len(results) == 0 {
		return nil, err
	}
	if err, failed := results[0].(error); failed {
		return nil, shown(err)
	}
	var messages []Message
	for _, got := range results[0].([]received) {
		payload, err := h.read(ctx, Place{got.slot, got.key}, got.ref)
		if err != nil {
			return nil, err
		}
		if payload == nil {
			continue // somebody else was quicker, with an older handle
		}
		m, err := decode(payload)
		if err != nil {
			return nil, err
		}
		m.Handle = formatHandle(d.id, Place{got.slot, got.key}, got.receives)
		m.Receives, m.Sent, m.FirstReceived, m.Source = int(got.receives), got.sent, got.first, got.source
		if d.fifo {
			m.Sequence = sequence(got.key)
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// redriveOf is the redrive policy of a queue as the machine takes it. A dead-letter queue that was deleted takes nothing, and
// the messages stay where they are. So do those that would come back: received too often everywhere, they would go round and round
// for as long as somebody waits at each of the queues.
func (s *Service) redriveOf(d *definition) redrive {
	if d.redrive == nil {
		return redrive{}
	}
	to, ok := s.index.find(d.redrive.to)
	if !ok || s.leadsTo(to, d.id) {
		return redrive{}
	}
	return redrive{max: uint32(d.redrive.max), to: to.id, local: to.shard == d.shard, source: d.ARN().String()}
}

// maxChain is how many dead-letter queues of dead-letter queues are followed.
const maxChain = 100

// leadsTo reports whether dead letters of dead letters of a queue get to another one, or whether they are too far on their way to
// tell.
func (s *Service) leadsTo(from *definition, to ID) bool {
	var passed []ID
	for range maxChain {
		if from.id == to {
			return true
		}
		if from.redrive == nil || slices.Contains(passed, from.id) {
			return false
		}
		passed = append(passed, from.id)
		next, ok := s.index.find(from.redrive.to)
		if !ok {
			return false
		}
		from = next
	}
	return true
}

// read returns the payload of a message, or nil if the message is gone.
func (h *host) read(ctx context.Context, p Place, ref shard.Ref) ([]byte, error) {
	for {
		payload, err := h.shard.Read(ctx, ref)
		if !errors.Is(err, shard.ErrMoved) {
			return payload, err
		}
		there := false
		err = h.shard.View(ctx, func() {
			var m *message
			if m, there = h.machine.messages.find(p.slot, p.key); there {
				ref = m.ref
			}
		})
		if err != nil || !there {
			return nil, err
		}
	}
}
