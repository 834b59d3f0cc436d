package topic_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/catalog/catalogtest"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/internal/topic"
	"github.com/rialto-events/rialto/target"
)

var (
	scope  = rialto.Scope{Account: "000000000000", Region: "us-east-1"}
	orders = topic.Address{Scope: scope, Name: "orders"}
)

// A book keeps what is committed.
type book struct {
	mu  sync.Mutex
	got []*notification.Notification
}

func (b *book) Accept(_ context.Context, events []deliver.Accepted) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range events {
		n, err := notification.Parse(events[i].Event)
		if err != nil {
			return err
		}
		b.got = append(b.got, n)
	}
	return nil
}

func (b *book) last() *notification.Notification {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got[len(b.got)-1]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs topics within a bubble, until the function returns.
func run(t *testing.T, f func(t *testing.T, cat *catalog.Catalog, s *topic.Service, b *book)) {
	synctest.Test(t, func(t *testing.T) {
		cat, b := catalogtest.Start(t), new(book)
		s := topic.New(cat, b, topic.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		f(t, cat, s, b)
		cancel()
		must(t, <-done)
	})
}

func subscribe(t *testing.T, s *topic.Service, p target.Protocol, endpoint string) topic.Subscription {
	t.Helper()
	u, err := s.Subscribe(t.Context(), orders, topic.Wish{Protocol: p, Endpoint: endpoint, Owner: scope.Account})
	must(t, err)
	return u
}

// TestSubscriptionsLapse lets time pass over a subscription that nobody confirms, and over one that nobody restores.
func TestSubscriptionsLapse(t *testing.T) {
	run(t, func(t *testing.T, cat *catalog.Catalog, s *topic.Service, b *book) {
		must(t, s.Create(t.Context(), orders, topic.Plan{}))
		u := subscribe(t, s, "http", "http://localhost:1/")
		late := b.last().Token
		time.Sleep(49 * time.Hour)
		if _, err := s.Confirm(t.Context(), orders, late, false, false); err == nil || err.Error() != "Invalid token" {
			t.Errorf("confirmed after two days: %v", err)
		}
		if again := subscribe(t, s, "http", "http://localhost:1/"); again.Address != u.Address {
			t.Errorf("subscribed again, %v became %v", u.Address, again.Address)
		}
		time.Sleep(47 * time.Hour)
		_, err := s.Confirm(t.Context(), orders, b.last().Token, false, false)
		must(t, err)
		time.Sleep(1000 * time.Hour)
		if u, err := s.Subscription(u.Address); err != nil || u.Pending() {
			t.Errorf("a confirmed subscription is %+v, %v", u, err)
		}
		must(t, s.Unsubscribe(t.Context(), u.Address))
		time.Sleep(71 * time.Hour)
		if n := cat.Subscribers.Count(""); n != 1 {
			t.Errorf("after 71 hours there are %d entries, want the one that may be restored", n)
		}
		time.Sleep(3 * time.Hour)
		if n := cat.Subscribers.Count(""); n != 0 {
			t.Errorf("after 74 hours there are %d entries, want none", n)
		}
	})
}

// TestTopicMadeAnew: subscriptions belong to one life of a topic, also if deleting it was cut short.
func TestTopicMadeAnew(t *testing.T) {
	run(t, func(t *testing.T, cat *catalog.Catalog, s *topic.Service, b *book) {
		must(t, s.Create(t.Context(), orders, topic.Plan{}))
		first := subscribe(t, s, target.ProtocolSQS, scope.QueueARN("q").String())
		_, err := cat.Topics.Edit(t.Context(), catalog.NameKey(scope, "orders"), func(*catalog.Topic) (*catalog.Topic, error) { return nil, nil })
		must(t, err) // and then the process ended
		must(t, s.Create(t.Context(), orders, topic.Plan{}))
		publish := func() int {
			before := len(b.got)
			_, err := s.Publish(t.Context(), orders, []topic.Draft{{Message: "x"}})
			must(t, err)
			return len(b.got) - before
		}
		if _, err := s.Subscription(first.Address); err == nil || publish() != 0 {
			t.Errorf("the subscription of the former topic: %v", err)
		}
		time.Sleep(61 * time.Minute)
		if n := cat.Subscribers.Count(""); n != 0 {
			t.Errorf("there are %d entries, want none", n)
		}
		if u := subscribe(t, s, target.ProtocolSQS, scope.QueueARN("q").String()); u.Address == first.Address || publish() != 1 {
			t.Errorf("the new subscription is %v", u.Address)
		}
		must(t, s.Delete(t.Context(), orders))
		if n := cat.Subscribers.Count(""); n != 0 {
			t.Errorf("there are %d entries of a deleted topic", n)
		}
	})
}

// TestTwoSubscribeAtOnce: of many who want the same, one makes it.
func TestTwoSubscribeAtOnce(t *testing.T) {
	run(t, func(t *testing.T, cat *catalog.Catalog, s *topic.Service, _ *book) {
		must(t, s.Create(t.Context(), orders, topic.Plan{}))
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { subscribe(t, s, target.ProtocolSQS, scope.QueueARN("q").String()) })
		}
		all.Wait()
		if n := cat.Subscribers.Count(""); n != 1 {
			t.Errorf("%d subscriptions were made", n)
		}
	})
}
