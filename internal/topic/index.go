package topic

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/topic/filter"
	"github.com/rialto-events/rialto/target"
)

// An index finds topics, and for each who has subscribed. It follows the catalog.
type index struct {
	log    *slog.Logger
	mu     sync.RWMutex
	states map[string]*state // by the key of the topic; they stay when the topic goes
}

func newIndex(log *slog.Logger) *index { return &index{log: log, states: make(map[string]*state)} }

// A state is what is known of a topic. Publishing goes by its view, which is made when somebody first publishes after a change: a
// thousand subscribers in a row do not make a thousand lists.
type state struct {
	at      Address
	log     *slog.Logger
	numbers numbers
	view    atomic.Pointer[view] // nil if something has changed since

	mu      sync.Mutex
	topic   *catalog.Topic // nil if it is not there
	members map[string]*member
}

// A view is a topic at one moment. It does not change.
type view struct {
	topic *catalog.Topic
	settings
	members []*member     // that are delivered to, by id
	filters *filter.Table // of the members, in their order
}

// A member is a subscription with what its deliveries are made by. It does not change but for what is made when it is first needed.
type member struct {
	entry  *catalog.Subscription
	sealed *target.Sealed // for the settings of the topic at that moment; nil if it is not made yet
	salt   [8]byte        // tells its orders from those of others
	filter *filter.Policy // nil wants every message
}

func (x *index) state(s rialto.Scope, name rialto.TopicName) *state {
	at := Address{s, name}
	x.mu.RLock()
	st := x.states[at.key()]
	x.mu.RUnlock()
	if st != nil {
		return st
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if st = x.states[at.key()]; st == nil {
		st = &state{at: at, log: x.log, members: make(map[string]*member)}
		x.states[at.key()] = st
	}
	return st
}

// followTopic takes a change of a topic in.
func (x *index) followTopic(key string, was, is *catalog.Topic) {
	scope, _ := catalog.SplitKey(key)
	named := cmp.Or(is, was)
	st := x.state(scope, named.Name)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.topic = is
	for id, m := range st.members {
		st.members[id] = &member{entry: m.entry} // it may be another life of the topic, or have other settings
	}
	st.view.Store(nil)
}

// followSubscription takes a change of a subscription in.
func (x *index) followSubscription(key string, was, is *catalog.Subscription) {
	scope, _ := catalog.SplitKey(key)
	named := cmp.Or(is, was)
	st := x.state(scope, named.Topic)
	st.mu.Lock()
	defer st.mu.Unlock()
	if is == nil {
		delete(st.members, named.ID)
	} else {
		st.members[is.ID] = &member{entry: is}
	}
	st.view.Store(nil)
}

// find returns the topic as it is now.
func (x *index) find(at Address) (*state, *view, error) {
	x.mu.RLock()
	st := x.states[at.key()]
	x.mu.RUnlock()
	if st == nil {
		return nil, nil, errMissing
	}
	v := st.current()
	if v == nil {
		return nil, nil, errMissing
	}
	return st, v, nil
}

// current is the view of this moment, or nil if the topic is not there.
func (st *state) current() *view {
	if v := st.view.Load(); v != nil {
		return v
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.topic == nil {
		return nil
	}
	v := &view{topic: st.topic, settings: settingsOf(st.topic.Attributes)}
	for _, m := range st.members {
		if m.entry.State == catalog.SubscriptionConfirmed && m.entry.TopicID == st.topic.ID && st.ready(m, &v.settings) {
			v.members = append(v.members, m)
		}
	}
	slices.SortFunc(v.members, func(a, b *member) int { return cmp.Compare(a.entry.ID, b.entry.ID) })
	policies := make([]*filter.Policy, len(v.members))
	for i, m := range v.members {
		policies[i] = m.filter
	}
	v.filters = filter.NewTable(policies)
	st.view.Store(v)
	return v
}

// ready makes what a member's deliveries need. What cannot be read was written by a newer version, and is left out.
func (st *state) ready(m *member, s *settings) bool {
	if m.sealed != nil {
		return true
	}
	g := goal{st.at, m.entry.Protocol, m.entry.Endpoint}
	f, why := filterOf(m.entry.Attributes)
	err := why.alone()
	var sealed *target.Sealed
	if err == nil {
		sealed, err = target.Seal(g.definition(m.entry, s))
	}
	if err != nil {
		st.log.Error("subscription left out", "target", m.entry.ARN(st.at.Scope), "err", err)
		return false
	}
	sum := sha256.Sum256([]byte(sealed.Rule.String()))
	m.sealed, m.filter, m.salt = sealed, f, [8]byte(sum[:])
	return true
}

// counts is how many subscriptions of the topic are in each state.
func (st *state) counts(t *catalog.Topic) map[catalog.SubscriptionState]int {
	st.mu.Lock()
	defer st.mu.Unlock()
	counts := make(map[catalog.SubscriptionState]int)
	for _, m := range st.members {
		if m.entry.TopicID == t.ID {
			counts[m.entry.State]++
		}
	}
	return counts
}

// order is what the deliveries of a group to the member are ordered by.
func (m *member) order(group string) uint64 {
	h := sha256.New()
	h.Write(m.salt[:])
	h.Write([]byte(group))
	return max(1, binary.BigEndian.Uint64(h.Sum(nil)))
}

// orphans are the keys of subscriptions of topics that have gone, and of those whose time is over.
func (x *index) orphans(now time.Time) (keys []string) {
	x.mu.RLock()
	states := make([]*state, 0, len(x.states))
	for _, st := range x.states {
		states = append(states, st)
	}
	x.mu.RUnlock()
	for _, st := range states {
		st.mu.Lock()
		for id, m := range st.members {
			if st.topic == nil || m.entry.TopicID != st.topic.ID || lapsed(m.entry, now) {
				keys = append(keys, catalog.SubscriptionKey(st.at.Scope, st.at.Name, id))
			}
		}
		st.mu.Unlock()
	}
	slices.Sort(keys)
	return keys
}
