package topic

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/notification"
	"github.com/rialto-events/rialto/target"
)

const (
	tokenValid = 2 * 24 * time.Hour // that a token confirms (spec of SNS API, ConfirmSubscription: two days)
	pendingFor = 3 * 24 * time.Hour // that a subscription waits to be confirmed, or restored
	tokenHex   = 288                // digits of a token, as AWS's
)

// A Wish is a subscription that somebody wants.
type Wish struct {
	Protocol   target.Protocol
	Endpoint   string
	Attributes map[string]string
	Owner      rialto.AccountID
	Principal  string // ARN of who wants it
}

// Subscribe makes a subscription. One that is there already, with the same protocol and endpoint, and with all the given attributes, is
// left as it is. Web servers are asked whether they want it, and asked again if they have not answered.
func (s *Service) Subscribe(ctx context.Context, at Address, w Wish) (Subscription, error) {
	st, v, err := s.index.find(at)
	if err != nil {
		return Subscription{}, err
	}
	arn, err := s.checkEndpoint(at, w.Protocol, w.Endpoint)
	if err != nil {
		return Subscription{}, err
	}
	g := goal{at, w.Protocol, w.Endpoint}
	if why := g.check(w.Attributes); why != "" {
		return Subscription{}, why.among()
	}
	if w.Protocol == target.ProtocolFirehose && w.Attributes["SubscriptionRoleArn"] == "" {
		return Subscription{}, invalid("Attributes Reason: SubscriptionRoleArn is required for the protocol firehose")
	}
	// The id says what is subscribed to what, so that of two callers who want the same at once, one makes it.
	address := SubscriptionAddress{at, uuid.NewSHA1(uuid.MustParse(v.topic.ID), []byte(string(w.Protocol)+"\x00"+w.Endpoint)).String()}
	token := newToken(address.ID)
	if filtered(w.Attributes) {
		if err := st.roomForFilter(address.ID); err != nil {
			return Subscription{}, err
		}
	}
	asked := asks(w.Protocol) || s.policies && arn.Account != w.Owner
	ask := false
	is, err := s.subscribers.Edit(ctx, address.key(), func(was *catalog.Subscription) (*catalog.Subscription, error) {
		ask = false
		if was != nil && was.TopicID == v.topic.ID && was.State != catalog.SubscriptionEnded {
			if differs(was.Attributes, w.Attributes) {
				return nil, invalid("Attributes Reason: Subscription already exists with different attributes")
			}
			if was.State == catalog.SubscriptionConfirmed {
				return nil, catalog.Unchanged
			}
			ask = true
			again := *was
			again.Token, again.Since = hashed(token), s.clock.Now().UTC()
			return &again, nil
		}
		made := &catalog.Subscription{
			ID: address.ID, Topic: at.Name, TopicID: v.topic.ID, Protocol: w.Protocol, Endpoint: w.Endpoint,
			Owner: w.Owner, Principal: w.Principal, Since: s.clock.Now().UTC(),
			State: catalog.SubscriptionConfirmed, Authenticated: true,
		}
		for name, value := range w.Attributes {
			made.Attributes = merge(made.Attributes, name, value)
		}
		if ask = asked; ask {
			made.State, made.Authenticated, made.Token = catalog.SubscriptionPending, false, hashed(token)
		}
		return made, nil
	})
	if err != nil {
		return Subscription{}, err
	}
	if ask {
		err = s.ask(ctx, g, is, &v.settings, notification.SubscriptionConfirmation, token)
	}
	return Subscription{is, address}, err
}

// ask brings a question to the endpoint of a subscription. The question is committed like a message, and is no dead letter if nobody
// answers the door.
func (s *Service) ask(ctx context.Context, g goal, u *catalog.Subscription, v *settings, kind notification.Kind, token string) error {
	if err := s.room(); err != nil {
		return err
	}
	d := g.definition(u, v)
	d.DeadLetter = ""
	sealed, err := target.Seal(d)
	if err != nil {
		return err
	}
	n := notification.Notification{Kind: kind, ID: uuid.NewString(), Topic: g.topic.ARN(), Token: token, Published: s.clock.Now().UTC()}
	e := deliver.Accepted{EventID: n.ID, Event: n.Append(nil), Bus: n.Topic, Accepted: n.Published, Targets: []*target.Sealed{sealed}}
	if err := s.deliver.Accept(ctx, []deliver.Accepted{e}); err != nil {
		return fmt.Errorf("ask the endpoint of %s: %w", u.ARN(g.topic.Scope), err)
	}
	return nil
}

// newToken makes what confirms a subscription: the id of that, so that it can be found, and 1024 random bits.
func newToken(id string) string {
	var secret [tokenHex/2 - 16]byte
	_, _ = rand.Read(secret[:]) // never fails
	return strings.ReplaceAll(id, "-", "") + hex.EncodeToString(secret[:])
}

// subscriptionOf is the id of the subscription in a token.
func subscriptionOf(token string) (id string, ok bool) {
	if len(token) != tokenHex || strings.Trim(token, "0123456789abcdef") != "" {
		return "", false
	}
	u, err := uuid.Parse(token[:32])
	return u.String(), err == nil
}

