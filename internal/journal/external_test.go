package journal_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/journal/journaltest"
)

// startServer runs a JetStream server on a free port of the loopback address until the test ends.
func startServer(t *testing.T, change func(*server.Options)) *server.Server {
	t.Helper()
	s := launch(t, change)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	return s
}

func launch(t *testing.T, change func(*server.Options)) *server.Server {
	t.Helper()
	opts := &server.Options{
		ServerName: "n0", Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
		JetStreamMaxStore: 1 << 30, JetStreamMaxMemory: 64 << 20, SyncAlways: true,
	}
	if change != nil {
		change(opts)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatalf("make the server: %v", err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

func openExternal(t *testing.T, urls string, opts journal.Options) journal.Journal {
	t.Helper()
	j, err := journal.OpenExternal(context.Background(), urls, opts)
	if err != nil {
		t.Fatalf("open the journal: %v", err)
	}
	return j
}

func TestExternalKeepsTheContract(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) func(*testing.T) journal.Journal {
		s := startServer(t, nil) // with the limits of its defaults, 1 MiB for a message among them
		return func(t *testing.T) journal.Journal { return openExternal(t, s.ClientURL(), journal.Options{}) }
	})
}

func TestClusterKeepsTheContract(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster needs seconds to elect its leaders")
	}
	t.Parallel()
	urls := startCluster(t)
	journaltest.Run(t, func(t *testing.T) func(*testing.T) journal.Journal {
		t.Cleanup(func() { removeStreams(t, urls) })
		return func(t *testing.T) journal.Journal { return openExternal(t, urls, journal.Options{Replicas: 3}) }
	})
}

// startCluster runs three servers that know one another.
func startCluster(t *testing.T) (urls string) {
	t.Helper()
	var routes []*url.URL
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
		l.Close()
	}
	var servers []*server.Server
	for i, r := range routes {
		port, err := strconv.Atoi(r.Port())
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, launch(t, func(o *server.Options) {
			o.ServerName = fmt.Sprintf("n%d", i)
			o.Cluster = server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: port}
			o.Routes = routes
		}))
	}
	var clients []string
	for _, s := range servers {
		if !s.ReadyForConnections(30 * time.Second) {
			t.Fatal("a server of the cluster is not ready")
		}
		clients = append(clients, s.ClientURL())
	}
	urls = strings.Join(clients, ",")
	withJetStream(t, urls, func(ctx context.Context, js jetstream.JetStream) error {
		// The first call that needs the meta leader waits for it.
		for {
			asking, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
			_, err := js.AccountInfo(asking)
			cancel()
			if err == nil || ctx.Err() != nil {
				return err
			}
		}
	})
	return urls
}

func removeStreams(t *testing.T, urls string) {
	withJetStream(t, urls, func(ctx context.Context, js jetstream.JetStream) error {
		names := js.StreamNames(ctx)
		for name := range names.Name() {
			if err := js.DeleteStream(ctx, name); err != nil {
				return err
			}
		}
		return names.Err()
	})
}

func withJetStream(t *testing.T, urls string, f func(context.Context, jetstream.JetStream) error) {
	t.Helper()
	nc, err := nats.Connect(urls)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := f(ctx, js); err != nil {
		t.Fatal(err)
	}
}

func TestExternalRefusesWhatItCannotUse(t *testing.T) {
	ctx := context.Background()
	if _, err := journal.OpenExternal(ctx, "nats://127.0.0.1:1", journal.Options{}); err == nil || !strings.Contains(err.Error(), "nats://127.0.0.1:1") {
		t.Errorf("nobody listens: %v", err)
	}
	s := startServer(t, func(o *server.Options) { o.MaxPayload = 64 << 10 })
	if _, err := journal.OpenExternal(ctx, s.ClientURL(), journal.Options{}); rialto.KindOf(err) != rialto.Invalid {
		t.Errorf("a server that takes 64 KiB: %v", err)
	}
	if _, err := journal.OpenExternal(ctx, s.ClientURL(), journal.Options{Replicas: 2}); rialto.KindOf(err) != rialto.Invalid {
		t.Errorf("two replicas: %v", err)
	}
}

// TestTwoOwners lets two processes write to one log: the slower one is refused, and neither takes the mark back.
func TestTwoOwners(t *testing.T) {
	ctx := context.Background()
	s := startServer(t, nil)
	a, b := openExternal(t, s.ClientURL(), journal.Options{}), openExternal(t, s.ClientURL(), journal.Options{})
	open := func(j journal.Journal) *journaltest.Writer {
		l, err := j.Log(ctx, "orders")
		if err != nil {
			t.Fatal(err)
		}
		return &journaltest.Writer{Log: l}
	}
	wa := open(a)
	recs := wa.Fill(t, 5)
	wb := open(b)
	wb.Last, wb.Prev = wa.Last, wa.Prev
	recs = append(recs, wb.Fill(t, 5)...)
	if err := wb.Log.Truncate(ctx, 8); err != nil {
		t.Fatal(err)
	}
	if _, err := wa.Log.Append(ctx, wa.Last, wa.Next(nil)); rialto.KindOf(err) != rialto.Conflict {
		t.Fatalf("the former owner appended: %v", err)
	}
	for _, j := range []journal.Journal{b, a} { // the former owner closes last, with an old mark
		if err := j.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	c := openExternal(t, s.ClientURL(), journal.Options{})
	defer c.Close(ctx)
	journaltest.WantRecords(t, open(c).Log, 8, recs[7:])
}

// TestExternalNoticesALostTail restores an old copy behind the journal's back.
func TestExternalNoticesALostTail(t *testing.T) {
	ctx := context.Background()
	s := startServer(t, nil)
	j := openExternal(t, s.ClientURL(), journal.Options{})
	l, err := j.Log(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	w := &journaltest.Writer{Log: l}
	recs := w.Fill(t, 5)
	if err := j.Close(ctx); err != nil {
		t.Fatal(err)
	}
	withJetStream(t, s.ClientURL(), func(ctx context.Context, js jetstream.JetStream) error {
		old, err := js.Stream(ctx, "rialto-log-orders")
		if err != nil {
			return err
		}
		cfg := old.CachedInfo().Config
		if err := js.DeleteStream(ctx, cfg.Name); err != nil {
			return err
		}
		if _, err := js.CreateStream(ctx, cfg); err != nil {
			return err
		}
		for _, rec := range recs[:3] {
			if _, err := js.Publish(ctx, "rialto.log.orders", rec); err != nil {
				return err
			}
		}
		return nil
	})
	j = openExternal(t, s.ClientURL(), journal.Options{Clock: hasty{}}) // looks again often, since replicas may lag
	defer j.Close(ctx)
	_, err = j.Log(ctx, "orders")
	wantDamage(t, err, "log orders", 4, 5)
}

// A hasty clock never lets anybody wait.
type hasty struct{}

func (hasty) Now() time.Time { return time.Now().UTC() }

func (hasty) NewTimer(time.Duration) rialto.Timer { return rialto.SystemClock.NewTimer(0) }
