//go:build unix

package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
)

// The other systems run on their own, in folders that go away with the measurement, with what their packages give them but for what makes
// them durable. One that is not installed is left out, and the log says so.

const peerStart = 3 * time.Minute // for another system to be ready

// installed finds a program, also in folders that are not in the path.
func installed(tb testing.TB, system, name string, folders ...string) (string, bool) {
	for _, folder := range folders {
		found, _ := filepath.Glob(filepath.Join(folder, name))
		if len(found) > 0 {
			return found[len(found)-1], true // of the newest version
		}
	}
	found, err := exec.LookPath(name)
	if err != nil {
		tb.Logf("%s is left out: %v", system, err)
		return "", false
	}
	return found, true
}

// freePort is a port that nobody listens on.
func freePort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	return port
}

// peerFolder makes a folder that a user other than root can reach; nil is whoever runs the test.
func peerFolder(tb testing.TB, as *syscall.Credential) string {
	tb.Helper()
	folder, err := os.MkdirTemp("", "peer")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(folder) })
	if as != nil {
		if err := os.Chown(folder, int(as.Uid), int(as.Gid)); err != nil {
			tb.Fatal(err)
		}
	}
	return folder
}

// launch starts a program that runs until the measurement ends, in a group of processes that ends with it.
func launch(tb testing.TB, cmd *exec.Cmd, as *syscall.Credential, stop os.Signal) {
	tb.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setpgid: true}
	log, err := os.CreateTemp(tb.TempDir(), "log")
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Signal(stop) // it may have ended
		late := time.AfterFunc(10*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		_ = cmd.Wait() // a signal ended it
		late.Stop()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it has left
		if said, err := os.ReadFile(log.Name()); err == nil && tb.Failed() {
			tb.Logf("%s said:\n%s", cmd.Path, said)
		}
		log.Close()
	})
}

// await tries until it succeeds.
func await(tb testing.TB, system string, try func(ctx context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), peerStart)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("%s does not start: %v", system, err)
		}
	}
}

// A postgresQueue is a table whose rows are taken with SELECT … FOR UPDATE SKIP LOCKED: a consumer holds the row in its transaction, which
// deletes it. So a receive costs no write, and whoever goes away gives the row back.
type postgresQueue struct{ conns []*pgx.Conn }

func startPostgres(tb testing.TB, callers int) waitingLine {
	const debian = "/usr/lib/postgresql/*/bin"
	initdb, ok := installed(tb, "PostgreSQL", "initdb", debian)
	if !ok {
		return nil
	}
	postgres, ok := installed(tb, "PostgreSQL", "postgres", debian)
	if !ok {
		return nil
	}
	var as *syscall.Credential
	if os.Getuid() == 0 { // which it refuses to run as
		if as = credential("postgres"); as == nil {
			tb.Log("PostgreSQL is left out: there is no user of that name, and it does not run as root")
			return nil
		}
	}
	folder, port := peerFolder(tb, as), freePort(tb)
	data := filepath.Join(folder, "data")
	made := exec.Command(initdb, "-D", data, "-U", "bench", "-A", "trust", "--no-locale", "-E", "UTF8")
	made.SysProcAttr, made.Dir = &syscall.SysProcAttr{Credential: as}, folder
	if said, err := made.CombinedOutput(); err != nil {
		tb.Fatalf("initdb: %v\n%s", err, said)
	}
	cmd := exec.Command(postgres, "-D", data, "-p", port, "-h", "127.0.0.1", "-k", folder,
		"-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "full_page_writes=on", "-c", fmt.Sprintf("max_connections=%d", callers+20))
	cmd.Dir = folder
	launch(tb, cmd, as, syscall.SIGINT) // without waiting for connections
	url := "postgres://bench@127.0.0.1:" + port + "/postgres?sslmode=disable"
	q := &postgresQueue{}
	await(tb, "PostgreSQL", func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS queue (id bigserial PRIMARY KEY, body text NOT NULL)")
		return err
	})
	for range callers {
		conn, err := pgx.Connect(tb.Context(), url)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { conn.Close(context.Background()) })
		q.conns = append(q.conns, conn)
	}
	return q
}

// credential is that of a user, or nil if there is none of that name.
func credential(name string) *syscall.Credential {
	u, err := user.Lookup(name)
	if err != nil {
		return nil
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	gid, gerr := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil || gerr != nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (q *postgresQueue) send(ctx context.Context, caller int) error {
	_, err := q.conns[caller].Exec(ctx, "INSERT INTO queue (body) VALUES ($1)", queueMessage)
	return err
}

func (q *postgresQueue) take(ctx context.Context, caller int) error {
	return pgx.BeginFunc(ctx, q.conns[caller], func(tx pgx.Tx) error {
		var id int64
		var body string
		err := tx.QueryRow(ctx, "SELECT id, body FROM queue ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED").Scan(&id, &body)
		if errors.Is(err, pgx.ErrNoRows) {
			return errMissing("PostgreSQL")
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "DELETE FROM queue WHERE id = $1", id)
		return err
	})
}

// A redisQueue is a stream with a group of consumers.
type redisQueue struct{ clients []*redis.Client }

func startRedis(tb testing.TB, callers int) waitingLine {
	server, ok := installed(tb, "Redis", "redis-server")
	if !ok {
		return nil
	}
	port := freePort(tb)
	launch(tb, exec.Command(server, "--port", port, "--bind", "127.0.0.1", "--dir", peerFolder(tb, nil),
		"--appendonly", "yes", "--appendfsync", "always", "--save", ""), nil, syscall.SIGTERM)
	q := &redisQueue{}
	for range callers {
		c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port, PoolSize: 1, ReadTimeout: peerStart, DisableIdentity: true})
		tb.Cleanup(func() { c.Close() })
		q.clients = append(q.clients, c)
	}
	await(tb, "Redis", func(ctx context.Context) error {
		return q.clients[0].XGroupCreateMkStream(ctx, "queue", "group", "0").Err()
	})
	return q
}

