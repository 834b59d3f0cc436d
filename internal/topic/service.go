package topic

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
)

const (
	maxTags    = 50        // of a topic (SNS API, TagResource)
	sweepEvery = time.Hour // that subscriptions are looked for whose time is over
)

// Options tunes a Service. The zero value is ready to use.
type Options struct {
	Logger   *slog.Logger                 // nil discards
	Clock    rialto.Clock                 // nil is the system's
	Room     func() error                 // says why nothing new can be stored at present; nil is never
	Firehose func(stream rialto.ARN) bool // reports whether a delivery stream can be delivered to; nil is none can
	Observer Observer                     // nil is nobody
	Policies bool                         // callers of other accounts need the permission of a topic's policy
}

// An Observer is told of every message that is published, also if nobody wants it, or if it is the duplicate of one that was published before.
// It must be quick. Package ingest tells the same of events.
type Observer interface {
	Accepted(e *deliver.Accepted)
}

// A Deliverer commits messages with the subscriptions that they go to. *[deliver.Deliverer] is one.
type Deliverer interface {
	Accept(ctx context.Context, events []deliver.Accepted) error
}

// A Service is the topics of this server.
type Service struct {
	topics      *catalog.Table[catalog.Topic]
	subscribers *catalog.Table[catalog.Subscription]
	deliver     Deliverer
	index       *index
	log         *slog.Logger
	clock       rialto.Clock
	room        func() error
	firehose    func(rialto.ARN) bool
	policies    bool
	observer    Observer
}

// New makes a Service for the topics of a catalog.
func New(cat *catalog.Catalog, d Deliverer, opts Options) *Service {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = rialto.SystemClock
	}
	if opts.Room == nil {
		opts.Room = func() error { return nil }
	}
	if opts.Firehose == nil {
		opts.Firehose = func(rialto.ARN) bool { return false }
	}
	s := &Service{
		topics: cat.Topics, subscribers: cat.Subscribers, deliver: d, index: newIndex(opts.Logger),
		log: opts.Logger, clock: opts.Clock, room: opts.Room, firehose: opts.Firehose, policies: opts.Policies, observer: opts.Observer,
	}
	s.topics.Follow(s.index.followTopic)
	s.subscribers.Follow(s.index.followSubscription)
	return s
}

// Run removes subscriptions of topics that have gone, and those that nobody has confirmed or restored in time, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	again := s.clock.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again.C():
		}
		s.sweep(ctx)
		again.Reset(sweepEvery)
	}
}

func (s *Service) sweep(ctx context.Context) {
	for _, key := range s.index.orphans(s.clock.Now()) {
		_, err := s.subscribers.Edit(ctx, key, func(was *catalog.Subscription) (*catalog.Subscription, error) {
			if was == nil || !s.over(key, was) {
				return nil, catalog.Unchanged
			}
			return nil, nil
		})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.log.Warn("subscription not removed", "target", key, "err", err)
		}
	}
}

// over reports whether a subscription is nothing any more.
func (s *Service) over(key string, u *catalog.Subscription) bool {
	scope, _ := catalog.SplitKey(key)
	t := s.topics.Get(Address{scope, u.Topic}.key())
	return t == nil || t.ID != u.TopicID || lapsed(u, s.clock.Now())
}

// A Plan is how a topic is to be made.
type Plan struct {
	Attributes map[string]string
	Tags       []catalog.Tag
	Protection string // data-protection policy, or empty
}

// Create makes a topic. One that is there already and has all the given attributes and tags is left as it is.
func (s *Service) Create(ctx context.Context, at Address, p Plan) error {
	if err := checkAttributes(at, p.Attributes); err != nil {
		return err
	}
	if len(p.Tags) > maxTags {
		return errTags
	}
	_, err := s.topics.Edit(ctx, at.key(), func(was *catalog.Topic) (*catalog.Topic, error) {
		if was != nil {
			if err := same(was, p); err != nil {
				return nil, err
			}
			return nil, catalog.Unchanged
		}
		t := &catalog.Topic{Name: at.Name, ID: uuid.NewString(), Protection: p.Protection, Tags: p.Tags, Created: s.clock.Now().UTC()}
		for name, value := range p.Attributes {
			t.Attributes = merge(t.Attributes, name, value)
		}
		return t, nil
	})
	return err
}

// same refuses to make a topic that is there and is another one.
func same(t *catalog.Topic, p Plan) error {
	if differs(t.Attributes, p.Attributes) {
		return invalid("Attributes Reason: Topic already exists with different attributes")
	}
	byKey := func(a, b catalog.Tag) int { return strings.Compare(a.Key, b.Key) }
	if p.Tags != nil && !slices.Equal(slices.SortedFunc(slices.Values(t.Tags), byKey), slices.SortedFunc(slices.Values(p.Tags), byKey)) {
		return invalid("Tags Reason: Topic already exists with different tags")
	}
	return nil
}

