// Package server puts rialto together: it is the only package that knows all the others.
//
//	               ┌ eventsapi ─► ingest ─► route
//	HTTP ─► aws ───┤                 └────► deliver ─► targets: http, bus, queue ─┐
//	               ├ sqsapi ──► queue ◄──────────────────────────────────────────┘
//	               ├ snsapi ──► topic ─► deliver
//	               ├ schedulerapi ──► scheduler ─► deliver
//	               └ secretsapi ─► catalog
//	                               deliver and queue stand on shards, shards on the journal, definitions in the catalog
//
// [Open] does everything that can be refused: it takes the address, opens and checks the journal, recovers the shards.
// [Server.Run] serves until its context ends, and then stops in the order in which things depend on each other, so that
// what was accepted is committed and what was attempted is known.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/advance"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/aws/eventsapi"
	"github.com/rialto-events/rialto/internal/aws/schedulerapi"
	"github.com/rialto-events/rialto/internal/aws/secretsapi"
	"github.com/rialto-events/rialto/internal/aws/snsapi"
	"github.com/rialto-events/rialto/internal/aws/sqsapi"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/circuits"
	"github.com/rialto-events/rialto/internal/connections"
	"github.com/rialto-events/rialto/internal/console"
	"github.com/rialto-events/rialto/internal/deliver"
	"github.com/rialto-events/rialto/internal/explain"
	"github.com/rialto-events/rialto/internal/history"
	"github.com/rialto-events/rialto/internal/ingest"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/metrics"
	"github.com/rialto-events/rialto/internal/notary"
	"github.com/rialto-events/rialto/internal/outages"
	"github.com/rialto-events/rialto/internal/queue"
	"github.com/rialto-events/rialto/internal/redrive"
	"github.com/rialto-events/rialto/internal/replay"
	"github.com/rialto-events/rialto/internal/route"
	"github.com/rialto-events/rialto/internal/scheduler"
	"github.com/rialto-events/rialto/internal/shard"
	remote "github.com/rialto-events/rialto/internal/targets/aws"
	"github.com/rialto-events/rialto/internal/topic"
	"github.com/rialto-events/rialto/internal/tracing"
	"github.com/rialto-events/rialto/internal/vault"
)

// A Server is a whole rialto.
type Server struct {
	config    Config
	listen    net.Listener
	journal   journal.Journal
	catalog   *catalog.Catalog
	conns     *connections.Service
	kinds     kinds
	remotes   *remote.Sender // nil before there can be any calls
	notary    *notary.Notary
	queues    *queue.Service
	topics    *topic.Service
	deliver   *deliver.Deliverer
	history   *history.Service
	redrive   *redrive.Service
	ingest    *ingest.Ingester
	replays   *replay.Service
	timers    *scheduler.Timers
	rules     *scheduler.Rules
	schedules *scheduler.Schedules
	shards    []*shard.Shard
	circuits  *circuits.Service
	outages   *outages.Service
	recorder  *explain.Recorder
	metrics   *metrics.Metrics
	tracer    *tracing.Tracer // nil if nobody collects traces
	scrapes   net.Listener    // of those who read metrics, if they have an address of their own
	api       *aws.Handler
	http      http.Server
	health    health
	virtual   *rialto.VirtualClock // nil if the clock is real
	driver    *advance.Driver      // of a virtual clock
	tally     tally
	ready     chan struct{}
}