func (q *redisQueue) send(ctx context.Context, caller int) error {
	return q.clients[caller].XAdd(ctx, &redis.XAddArgs{Stream: "queue", Values: []string{"body", queueMessage}}).Err()
}

func (q *redisQueue) take(ctx context.Context, caller int) error {
	got, err := q.clients[caller].XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: "group", Consumer: strconv.Itoa(caller), Streams: []string{"queue", ">"}, Count: 1, Block: -1,
	}).Result()
	switch {
	case errors.Is(err, redis.Nil) || err == nil && len(got[0].Messages) == 0:
		return errMissing("Redis")
	case err != nil:
		return err
	}
	id := got[0].Messages[0].ID
	_, err = q.clients[caller].Pipelined(ctx, func(p redis.Pipeliner) error {
		p.XAck(ctx, "queue", "group", id)
		p.XDel(ctx, "queue", id)
		return nil
	})
	return err
}

// A rabbitQueue is a quorum queue of one node, with a consumer for each caller, which has one message at a time. A message is confirmed when
// it is on the disk; an acknowledgement of a consumer is not answered.
type rabbitQueue struct {
	senders  []*amqp.Channel
	received chan amqp.Delivery // by any of the consumers
	ended    chan struct{}
}

// channelsEach is how many channels share a connection, two for each caller.
const channelsEach = 32

func startRabbit(tb testing.TB, callers int) waitingLine {
	server, ok := installed(tb, "RabbitMQ", "rabbitmq-server", "/usr/lib/rabbitmq/bin")
	if !ok {
		return nil
	}
	folder, port := peerFolder(tb, nil), freePort(tb)
	config := filepath.Join(folder, "rabbitmq.conf")
	if err := os.WriteFile(config, []byte("listeners.tcp.1 = 127.0.0.1:"+port+"\nloopback_users = none\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	names := freePort(tb)
	cmd := exec.Command(server)
	cmd.Env = append(os.Environ(), "HOME="+folder, "ERL_EPMD_PORT="+names, "RABBITMQ_NODENAME=bench-"+port+"@localhost", "RABBITMQ_BASE="+folder,
		"RABBITMQ_DIST_PORT="+freePort(tb), "RABBITMQ_MNESIA_BASE="+folder, "RABBITMQ_LOG_BASE="+folder, "RABBITMQ_LOGS=-",
		"RABBITMQ_CONFIG_FILE="+config, "RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(folder, "plugins"), "RABBITMQ_PID_FILE="+filepath.Join(folder, "pid"))
	tb.Cleanup(func() { // the daemon of names leaves the group of processes
		end := exec.Command("epmd", "-port", names, "-kill")
		end.Env = cmd.Env
		_ = end.Run()
	})
	launch(tb, cmd, nil, syscall.SIGTERM)
	var conn *amqp.Connection
	dial := func(context.Context) (err error) {
		conn, err = amqp.Dial("amqp://guest:guest@127.0.0.1:" + port + "/")
		return err
	}
	await(tb, "RabbitMQ", dial)
	q := &rabbitQueue{received: make(chan amqp.Delivery), ended: make(chan struct{})}
	tb.Cleanup(func() { close(q.ended) })
	for i := range callers {
		if i > 0 && i%channelsEach == 0 {
			if err := dial(tb.Context()); err != nil {
				tb.Fatal(err)
			}
		}
		if i%channelsEach == 0 {
			c := conn
			tb.Cleanup(func() { c.Close() })
		}
		if err := q.join(conn); err != nil {
			tb.Fatal(err)
		}
	}
	return q
}

// join opens the channels of a caller.
func (q *rabbitQueue) join(conn *amqp.Connection) error {
	out, err := conn.Channel()
	if err != nil {
		return err
	}
	if _, err := out.QueueDeclare("queue", true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		return err
	}
	in, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := in.Qos(1, 0, false); err != nil {
		return err
	}
	deliveries, err := in.Consume("queue", "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	go func() {
		for d := range deliveries { // until the connection ends
			select {
			case q.received <- d:
			case <-q.ended:
			}
		}
	}()
	q.senders = append(q.senders, out)
	return out.Confirm(false)
}

func (q *rabbitQueue) send(ctx context.Context, caller int) error {
	confirmed, err := q.senders[caller].PublishWithDeferredConfirmWithContext(ctx, "", "queue", true, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(queueMessage)})
	if err != nil {
		return err
	}
	if ok, err := confirmed.WaitContext(ctx); err != nil || !ok {
		return fmt.Errorf("the message was not confirmed: %w", err)
	}
	return nil
}

func (q *rabbitQueue) take(ctx context.Context, _ int) error {
	select {
	case got := <-q.received:
		return got.Ack(false)
	case <-ctx.Done():
		return ctx.Err()
	}
}
