package journal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/rialto-events/rialto"
)

const (
	startWait   = 60 * time.Second       // for the server to recover its streams
	maxMessage  = MaxRecord + 64<<10     // bytes of a message that the server takes
	maxMemory   = 64 << 20               // bytes that the server may use for streams in memory; we make none
	relaxedSync = time.Second            // how often a relaxed journal syncs
	relaxedLag  = 5 * relaxedSync        // by how much its high-water marks are late: what is older is synced
	roomEvery   = 250 * time.Millisecond // how often a full disk is looked at again
	roomMore    = 1 << 20                // bytes beyond the reserve that must be free before writes are taken again
	retryEvery  = time.Second            // how often a server that does not start is started again
	quotaEvery  = time.Second            // how often the quota is looked at
	spareShare  = 16                     // one part in so many of the quota is left to writes by which something goes
)

// An embedded journal has its JetStream server in this process, without a port, and its data in a folder.
//
// A server that ran into a write error never writes to that stream again. The journal then replaces it, under the connection
// that the logs use, as soon as the disk has room: until then every write is refused at once.
type embedded struct {
	*store
	folder *folder
	config *server.Options               // of the server; this and spared are the nurse's once there is a server
	spared int64                         // bytes of the disk that the quota of the server left free
	server atomic.Pointer[server.Server] // nil while it is being replaced

	occupied atomic.Int64 // bytes that the server has stored, when it was last asked
	most     atomic.Int64 // bytes that it may store

	ailing  chan error // has room for one: the server may be broken
	quit    chan struct{}
	nurse   sync.WaitGroup
	once    sync.Once
	stopped chan error // has room for one: how shutting down ended
}

// OpenEmbedded opens the journal in a folder, which it makes if it is not there. One process can have it open at a time.
func OpenEmbedded(ctx context.Context, dir string, opts Options) (Journal, error) {
	if opts.Replicas > 1 {
		return nil, rialto.Errorf(rialto.Invalid, "An embedded journal keeps one replica, not %d.", opts.Replicas)
	}
	d, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	e := &embedded{store: newStore(opts), folder: d, ailing: make(chan error, 1), quit: make(chan struct{})}
	e.owned = true
	e.room, e.suspect, e.marker = d.room, e.alarm, e.markOf
	if err := e.start(ctx); err != nil {
		e.stopServer()
		return nil, errors.Join(fmt.Errorf("start the journal in %s: %w", dir, err), d.close())
	}
	if err := e.connect("", nats.InProcessServer(e), nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0)); err != nil {
		e.stopServer()
		return nil, errors.Join(fmt.Errorf("connect to the journal in %s: %w", dir, err), d.close())
	}
	e.nurse.Go(e.watch)
	return e, nil
}

func (e *embedded) markOf(of string) marker {
	m := &fileMark{path: filepath.Join(e.folder.path, "marks", of+".mark"), clock: e.opts.Clock}
	if e.opts.Relaxed {
		m.lag = relaxedLag
	}
	return m
}

// start starts a server on the folder.
func (e *embedded) start(ctx context.Context) error {
	if err := e.folder.removeForgotten(); err != nil {
		e.opts.Logger.Warn("space of deleted blobs may not be given back", "err", err)
	}
	quota, spared, err := e.folder.quota(e.opts.MaxBytes)
	if err != nil {
		return err
	}
	e.spared = spared
	e.config = &server.Options{
		ServerName: "rialto", DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: e.folder.path, DisableJetStreamBanner: true,
		SyncAlways: !e.opts.Relaxed, SyncInterval: relaxedSync,
		MaxPayload: maxMessage, JetStreamMaxMemory: maxMemory, JetStreamMaxStore: quota,
		JetStreamLimits: server.JSLimitOpts{DefaultMaxConsumers: -1},
	}
	s, err := server.NewServer(e.config.Clone())
	if err != nil {
		return err
	}
	said := &serverLog{logger: e.opts.Logger, suspect: e.alarm}
	s.SetLoggerV2(said, false, false, false)
	e.server.Store(s)
	s.Start()
	wait := startWait
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline))
	}
	if !s.ReadyForConnections(wait) || !s.JetStreamEnabled() {
		return fmt.Errorf("the JetStream server did not become ready: %w", said.reason())
	}
	return nil
}

