package nats_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/nats"
	"github.com/rialto-events/rialto/target"
	"github.com/rialto-events/rialto/target/targettest"
)

var rule = rialto.Scope{Account: "000000000000", Region: "us-east-1"}.RuleARN("shop", "paid")

func definition(resource string) *target.Definition {
	return &target.Definition{ARN: "arn:rialto:nats:::" + resource, Rule: rule, ID: "n"}
}

// startServer runs a server on a free port of the loopback address until the test ends.
func startServer(t *testing.T, change func(*server.Options)) *server.Server {
	t.Helper()
	opts := &server.Options{
		ServerName: "n0", Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 4 << 20,
		JetStreamMaxStore: 1 << 30, JetStreamMaxMemory: 64 << 20,
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
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	return s
}

// client is a connection of somebody who looks at what was published.
func client(t *testing.T, url string) (*natsgo.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := natsgo.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

func makeStream(t *testing.T, js jetstream.JetStream, c jetstream.StreamConfig) jetstream.Stream {
	t.Helper()
	stream, err := js.CreateStream(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// stored is all that a stream has.
func stored(t *testing.T, s jetstream.Stream) (all []*jetstream.RawStreamMsg) {
	t.Helper()
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func open(t *testing.T, servers map[string]nats.Server) *nats.Sender {
	t.Helper()
	s, err := nats.New(servers, nats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// unique gives each message an event of its own: a stream takes repetitions of one only once.
func unique() func(*target.Message) {
	var mu sync.Mutex
	n := 0
	return func(m *target.Message) {
		mu.Lock()
		defer mu.Unlock()
		n++
		m.EventID = natsgo.NewInbox()
	}
}

// silent accepts connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return "nats://" + l.Addr().String()
}

func TestStreams(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Subject {
		s := startServer(t, nil)
		_, js := client(t, s.ClientURL())
		works := makeStream(t, js, jetstream.StreamConfig{Name: "WORKS", Subjects: []string{"works"}})
		makeStream(t, js, jetstream.StreamConfig{Name: "FULL", Subjects: []string{"full"}, MaxBytes: 1, Discard: jetstream.DiscardNew})
		makeStream(t, js, jetstream.StreamConfig{Name: "SMALL", Subjects: []string{"small"}, MaxMsgSize: 1})
		return targettest.Subject{
			Sender: open(t, map[string]nats.Server{
				"default": {URL: s.ClientURL()},
				"always":  {URL: s.ClientURL(), JetStream: nats.Always},
				"silent":  {URL: silent(t)},
				"down":    {URL: "nats://127.0.0.1:1"},
			}),
			Works: definition("works"),
			Received: func() (got [][]byte) {
				for _, m := range stored(t, works) {
					got = append(got, m.Data)
				}
				return got
			},
			Prepare:  unique(),
			MaxBytes: 2 << 20,
			Faults: map[targettest.Fault]targettest.Misbehaved{
				targettest.Hangs: {definition("silent/works")},
				targettest.Down:  {definition("down/works"), definition("always/nobody"), definition("full")},
				targettest.Gone: {definition("elsewhere/works"), definition("a.*.c"), definition("a.>"), definition("a..b"), definition("a b"),
					definition("default/"), definition("$JS.API.STREAM.DELETE.WORKS"), definition("small"), {ARN: "arn:aws:sqs:us-east-1:000000000000:works"}},
			},
		}
	})
}

func TestSubjects(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Subject {
		s := startServer(t, func(o *server.Options) {
			o.JetStream = false
			o.Users = []*server.User{{Username: "rialto", Password: "secret", Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Deny: []string{"forbidden"}},
				Subscribe: &server.SubjectPermission{Allow: []string{">"}},
			}}}
		})
		url := "nats://rialto:secret@" + s.Addr().String()
		nc, _ := client(t, url)
		var mu sync.Mutex
		var got [][]byte
		if _, err := nc.Subscribe("works", func(m *natsgo.Msg) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, m.Data)
		}); err != nil {
			t.Fatal(err)
		}
		mark := make(chan struct{})
		if _, err := nc.Subscribe("mark", func(*natsgo.Msg) { mark <- struct{}{} }); err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		sender := open(t, map[string]nats.Server{"default": {URL: url}, "denied": {URL: "nats://rialto:wrong@" + s.Addr().String()}})
		return targettest.Subject{
			Sender: sender,
			Works:  definition("works"),
			Received: func() [][]byte {
				if err := sender.Send(t.Context(), &target.Message{Definition: definition("mark"), EventID: "m"}); err != nil {
					t.Fatal(err)
				}
				<-mark // comes after what the sender published before it
				// Subscriptions have a goroutine each: another mark by the same one would be in its line.
				if err := flush(nc, "works", &mu, &got); err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				defer mu.Unlock()
				return append([][]byte(nil), got...)
			},
			MaxBytes: 2 << 20,
			Faults: map[targettest.Fault]targettest.Misbehaved{
				targettest.Down: {definition("denied/works")},
				targettest.Gone: {definition("forbidden")},
			},
		}
	})
}