// Delete removes a topic with its subscriptions. One that is not there is no error.
func (s *Service) Delete(ctx context.Context, at Address) error {
	_, err := s.topics.Edit(ctx, at.key(), func(*catalog.Topic) (*catalog.Topic, error) { return nil, nil })
	if err != nil {
		return err
	}
	// Nothing is delivered to them any more. Should this be cut short, the next sweep does the rest.
	for _, e := range s.subscribers.List(catalog.SubscriptionsKey(at.Scope, at.Name), "", 0) {
		_, err := s.subscribers.Edit(ctx, e.Key, func(was *catalog.Subscription) (*catalog.Subscription, error) {
			if was == nil || !s.over(e.Key, was) {
				return nil, catalog.Unchanged // somebody has made the topic anew
			}
			return nil, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Exists is nil if the topic is there.
func (s *Service) Exists(at Address) error {
	_, _, err := s.index.find(at)
	return err
}

// Attributes returns all attributes of a topic.
func (s *Service) Attributes(at Address) (map[string]string, error) {
	st, v, err := s.index.find(at)
	if err != nil {
		return nil, err
	}
	return st.shown(at, v.topic), nil
}

// edit changes the entry of a topic in the catalog.
func (s *Service) edit(ctx context.Context, at Address, change func(t *catalog.Topic) error) error {
	_, err := s.topics.Edit(ctx, at.key(), func(was *catalog.Topic) (*catalog.Topic, error) {
		if was == nil {
			return nil, errMissing
		}
		is := *was
		if err := change(&is); err != nil {
			return nil, err
		}
		return &is, nil
	})
	return err
}

// SetAttribute changes an attribute of a topic. An empty value takes it away.
func (s *Service) SetAttribute(ctx context.Context, at Address, name, value string) error {
	if attributes[name].fixed {
		return reason("AttributeName").alone()
	}
	if why := checkTopicAttribute(at, name, value); why != "" {
		return why.alone()
	}
	return s.edit(ctx, at, func(t *catalog.Topic) error {
		t.Attributes = merge(t.Attributes, name, value)
		return nil
	})
}

// ChangePolicy replaces the attribute Policy by what f makes of it; a topic that nobody has given one has the [DefaultPolicy].
func (s *Service) ChangePolicy(ctx context.Context, at Address, f func(policy string) (string, error)) error {
	return s.edit(ctx, at, func(t *catalog.Topic) error {
		policy, err := f(policyOf(at, t))
		if err != nil {
			return err
		}
		t.Attributes = merge(t.Attributes, "Policy", policy)
		return nil
	})
}

func policyOf(at Address, t *catalog.Topic) string {
	if p := t.Attributes["Policy"]; p != "" {
		return p
	}
	return DefaultPolicy(at)
}

// Protection is the data-protection policy of a topic, as it was given. It is kept, and does nothing.
func (s *Service) Protection(at Address) (string, error) {
	_, v, err := s.index.find(at)
	if err != nil {
		return "", err
	}
	return v.topic.Protection, nil
}

// SetProtection changes the data-protection policy; an empty one takes it away.
func (s *Service) SetProtection(ctx context.Context, at Address, policy string) error {
	return s.edit(ctx, at, func(t *catalog.Topic) error {
		t.Protection = policy
		return nil
	})
}

// Tags returns the tags of a topic.
func (s *Service) Tags(at Address) ([]catalog.Tag, error) {
	_, v, err := s.index.find(at)
	if err != nil {
		return nil, err
	}
	return v.topic.Tags, nil
}

// SetTags adds tags or replaces their values.
func (s *Service) SetTags(ctx context.Context, at Address, tags []catalog.Tag) error {
	return s.edit(ctx, at, func(t *catalog.Topic) error {
		is := slices.Clone(t.Tags)
		for _, tag := range tags {
			if i := slices.IndexFunc(is, func(t catalog.Tag) bool { return t.Key == tag.Key }); i >= 0 {
				is[i].Value = tag.Value
				continue
			}
			is = append(is, tag)
		}
		if len(is) > maxTags {
			return errTags
		}
		t.Tags = is
		return nil
	})
}

// RemoveTags takes tags away; those that are not there are no error.
func (s *Service) RemoveTags(ctx context.Context, at Address, keys []string) error {
	return s.edit(ctx, at, func(t *catalog.Topic) error {
		t.Tags = slices.DeleteFunc(slices.Clone(t.Tags), func(t catalog.Tag) bool { return slices.Contains(keys, t.Key) })
		return nil
	})
}

// List returns up to n names of topics of a scope that come after the name after, in order.
func (s *Service) List(scope rialto.Scope, after string, n int) []rialto.TopicName {
	scoped := catalog.ScopeKey(scope)
	var names []rialto.TopicName
	for _, e := range s.topics.List(scoped, scoped+after, n) {
		names = append(names, e.Value.Name)
	}
	return names
}
