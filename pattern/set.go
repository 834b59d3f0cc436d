package pattern

import (
	"sync"

	"github.com/rialto-events/rialto/pattern/internal/slow"
)

// A Set is a set of patterns that is matched as a whole. The zero value is empty and ready to use. Any number of
// goroutines may match while one adds and removes.
type Set struct {
	mu       sync.RWMutex
	patterns map[ID]*Pattern
}

// Add puts a pattern into the set. If there is one of that id, it is replaced.
func (s *Set) Add(id ID, p *Pattern) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.patterns == nil {
		s.patterns = make(map[ID]*Pattern)
	}
	s.patterns[id] = p
}

// Remove takes a pattern out of the set, if it is there.
func (s *Set) Remove(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.patterns, id)
}

// Match returns the ids of the patterns that match an event, each once, in any order. The event must be a JSON object.
// The result is valid until the next Match with the same scratch.
func (s *Set) Match(event []byte, scratch *Scratch) ([]ID, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	scratch.ids = scratch.ids[:0]
	for id, p := range s.patterns {
		match, err := slow.Match(p, event)
		if err != nil {
			return nil, err
		}
		if match {
			scratch.ids = append(scratch.ids, id)
		}
	}
	return scratch.ids, nil
}

// A Scratch is the working memory of a match. The zero value is ready to use; who matches often keeps one per goroutine.
type Scratch struct {
	ids []ID
}
