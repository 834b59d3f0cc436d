package queue

import "context"

// OpenOrphan leaves behind what a process leaves that ends before the catalog knows a new queue.
func (s *Service) OpenOrphan(ctx context.Context, id ID) error {
	_, err := s.hosts[0].do(ctx, kindOpen, openCommand(id, minRetention))
	return err
}

// Holds reports whether the first machine has a queue.
func (s *Service) Holds(ctx context.Context, id ID) (holds bool, err error) {
	err = s.hosts[0].shard.View(ctx, func() { _, holds = s.hosts[0].machine.queues[id] })
	return holds, err
}