func hashed(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// lapsed reports whether a subscription has waited too long to be confirmed or restored.
func lapsed(u *catalog.Subscription, now time.Time) bool {
	return u.State != catalog.SubscriptionConfirmed && now.Sub(u.Since) > pendingFor
}

// Confirm confirms a subscription, or restores one, by the token that its endpoint was sent. Whoever has signed may lock it, so that only
// who signs can end it. It may be called again.
func (s *Service) Confirm(ctx context.Context, at Address, token string, signed, lock bool) (SubscriptionAddress, error) {
	if s.Exists(at) != nil {
		return SubscriptionAddress{}, invalid("Topic") // as AWS answers here, in place of what it says elsewhere
	}
	id, ok := subscriptionOf(token)
	if !ok {
		return SubscriptionAddress{}, errToken
	}
	address := SubscriptionAddress{at, id}
	_, err := s.subscribers.Edit(ctx, address.key(), func(was *catalog.Subscription) (*catalog.Subscription, error) {
		switch {
		case was == nil || s.over(address.key(), was) || subtle.ConstantTimeCompare(was.Token, hashed(token)) == 0:
			return nil, errUnknownToken
		case was.State == catalog.SubscriptionConfirmed:
			return nil, catalog.Unchanged
		case s.clock.Now().Sub(was.Since) > tokenValid:
			return nil, errUnknownToken
		}
		is := *was
		is.State, is.Since = catalog.SubscriptionConfirmed, s.clock.Now().UTC()
		is.Authenticated, is.Locked = signed, signed && lock
		return &is, nil
	})
	return address, err
}

// Unsubscribe ends a subscription. One that is not there is no error. A web server is told, and may restore it.
func (s *Service) Unsubscribe(ctx context.Context, address SubscriptionAddress) error {
	token := newToken(address.ID)
	var told *catalog.Subscription
	_, err := s.subscribers.Edit(ctx, address.key(), func(was *catalog.Subscription) (*catalog.Subscription, error) {
		told = nil
		if was == nil || was.State == catalog.SubscriptionEnded {
			return nil, catalog.Unchanged
		}
		if was.State == catalog.SubscriptionPending || !asks(was.Protocol) {
			return nil, nil
		}
		is := *was
		is.State, is.Since, is.Token, is.Locked = catalog.SubscriptionEnded, s.clock.Now().UTC(), hashed(token), false
		told = &is
		return &is, nil
	})
	if err != nil || told == nil {
		return err
	}
	_, v, err := s.index.find(address.Topic)
	if err != nil {
		return nil // its topic has gone meanwhile
	}
	return s.ask(ctx, goal{address.Topic, told.Protocol, told.Endpoint}, told, &v.settings, notification.UnsubscribeConfirmation, token)
}

// Subscription returns a subscription.
func (s *Service) Subscription(address SubscriptionAddress) (Subscription, error) {
	u := s.subscribers.Get(address.key())
	if u == nil || u.State == catalog.SubscriptionEnded || s.over(address.key(), u) {
		return Subscription{}, errMissingSubscription
	}
	return Subscription{u, address}, nil
}

// SubscriptionAttributes returns all attributes of a subscription.
func (s *Service) SubscriptionAttributes(address SubscriptionAddress) (map[string]string, error) {
	u, err := s.Subscription(address)
	if err != nil {
		return nil, err
	}
	_, v, err := s.index.find(address.Topic)
	if err != nil {
		return nil, errMissingSubscription
	}
	return subscriptionShown(u, &v.settings), nil
}

// SetSubscriptionAttribute changes an attribute of a subscription. An empty value takes it away.
func (s *Service) SetSubscriptionAttribute(ctx context.Context, address SubscriptionAddress, name, value string) error {
	_, err := s.subscribers.Edit(ctx, address.key(), func(was *catalog.Subscription) (*catalog.Subscription, error) {
		if was == nil || was.State == catalog.SubscriptionEnded || s.over(address.key(), was) {
			return nil, errMissingSubscription
		}
		g := goal{address.Topic, was.Protocol, was.Endpoint}
		if why := g.checkOne(name, value); why != "" {
			return nil, why.alone()
		}
		is := *was
		is.Attributes = merge(maps.Clone(was.Attributes), name, value)
		if why := g.check(is.Attributes); why != "" {
			return nil, why.alone()
		}
		if filtered(is.Attributes) && !filtered(was.Attributes) {
			if err := s.index.state(address.Topic.Scope, address.Topic.Name).roomForFilter(was.ID); err != nil {
				return nil, err
			}
		}
		return &is, nil
	})
	return err
}

// Subscriptions returns up to n subscriptions whose keys come after the key after, in order: those of a topic or, if that has no name,
// those of all topics of the scope. The key of each is [Subscription.Key].
func (s *Service) Subscriptions(at Address, after string, n int) []Subscription {
	prefix := catalog.ScopeKey(at.Scope)
	if at.Name != "" {
		prefix = catalog.SubscriptionsKey(at.Scope, at.Name)
	}
	from := prefix
	if after != "" {
		from = catalog.ScopeKey(at.Scope) + after
	}
	var list []Subscription
	for len(list) < n {
		page := s.subscribers.List(prefix, from, n-len(list))
		for _, e := range page {
			from = e.Key
			if e.Value.State != catalog.SubscriptionEnded && !s.over(e.Key, e.Value) {
				list = append(list, Subscription{e.Value, SubscriptionAddress{Address{at.Scope, e.Value.Topic}, e.Value.ID}})
			}
		}
		if len(page) == 0 {
			break
		}
	}
	return list
}

// Key is by what subscriptions of a scope are sorted.
func (u Subscription) Key() string {
	_, rest := catalog.SplitKey(u.Address.key())
	return rest
}