// stopServer stops the server and waits until it has.
func (e *embedded) stopServer() {
	if s := e.server.Swap(nil); s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// InProcessConn connects to whatever server is running: the connection of the journal outlives a server.
func (e *embedded) InProcessConn() (net.Conn, error) {
	s := e.server.Load()
	if s == nil {
		return nil, errors.New("the JetStream server is being replaced")
	}
	return s.InProcessConn()
}

// alarm reports that the server may be broken. It never blocks.
func (e *embedded) alarm(err error) {
	select {
	case e.ailing <- err:
	default:
	}
}

// watch replaces the server whenever it is found broken, and lets it use more of a disk on which there is more.
func (e *embedded) watch() {
	e.measure()
	look := e.opts.Clock.NewTimer(quotaEvery)
	defer look.Stop()
	for {
		select {
		case <-e.quit:
			return
		case <-look.C():
			if e.measure(); e.Room() != nil {
				e.widen()
			}
			look.Reset(quotaEvery)
		case suspicion := <-e.ailing:
			if err := e.ailment(suspicion); err != nil {
				e.replace(err)
			}
		}
	}
}

// measure asks the server how much it occupies.
func (e *embedded) measure() {
	s := e.server.Load()
	if s == nil {
		return
	}
	e.written.Store(0) // what is written from here on may be counted twice, and is never left out
	if z, err := s.Jsz(nil); err == nil {
		e.occupied.Store(int64(z.Store))
		e.most.Store(z.Config.MaxStore)
	}
}

// Room keeps a part of the quota for writes by which something goes.
func (e *embedded) Room() error {
	most := e.most.Load()
	if most == 0 || e.occupied.Load()+e.written.Load() <= most-most/spareShare {
		return nil
	}
	return errCrowded
}

var errCrowded = unavailable(fmt.Errorf("%w: what is left of the quota is for what makes room", ErrFull),
	"The journal occupies nearly all that it may of its disk, and takes nothing more until something is deleted or has arrived.")

// ailment is what is wrong with the server, if the suspicion is right.
func (e *embedded) ailment(suspicion error) error {
	if errors.Is(suspicion, errNoAck) {
		return suspicion
	}
	s := e.server.Load()
	if s == nil {
		return nil
	}
	if h := s.Healthz(nil); h.Error != "" {
		return errors.New(h.Error)
	}
	return nil
}

// widen raises a quota that was set when the disk had less room than now: others have removed files, or the volume has grown.
func (e *embedded) widen() {
	s := e.server.Load()
	quota, spared, err := e.folder.quota(e.opts.MaxBytes)
	if s == nil || err != nil || quota < e.config.JetStreamMaxStore+roomMore || spared*10 < e.spared+roomMore {
		return // what is free is what was to be left
	}
	wider := e.config.Clone()
	wider.JetStreamMaxStore = quota
	if err := s.ReloadOptions(wider.Clone()); err != nil {
		e.opts.Logger.Error("journal cannot use more of the disk before it is started again", "err", err)
		return
	}
	e.config, e.spared = wider, spared
	e.opts.Logger.Info("journal takes writes again")
}

// Health also knows whether the quota is used up.
func (e *embedded) Health() error {
	if err := e.store.Health(); err != nil {
		return err
	}
	s := e.server.Load()
	if s == nil {
		return nil // it is being replaced, and the gate has just been opened or shut
	}
	if z, err := s.Jsz(nil); err == nil && z.Store > uint64(z.Config.MaxStore) {
		return errNoQuota
	}
	return nil
}

// replace shuts the gate, waits for room on the disk, and puts a new server in the place of the old one. Then every log is
// looked at again: a record whose write failed is there now, or it never will be.
func (e *embedded) replace(why error) {
	e.opts.Logger.Error("journal is broken and takes no writes", "err", why)
	e.gate.shut(unavailable(why, "The journal takes no writes at present."))
	if !e.waitUntil(roomEvery, func() error { return e.folder.roomFor(roomMore) }) {
		return
	}
	e.stopServer()
	ctx := context.Background()
	restarted := e.waitUntil(retryEvery, func() error {
		e.stopServer()
		if err := e.folder.settle(); err != nil {
			return err
		}
		if err := e.start(ctx); err != nil {
			return err
		}
		return e.reconnected(ctx)
	})
	if !restarted {
		return
	}
	e.recheck(ctx)
	e.forgetAlarm()
	e.gate.open()
	e.opts.Logger.Info("journal takes writes again")
}

// waitUntil tries until it succeeds, or the journal is closed.
func (e *embedded) waitUntil(every time.Duration, try func() error) bool {
	var said error
	for {
		err := try()
		if err == nil {
			return true
		}
		if said == nil || said.Error() != err.Error() {
			e.opts.Logger.Warn("journal waits", "err", err)
			said = err
		}
		t := e.opts.Clock.NewTimer(every)
		select {
		case <-t.C():
		case <-e.quit:
			t.Stop()
			return false
		}
	}
}

// reconnected waits for the connection to find the new server.
func (e *embedded) reconnected(ctx context.Context) error {
	changed := e.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer e.nc.RemoveStatusListener(changed)
	ctx, cancel := context.WithTimeout(ctx, replyWait)
	defer cancel()
	for e.nc.Status() != nats.CONNECTED {
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("connect to the new server: %w", ctx.Err())
		case <-e.quit:
			return ErrClosed
		}
	}
	return e.nc.FlushWithContext(ctx)
}

func (e *embedded) recheck(ctx context.Context) {
	e.opening.Lock()
	defer e.opening.Unlock()
	for l := range e.logs.all {
		l.recheck(ctx)
	}
	for kv := range e.kvs.all {
		kv.recheck(ctx)
	}
	for b := range e.blobs.all {
		b.index.recheck(ctx)
	}
}

// forgetAlarm drops what was reported about the old server.
func (e *embedded) forgetAlarm() {
	select {
	case <-e.ailing:
	default:
	}
}

// Close ends calls in progress, the connection, the server, the marks and the lock, in this order. If ctx ends before a disk
// that hangs lets the server stop, Close returns, and the folder stays locked.
func (e *embedded) Close(ctx context.Context) error {
	e.once.Do(func() {
		e.stopped = make(chan error, 1)
		go func() { e.stopped <- e.shutDown() }()
	})
	select {
	case err := <-e.stopped:
		e.stopped <- nil // for whoever closes once more
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *embedded) shutDown() error {
	e.gate.shut(ErrClosed)
	close(e.quit)
	e.nurse.Wait()
	e.nc.Close()
	e.stopServer()
	if e.opts.Relaxed {
		// The marks that were held back may only be written if what they speak of is on the disk.
		if err := e.folder.sync(); err != nil {
			return errors.Join(err, e.folder.close())
		}
	}
	return errors.Join(e.closeMarks(context.Background()), e.folder.close())
}
