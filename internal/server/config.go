package server

import (
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/rialto-events/rialto"
	remote "github.com/rialto-events/rialto/internal/targets/aws"
	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/internal/targets/kafka"
	"github.com/rialto-events/rialto/internal/targets/lambda"
	"github.com/rialto-events/rialto/internal/targets/nats"
	"github.com/rialto-events/rialto/target"
)

// Defaults of a [Config].
const (
	DefaultListen = "127.0.0.1:4566" // the port that local AWS tools already assume
	DefaultData   = "rialto-data"

	DefaultExplainMemory = 48 << 20 // taken as it fills
)

// How many shards a new journal gets. On one disk a single one is best: it writes one frame at a time, and whatever comes
// meanwhile makes the next frame bigger, where two shards would write twice as many that are half as big (measured: 99,000
// events a second against 49,000, see docs/performance.md). A cluster spreads its shards over its servers.
const (
	shardsEmbedded = 1
	shardsExternal = 32
	maxShards      = 256
)

// A Config is all that can be set about a server. The zero value is a server for one developer's machine.
type Config struct {
	Listen      string // host and port to serve on; "" is [DefaultListen], port 0 is any that is free
	DataDir     string // "" is [DefaultData]
	NATS        string // URL of an external JetStream cluster; "" keeps the journal in DataDir
	NATSCreds   string // path of a NATS credentials file
	Replicas    int    // of the journal on an external cluster, 1 or 3; 0 is 1
	Shards      int    // of a new journal; 0 is 1, or 32 on an external cluster
	Relaxed     bool   // sync once a second instead of before each answer
	MaxBytes    int64  // that an embedded journal may occupy; 0 is what the volume allows
	Credentials string // path of a file of access keys; if given, signatures are verified and bus policies enforced
	Insecure    bool   // serve on other addresses than loopback without credentials
	PublicURL   string // at which clients reach the server, if not at the Host that they name
	VaultDir    string // folder of the keys that seal secrets, which the nodes of a cluster share; "" is DataDir

	AllowTargets []netip.Prefix             // private networks that API destinations may be in; loopback is one if Listen is on it and there are no Credentials
	AllowHosts   []http.HostPattern         // hosts that API destinations may have, wherever their names lead
	DenyTargets  []netip.Prefix             // networks that API destinations must not be in, though they be public or allowed
	DenyHosts    []http.HostPattern         // hosts that they must not have
	Remotes      []remote.Remote            // where the services are that rialto does not serve
	Functions    map[string]lambda.Function // by name or ARN
	LogDir       string                     // of log files; "" is the folder logs in DataDir
	NATSTargets  map[string]nats.Server     // that targets name
	Kafka        map[string]kafka.Cluster   // that targets name
	Window       int                        // concurrent attempts per destination; 0 is 64
	Breaker      target.Breaker             // when circuits open, unless a rule says otherwise; the zero value is 50% of 20 attempts in 30 seconds
	AWSQuotas    bool                       // enforce AWS's own quotas where rialto's are larger

	Tracing       bool   // send spans to the collector that the environment names, see package tracing
	MetricsListen string // host and port to serve metrics on, to whoever reaches it; "" is Listen, to those who may use the APIs
	ExplainMemory int64  // bytes in which what happened to events is remembered; 0 is [DefaultExplainMemory]

	Logger *slog.Logger // nil discards
	Clock  rialto.Clock // nil is the system's

	Virtual    bool          // the clock stands still until somebody moves it by the API, as it does if Clock is a *[rialto.VirtualClock]; the journal is relaxed then
	ClockStart time.Time     // where it begins in a data directory that knows no later time; zero is the present
	MoveWait   time.Duration // how long one who moves it waits, in the real world, for a target that does not answer; 0 is 10 seconds
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.DataDir == "" {
		c.DataDir = DefaultData
	}
	if c.LogDir == "" {
		c.LogDir = filepath.Join(c.DataDir, "logs")
	}
	if c.ExplainMemory <= 0 {
		c.ExplainMemory = DefaultExplainMemory
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = rialto.SystemClock
	}
	if c.isVirtual() {
		c.Relaxed = true // a month has tens of thousands of frames, and a test's data need not outlive its machine
	}
	if c.Shards == 0 {
		c.Shards = shardsEmbedded
		if c.NATS != "" {
			c.Shards = shardsExternal
		}
	}
	return c
}

// isVirtual reports whether the clock is moved by hand.
func (c Config) isVirtual() bool {
	_, given := c.Clock.(*rialto.VirtualClock)
	return given || c.Virtual
}

// check refuses what cannot work, and what would serve strangers without meaning to.
func (c Config) check() error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return rialto.Errorf(rialto.Invalid, "%q is no address to listen on: give a host and a port, such as %s.", c.Listen, DefaultListen)
	}
	if c.Shards < 1 || c.Shards > maxShards {
		return rialto.Errorf(rialto.Invalid, "%d shards cannot be: give a number from 1 to %d.", c.Shards, maxShards)
	}
	if c.NATS != "" && c.isVirtual() {
		return rialto.Errorf(rialto.Invalid, "A virtual clock is one server's own, so it cannot go with --nats, where other servers have another time.")
	}
	for i := range c.Remotes {
		if err := c.Remotes[i].Check(); err != nil {
			return err
		}
	}
	if !loopback(host) && c.Credentials == "" && !c.Insecure {
		return rialto.Errorf(rialto.Denied, "Refusing to serve on %s without credentials: anybody who reaches that address could read and "+
			"send events. Name a file of access keys with --credentials, listen on %s, or say --insecure.", c.Listen, DefaultListen)
	}
	return nil
}

// trusted reports whether whoever defines API destinations may be expected to know the networks that they are in. Then their
// endpoints need no TLS, which AWS asks for.
func (c Config) trusted() bool {
	return c.Credentials == "" || len(c.AllowTargets)+len(c.AllowHosts) > 0
}

// loopback reports whether only this machine reaches a host.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// Limits of what a connection may cost the server.
const (
	headerTimeout = 10 * time.Second // to send the header of a request
	bodyTimeout   = time.Minute      // to send all of a request
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
)
