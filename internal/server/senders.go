package server

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/notification"
	remote "github.com/rialto-events/rialto/internal/targets/aws"
	"github.com/rialto-events/rialto/internal/targets/bus"
	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/internal/targets/queue"
	"github.com/rialto-events/rialto/internal/targets/schedule"
	"github.com/rialto-events/rialto/internal/targets/subscription"
	"github.com/rialto-events/rialto/internal/targets/topic"
	"github.com/rialto-events/rialto/internal/targets/universal"
	"github.com/rialto-events/rialto/target"
)

// senders knows who delivers to which kind of target. It is filled after the deliverer is made, because buses are targets, too.
type senders struct {
	queue, topic, bus, http, subscription, schedule, universal target.Sender
	remotes                                                    *remote.Sender
	kinds
	ownOnly bool // rules reach what is of their own account
}

func (s *Server) senders(all *senders) senders {
	queues := queue.New(s.queues, queue.Options{OwnQueuesOnly: s.config.Credentials != ""})
	s.remotes = remote.New(s.config.Remotes, remote.Options{Clock: rialto.Real(s.config.Clock), OwnOnly: s.config.Credentials != ""})
	functions := ownFunctions{s.kinds.functions, s.config.Credentials != ""}
	writer := notification.Writer{URL: s.url(), Signer: s.notary}
	return senders{queue: queues, topic: topic.New(s.topics), bus: bus.New(s.ingest), http: s.conns.Sender(), remotes: s.remotes,
		subscription: subscription.New(all.of, s.conns.Sender(), writer), schedule: schedule.New(all.of, s.config.Clock),
		universal: universal.New(own{s}, s.remotes, functions), kinds: s.kinds, ownOnly: s.config.Credentials != ""}
}

// guard decides to where calls may go. A server that only this machine can reach lets them go to this machine. One that verifies
// signatures has been made for others, whom a proxy may let in although it listens on loopback.
func (s *Server) guard() http.Guard {
	guard := http.Guard{
		Allow: s.config.AllowTargets, AllowHosts: s.config.AllowHosts, Deny: s.config.DenyTargets, DenyHosts: s.config.DenyHosts,
	}
	if host, _, err := net.SplitHostPort(s.config.Listen); err == nil && loopback(host) && s.config.Credentials == "" {
		guard.Allow = append(guard.Allow[:len(guard.Allow):len(guard.Allow)], http.Loopback...)
	}
	return guard
}

// url is where clients reach the server, as far as it can know: they may use another name for it.
func (s *Server) url() string {
	if s.config.PublicURL != "" {
		return strings.TrimSuffix(s.config.PublicURL, "/")
	}
	return "http://" + reachable(s.listen.Addr())
}

// of is the sender for a target. One for a subscription or a schedule asks again, for where that leads.
func (s *senders) of(d *target.Definition) target.Sender {
	switch {
	case d.Subscription != nil:
		return s.subscription
	case d.Schedule != nil:
		return s.schedule
	}
	arn, err := rialto.ParseARN(d.ARN)
	if err != nil {
		return nobody(fmt.Sprintf("%q is not an ARN.", d.ARN))
	}
	if universal.Is(arn) {
		return s.universal
	}
	if kind := s.kinds.of(arn, s.remotes.Claims(arn)); kind != nil {
		if s.ownOnly && arn.Account != "" && arn.Account != d.Rule.Account {
			return denied(d.ARN)
		}
		return kind
	}
	switch {
	case s.remotes.Claims(arn):
		return s.remotes
	case arn.Service == "sqs":
		return s.queue
	case arn.Service == "sns":
		return s.topic
	case arn.Service == "events" && strings.HasPrefix(arn.Resource, "event-bus/"):
		return s.bus
	case arn.Service == "events" && strings.HasPrefix(arn.Resource, "api-destination/"):
		return s.http
	}
	return s.remotes // which says how to add one that claims it
}

// denied is the sender for what is of another account. Its text is the ARN.
type denied string

// Send fails for good.
func (arn denied) Send(context.Context, *target.Message) error {
	return &target.Error{Code: target.CodeNoPermissions, Permanent: true, Message: fmt.Sprintf("%s is of another account than the rule.", string(arn))}
}

// nobody is the sender for what cannot be delivered to. Its text is the reason.
type nobody string

// Send fails for good.
func (reason nobody) Send(context.Context, *target.Message) error {
	return &target.Error{Code: target.CodeNoResource, Message: string(reason), Permanent: true}
}