// Open takes the address and opens everything that is stored. Nothing is served until [Server.Run].
func Open(ctx context.Context, c Config) (_ *Server, err error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Server{config: c, ready: make(chan struct{})}
	defer func() {
		if err != nil {
			s.close(context.WithoutCancel(ctx))
		}
	}()
	auth, err := authenticator(c)
	if err != nil {
		return nil, err
	}
	if s.listen, err = listen(c.Listen); err != nil {
		return nil, err
	}
	if c.MetricsListen != "" {
		if s.scrapes, err = listen(c.MetricsListen); err != nil {
			return nil, err
		}
	}
	if s.journal, err = openJournal(ctx, c); err != nil {
		return nil, err
	}
	if err := s.openClock(ctx); err != nil {
		return nil, err
	}
	c = s.config
	s.warm(ctx)
	if err := s.openCatalog(ctx); err != nil {
		return nil, err
	}
	secrets, err := openVault(c)
	if err != nil {
		return nil, err
	}
	s.queues = queue.New(s.catalog, queue.Options{Logger: c.Logger, Clock: c.Clock, Room: s.journal.Room})
	senders := new(senders)
	watch, err := s.watch(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.openHistory(ctx); err != nil {
		return nil, err
	}
	s.deliver = deliver.New(senders.of, deliver.Options{
		Logger: c.Logger, Clock: c.Clock, Window: c.Window, Breaker: c.Breaker, Observer: watch, Retainer: s.history,
	})
	s.history.Attach(s.deliver)
	routes := route.New(s.catalog, route.Options{Logger: c.Logger, Policies: c.Credentials != "", Changed: s.deliver.Renew})
	s.ingest = ingest.New(routes, s.deliver, ingest.Options{Logger: c.Logger, Clock: c.Clock, Room: s.journal.Room, Observer: watch})
	s.topics = topic.New(s.catalog, s.deliver, topic.Options{
		Logger: c.Logger, Clock: c.Clock, Room: s.journal.Room, Policies: c.Credentials != "",
		Firehose: func(stream rialto.ARN) bool { return s.remotes.Claims(stream) }, Observer: watch,
	})
	s.replays = replay.New(s.catalog, s.history, s.ingest, s.deliver, replay.Options{Logger: c.Logger, Clock: c.Clock})
	s.timers = scheduler.New(s.deliver, scheduler.Options{Logger: c.Logger, Clock: c.Clock})
	s.rules = scheduler.NewRules(s.timers, s.catalog, s.ingest)
	s.schedules = scheduler.NewSchedules(s.timers, s.catalog, scheduler.SchedulesOptions{
		Deliver: s.deliver, MaxGroups: maxGroups(c), Accepted: watch.Accepted, Room: s.journal.Room,
	})
	s.redrive = redrive.New(s.queues, s.catalog, s.deliver, redrive.Options{
		Logger: c.Logger, Clock: c.Clock, Subscriptions: s.topics.DefinitionOf, Schedules: s.schedules.DefinitionOf,
	})
	news := connections.NewNews(s.ingest, s.catalog, c.Clock, c.Logger)
	s.conns = connections.New(s.catalog, secrets, connections.Options{Logger: c.Logger, Clock: c.Clock, Wire: rialto.Real(c.Clock), Guard: s.guard(), News: news, TLSOnly: !c.trusted()})
	if err := s.openKinds(); err != nil {
		return nil, err
	}
	if err := s.openNotary(ctx, secrets); err != nil {
		return nil, err
	}
	*senders = s.senders(senders)
	s.outages.Attach(s.catalog, s.replays)
	s.circuits.Attach(s.catalog, s.deliver, s.ingest)
	if err := s.openShards(ctx); err != nil {
		return nil, err
	}
	s.openDriver()
	s.serve(auth, routes, secrets, news)
	return s, nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() string { return s.listen.Addr().String() }

// Ready is closed when [Server.Run] serves requests.
func (s *Server) Ready() <-chan struct{} { return s.ready }

func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &rialto.Error{Kind: rialto.Unavailable, Cause: err, Message: fmt.Sprintf("The address %s is in use: another rialto, or a "+
			"program like it, runs already. Stop it, or choose another address with --listen.", address)}
	}
	return l, err
}