// flush waits until the subscription has handed on what has arrived: an end of its own comes last, and is taken away.
func flush(nc *natsgo.Conn, subject string, mu *sync.Mutex, got *[][]byte) error {
	const end = "end of what was published"
	if err := nc.Publish(subject, []byte(end)); err != nil {
		return err
	}
	giveUp := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		mu.Lock()
		if n := len(*got); n > 0 && string((*got)[n-1]) == end {
			*got = (*got)[:n-1]
			mu.Unlock()
			return nil
		}
		mu.Unlock()
		select {
		case <-tick.C:
		case <-giveUp:
			return context.DeadlineExceeded
		}
	}
}

func TestWhatIsPublished(t *testing.T) {
	s := startServer(t, nil)
	_, js := client(t, s.ClientURL())
	stream := makeStream(t, js, jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}})
	sender := open(t, map[string]nats.Server{"edge": {URL: s.ClientURL()}})
	m := &target.Message{
		Definition: definition("edge/orders.paid"), EventID: "e-1", Trace: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
		Event: []byte(`{"version":"0","id":"e-1","detail-type":"paid","source":"shop","account":"000000000000",` +
			`"time":"2026-03-01T10:00:05Z","region":"us-east-1","resources":[],"detail":{"total":42.50}}`),
	}
	m.Payload = m.Event
	for _, tc := range []struct {
		format target.Format
		target string
		header map[string]string
		data   string
	}{
		{"", "plain", map[string]string{
			"Nats-Msg-Id": "e-1/" + rule.String() + "/plain", "Rialto-Event-Id": "e-1", "Rialto-Rule": rule.String(), "X-Amzn-Trace-Id": m.Trace,
			"traceparent": "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
		}, string(m.Event)},
		{target.CloudEventsBinary, "binary", map[string]string{
			"ce-specversion": "1.0", "ce-id": "e-1", "ce-source": "shop", "ce-type": "paid", "content-type": "application/json",
		}, `{"total":42.50}`},
		{target.CloudEventsStructured, "structured", map[string]string{"content-type": "application/cloudevents+json; charset=utf-8"}, `{"specversion":"1.0"`},
	} {
		d := *m.Definition
		d.Format, d.ID = tc.format, tc.target
		m.Definition = &d
		for range 2 { // the second is known again
			if err := sender.Send(t.Context(), m); err != nil {
				t.Fatalf("%s: %v", tc.target, err)
			}
		}
		if !strings.Contains(m.Answer.Head, `"duplicate":true`) {
			t.Errorf("%s: the repetition was answered %s", tc.target, m.Answer.Head)
		}
		all := stored(t, stream)
		got := all[len(all)-1]
		if got.Subject != "orders.paid" || !strings.HasPrefix(string(got.Data), tc.data) {
			t.Errorf("%s: got %s on %s", tc.target, got.Data, got.Subject)
		}
		for name, want := range tc.header {
			if v := got.Header.Get(name); v != want {
				t.Errorf("%s: the header %s is %q, want %q", tc.target, name, v, want)
			}
		}
	}
	if all := stored(t, stream); len(all) != 3 {
		t.Errorf("the stream has %d messages, want 3", len(all))
	}
}

// The connection outlives the server.
func TestServerComesBack(t *testing.T) {
	dir := t.TempDir()
	first := startServer(t, func(o *server.Options) { o.StoreDir = dir })
	port := first.Addr().(*net.TCPAddr).Port
	sender := open(t, map[string]nats.Server{"default": {URL: first.ClientURL(), JetStream: nats.Never}})
	send := func() error {
		return sender.Send(t.Context(), &target.Message{Definition: definition("orders"), EventID: "e", Payload: []byte("1")})
	}
	if err := send(); err != nil {
		t.Fatal(err)
	}
	first.Shutdown()
	first.WaitForShutdown()
	if err := send(); err == nil || target.Permanent(err) {
		t.Errorf("without a server: %v", err)
	}
	startServer(t, func(o *server.Options) { o.StoreDir, o.Port = dir, port })
	giveUp := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for err := send(); err != nil; err = send() {
		select {
		case <-tick.C:
		case <-giveUp:
			t.Fatalf("the server is back, and still: %v", err)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		server nats.Server
		want   string
	}{
		{"a/b", nats.Server{URL: "nats://x"}, "a server has a name such as default or edge"},
		{"edge", nats.Server{URL: "http://me:secret@x"}, "its URL is such as nats://127.0.0.1:4222"},
		{"edge", nats.Server{URL: "nats://x", JetStream: "maybe"}, `jetstream is auto, always or never, not "maybe"`},
		{"edge", nats.Server{URL: "nats://x", Credentials: "/none.creds"}, "its credentials cannot be read"},
	} {
		_, err := nats.New(map[string]nats.Server{tc.name: tc.server}, nats.Options{})
		if rialto.KindOf(err) != rialto.Invalid || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: got %v, want %s", tc.server, err, tc.want)
		}
	}
}