func openJournal(ctx context.Context, c Config) (journal.Journal, error) {
	opts := journal.Options{
		Logger: c.Logger, Clock: rialto.Real(c.Clock), Replicas: c.Replicas, Credentials: c.NATSCreds, Relaxed: c.Relaxed, MaxBytes: c.MaxBytes,
	}
	if c.NATS != "" {
		return journal.OpenExternal(ctx, c.NATS, opts)
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	return journal.OpenEmbedded(ctx, c.DataDir, opts)
}

func openVault(c Config) (*vault.Vault, error) {
	dir := c.VaultDir
	if dir == "" {
		dir = c.DataDir
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the vault: %w", err)
	}
	return vault.Open(dir)
}

// warm opens what is stored all at once, for those who open one after the other what they need: at a first start the disk is waited for some
// fifty times. What goes wrong is met again there. Logs are made when their number is known for good.
func (s *Server) warm(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, bucket := range []string{"catalog", "history", "notary"} {
		all.Go(func() { _, _ = s.journal.KV(ctx, bucket) })
	}
	for _, bucket := range []string{"snapshots", "history"} {
		all.Go(func() { _, _ = s.journal.Blob(ctx, bucket) })
	}
	n, err := s.countShards(ctx)
	if err != nil {
		return
	}
	for i := range n {
		all.Go(func() { _, _ = s.journal.Log(ctx, shardName(i)) })
	}
}

func (s *Server) openCatalog(ctx context.Context) error {
	kv, err := s.journal.KV(ctx, "catalog")
	if err != nil {
		return err
	}
	s.catalog, err = catalog.Open(ctx, kv, catalog.Options{Logger: s.config.Logger, Clock: s.config.Clock})
	return err
}

// openNotary prepares to sign messages of topics.
func (s *Server) openNotary(ctx context.Context, secrets *vault.Vault) error {
	kv, err := s.journal.KV(ctx, "notary")
	if err != nil {
		return err
	}
	s.notary = notary.New(kv, secrets, notary.Options{Logger: s.config.Logger, Clock: rialto.Real(s.config.Clock)})
	return nil
}

// openHistory reads what archives have kept.
func (s *Server) openHistory(ctx context.Context) error {
	kv, err := s.journal.KV(ctx, "history")
	if err != nil {
		return err
	}
	blobs, err := s.journal.Blob(ctx, "history")
	if err != nil {
		return err
	}
	s.history, err = history.Open(ctx, kv, blobs, s.catalog, history.Options{Logger: s.config.Logger, Clock: s.config.Clock})
	return err
}

// openShards recovers the shards, as many as the journal was made with, side by side.
func (s *Server) openShards(ctx context.Context) error {
	n, err := s.countShards(ctx)
	if err != nil {
		return err
	}
	owner, _ := os.Hostname()
	s.shards = make([]*shard.Shard, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		hosted := []shard.Hosted{s.deliver.Host(), s.queues.Host(), s.replays.Host(), s.timers.Host()}
		all.Go(func() { s.shards[i], errs[i] = s.openShard(ctx, shardName(i), owner, hosted) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.deliver.Attach(s.shards)
	s.queues.Attach(s.shards)
	s.replays.Attach(s.shards)
	s.timers.Attach(s.shards)
	return nil
}

func shardName(i int) string { return "shard-" + strconv.Itoa(i) }

func (s *Server) openShard(ctx context.Context, name, owner string, hosted []shard.Hosted) (*shard.Shard, error) {
	blob, err := s.journal.Blob(ctx, "snapshots")
	if err != nil {
		return nil, err
	}
	log, err := s.journal.Log(ctx, name)
	if err != nil {
		return nil, err
	}
	sh, err := shard.Open(ctx, log, blob, hosted,
		shard.Options{Logger: s.config.Logger, Clock: s.config.Clock, Owner: owner, Room: s.journal.Room, Recovered: s.recovered,
			Appended: s.metrics.Appended(name)})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return sh, nil
}

// countShards is the number of shards, which is fixed when the journal is made.
func (s *Server) countShards(ctx context.Context) (int, error) {
	kv, err := s.journal.KV(ctx, "server")
	if err != nil {
		return 0, err
	}
	_, err = kv.Create(ctx, "shards", []byte(strconv.Itoa(s.config.Shards)))
	if err == nil {
		return s.config.Shards, nil
	}
	if !errors.Is(err, journal.ErrExists) {
		return 0, fmt.Errorf("note the number of shards: %w", err)
	}
	e, err := kv.Get(ctx, "shards")
	if err != nil {
		return 0, fmt.Errorf("read the number of shards: %w", err)
	}
	n, err := strconv.Atoi(string(e.Value))
	if err != nil || n < 1 || n > maxShards {
		return 0, fmt.Errorf("the journal says that it has %q shards", e.Value)
	}
	return n, nil
}

// serve builds what answers requests.
func (s *Server) serve(auth aws.Authenticator, routes *route.Router, secrets *vault.Vault, news *connections.News) {
	events := eventsapi.Options{
		Clock: s.config.Clock, Limits: eventsapi.DefaultLimits, Policies: routes, PlainHTTP: s.config.trusted(), Connections: news,
		Archives: s.history, Replays: s.replays,
	}
	if s.config.AWSQuotas {
		events.Limits = eventsapi.AWSLimits
	}
	s.api = aws.NewHandler(
		aws.Options{Logger: s.config.Logger, Authenticator: auth, Clock: rialto.Real(s.config.Clock), PublicURL: s.config.PublicURL},
		eventsapi.New(s.catalog, s.ingest, secrets, events).Service(),
		sqsapi.New(s.queues, sqsapi.Options{OwnQueuesOnly: s.config.Credentials != ""}).Service(),
		snsapi.New(s.topics).Service(),
		schedulerapi.New(s.schedules, s.config.Clock).Service(),
		secretsapi.New(s.catalog, secrets, secretsapi.Options{OwnSecretsOnly: s.config.Credentials != ""}).Service(),
	)
	mux := http.NewServeMux()
	mux.Handle("/", s.notary.Serve(s.api))
	mux.Handle(console.Prefix, console.New(console.Options{Logger: s.config.Logger, Authenticator: auth, Clock: s.config.Clock},
		console.Tail(s.ingest),
		console.Events(s.ingest),
		console.Destinations(s.deliver),
		console.Circuits(s.circuits),
		console.Connections(s.conns),
		console.DeadLetters(s.redrive),
		console.Redrives(s.redrive),
		console.Archives(s.history, s.replays),
		console.Replays(s.replays),
		console.Schedules(s.schedules),
		console.Topics(s.topics, s.deliver),
		console.Clock(s.clockState, s.advanceClock),
		console.Explanations(explain.NewExplainer(s.recorder, s.catalog, s.deliver)),
	))
	s.health.register(mux, s.journal, s.clockName())
	s.measure(mux, auth)
	s.http = http.Server{
		Handler: mux, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
	}
}

// maxGroups is how many groups of schedules there may be in a scope: as many as AWS allows, or so many that whoever makes them has made a mistake.
func maxGroups(c Config) int {
	if c.AWSQuotas {
		return 500
	}
	return 10_000
}

func authenticator(c Config) (aws.Authenticator, error) {
	if c.Credentials == "" {
		return aws.AcceptAny{}, nil
	}
	keys, err := aws.OpenKeys(c.Credentials)
	if err != nil {
		return nil, err
	}
	return aws.NewSigV4(keys, rialto.Real(c.Clock)), nil // callers sign by theirs
}

// close lets go of what Open has taken.
func (s *Server) close(ctx context.Context) {
	if s.listen != nil {
		_ = s.listen.Close()
	}
	if s.scrapes != nil {
		_ = s.scrapes.Close()
	}
	if s.conns != nil {
		s.conns.Close()
	}
	if s.remotes != nil {
		s.remotes.Close()
	}
	s.kinds.close()
	if s.journal != nil {
		if err := s.journal.Close(ctx); err != nil {
			s.config.Logger.Error("journal not closed in order", "err", err)
		}
	}
}
