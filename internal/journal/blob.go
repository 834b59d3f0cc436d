package journal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rialto-events/rialto/internal/record"
)

// maxChunk is how much of a blob stands in one message; less if the server takes less.
const maxChunk = 4 << 20

// orphanAge is how old chunks must be that nobody refers to before they are removed from a cluster, where somebody else may
// be in the middle of a Put.
const orphanAge = time.Hour

// blobStream is what the names of streams of blobs begin with.
const blobStream = "rialto-blob-"

// A streamBlob keeps the data of a blob as chunks in a stream, and where they are in an index, which is a bucket of its
// own. The index is written last, so that a blob is there whole or as it was before.
//
//	rialto.blob.BUCKET.ID.0 … n    the chunks; ID is made anew for each Put
//	index: page → the manifests of all blobs whose names have that hash
//
// A name is not a key of the index: names come and go without end, and a bucket remembers every key that it ever had.
//
// Chunks of a blob that was deleted are purged by their subject. The server cannot do that with one that it cannot read, and then keeps
// files for what it remembers of the others. So whenever nothing is left that the index names, the stream is emptied as a whole.
type streamBlob struct {
	store           *store
	label           string
	stream, subject string
	index           *streamKV

	writing sync.RWMutex // held by who writes chunks, which are in no index yet, and wholly by who empties the stream
	mu      sync.Mutex
	named   map[string]bool // IDs that the index names, or may name once a write of unknown outcome is over
}

var _ Blob = (*streamBlob)(nil)

func (s *store) openBlob(ctx context.Context, bucket string) (*streamBlob, error) {
	b := &streamBlob{store: s, label: "blobs " + bucket, stream: blobStream + bucket, subject: "rialto.blob." + bucket + "."}
	index, err := s.openKV(ctx, b.label, "rialto-index-"+bucket, "rialto.index."+bucket)
	if err != nil {
		return nil, err
	}
	b.index = index
	if err := b.open(ctx); err != nil {
		_ = index.closeMark(ctx)
		return nil, fmt.Errorf("open %s: %w", b.label, err)
	}
	return b, nil
}

func (b *streamBlob) open(ctx context.Context) error {
	cfg := jetstream.StreamConfig{Name: b.stream, Subjects: []string{b.subject + ">"}, MaxMsgSize: maxChunk + messageOverhead}
	if _, err := b.store.ensureStream(ctx, cfg, true); err != nil {
		return err
	}
	return b.sweep(ctx)
}

// sweep removes chunks that an interrupted Put has left.
func (b *streamBlob) sweep(ctx context.Context) error {
	blobs, err := b.all(ctx)
	if err != nil {
		return err
	}
	b.named = make(map[string]bool)
	for _, m := range blobs {
		b.named[m.id] = true
	}
	used := maps.Clone(b.named)
	st, err := b.store.js.Stream(ctx, b.stream)
	if err != nil {
		return b.store.failed(err)
	}
	info, err := st.Info(ctx, jetstream.WithSubjectFilter(b.subject+">"))
	if err != nil {
		return b.store.failed(err)
	}
	now := b.store.opts.Clock.Now()
	for subject := range info.State.Subjects {
		id, _, _ := strings.Cut(strings.TrimPrefix(subject, b.subject), ".")
		if used[id] || !b.store.owned && now.Sub(bornAt(id)) < orphanAge {
			continue
		}
		used[id] = true // once is enough
		b.clean(ctx, id)
	}
	if info.State.Msgs > 0 {
		b.empty(ctx)
	}
	return nil
}

// clean removes chunks that nothing refers to any more. What it cannot remove, the next opening sweeps.
func (b *streamBlob) clean(ctx context.Context, id string) {
	if err := b.store.purge(ctx, b.stream, jetstream.WithPurgeSubject(b.subject+id+".>")); err != nil {
		b.store.opts.Logger.Warn("chunks of a blob were not removed", "bucket", b.label, "err", err)
	}
}

// name notes that the index names an ID, or may.
func (b *streamBlob) name(id string) {
	if !b.store.owned {
		return // others name some, too
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.named[id] = true
}

// drop removes the chunks of an ID that the index does not name, and never will.
func (b *streamBlob) drop(ctx context.Context, id string) {
	if id == "" {
		return
	}
	b.mu.Lock()
	delete(b.named, id)
	b.mu.Unlock()
	b.clean(ctx, id)
}

// empty removes everything from the stream, also what cannot be read, if no blob is left. In a cluster somebody else may be in the middle
// of a Put, and nothing is done.
func (b *streamBlob) empty(ctx context.Context) {
	if !b.store.owned || !b.writing.TryLock() {
		return // whoever writes now leaves a blob
	}
	defer b.writing.Unlock()
	b.mu.Lock()
	n := len(b.named)
	b.mu.Unlock()
	if n > 0 {
		return
	}
	if err := b.store.purge(ctx, b.stream); err != nil {
		b.store.opts.Logger.Warn("what is left of blobs was not removed", "bucket", b.label, "err", err)
	}
}

// all reads the whole index.
func (b *streamBlob) all(ctx context.Context) (map[string]manifest, error) {
	pages, err := b.index.List(ctx, "")
	if err != nil {
		return nil, err
	}
	blobs := make(map[string]manifest)
	for _, e := range pages {
		if err := readPage(e.Value, blobs); err != nil {
			return nil, b.broken("page "+e.Key+" of the index", err.Error())
		}
	}
	return blobs, nil
}

// page reads the page of the index that a name belongs to. A page that is not there has revision 0.
func (b *streamBlob) page(ctx context.Context, name string) (blobs map[string]manifest, rev uint64, err error) {
	blobs = make(map[string]manifest)
	e, err := b.index.Get(ctx, pageOf(name))
	if errors.Is(err, ErrNotFound) {
		return blobs, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if err := readPage(e.Value, blobs); err != nil {
		return nil, 0, b.broken("page "+e.Key+" of the index", err.Error())
	}
	return blobs, e.Rev, nil
}

// manifest says where the data of a blob is.
func (b *streamBlob) manifest(ctx context.Context, name string) (manifest, error) {
	blobs, _, err := b.page(ctx, name)
	if err != nil {
		return manifest{}, err
	}
	m, ok := blobs[name]
	if !ok {
		return manifest{}, ErrNotFound
	}
	return m, nil
}

// edit changes the manifest of a name in the index; nil removes it. It returns the one that was there, if any.
func (b *streamBlob) edit(ctx context.Context, name string, to *manifest) (was manifest, err error) {
	for range maxTries {
		blobs, rev, err := b.page(ctx, name)
		if err != nil {
			return manifest{}, err
		}
		was, had := blobs[name]
		switch {
		case to != nil:
			blobs[name] = *to
		case !had:
			return manifest{}, nil
		default:
			delete(blobs, name)
		}
		page := appendPage(nil, blobs)
		if rev == 0 {
			_, err = b.index.Create(ctx, pageOf(name), page)
		} else {
			_, err = b.index.Update(ctx, pageOf(name), page, rev)
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrExists) {
			return was, err
		}
	}
	return manifest{}, ErrConflict
}

// newID makes an id that says when it was made.
func newID(now time.Time) string {
	var random [8]byte
	rand.Read(random[:])
	return fmt.Sprintf("%x-%s", now.Unix(), hex.EncodeToString(random[:]))
}

// bornAt is when an id was made.
func bornAt(id string) time.Time {
	at, _, _ := strings.Cut(id, "-")
	sec, err := strconv.ParseInt(at, 16, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(sec, 0)
}

func (b *streamBlob) Put(ctx context.Context, name string, data []byte) error {
	if err := b.put(ctx, name, data); err != nil {
		return fmt.Errorf("put %q into %s: %w", name, b.label, err)
	}
	return nil
}

func (b *streamBlob) put(ctx context.Context, name string, data []byte) error {
	if err := checkKey(name); err != nil {
		return err
	}
	if len(data) > maxBlob {
		return ErrTooLarge
	}
	b.writing.RLock()
	defer b.writing.RUnlock()
	m, err := b.write(ctx, data)
	var was manifest
	if err == nil {
		b.name(m.id)
		was, err = b.edit(ctx, name, &m)
	}
	if err != nil {
		if !errors.Is(err, ErrUnknown) {
			b.drop(ctx, m.id)
		}
		return err
	}
	b.drop(ctx, was.id)
	return nil
}

// write stores the chunks.
func (b *streamBlob) write(ctx context.Context, data []byte) (manifest, error) {
	m := manifest{id: newID(b.store.opts.Clock.Now()), bytes: uint64(len(data)), hash: hashOf(data)}
	size := min(maxChunk, b.store.limit)
	for len(data) > 0 {
		n := min(size, len(data))
		msg := nats.NewMsg(b.subject + m.id + "." + strconv.FormatUint(m.chunks, 10))
		msg.Data = data[:n]
		seq, err := b.store.publish(ctx, msg)
		if err != nil {
			return m, err
		}
		if m.chunks == 0 {
			m.first = seq
		}
		m.chunks++
		data = data[n:]
	}
	return m, nil
}

func (b *streamBlob) Get(ctx context.Context, name string) ([]byte, error) {
	var data []byte
	m, err := b.manifest(ctx, name)
	for err == nil {
		if data, err = b.read(ctx, name, m); err == nil {
			return data, nil
		}
		// It may have been replaced or deleted under our eyes.
		now, merr := b.manifest(ctx, name)
		if merr == nil && now.id == m.id {
			break
		}
		m, err = now, merr
	}
	return nil, fmt.Errorf("get %q from %s: %w", name, b.label, err)
}

// read collects the chunks of a blob.
func (b *streamBlob) read(ctx context.Context, name string, m manifest) (data []byte, err error) {
	err = b.store.insist(ctx, func() error {
		data, err = b.collect(ctx, m)
		switch {
		case err == errNone:
			return b.broken(strconv.Quote(name), "chunks are missing")
		case err != nil:
			return err
		case uint64(len(data)) != m.bytes || hashOf(data) != m.hash:
			return b.broken(strconv.Quote(name), fmt.Sprintf("it has %d bytes instead of %d, or others", len(data), m.bytes))
		}
		return nil
	})
	return data, err
}

func (b *streamBlob) collect(ctx context.Context, m manifest) ([]byte, error) {
	data := make([]byte, 0, m.bytes)
	for seq, left := m.first, m.chunks; left > 0; {
		began := left
		_, err := b.store.batch(ctx, b.stream, getRequest{Seq: seq, NextFor: b.subject + m.id + ".>"}, func(msg *nats.Msg) error {
			if left > 0 && uint64(len(data)+len(msg.Data)) <= m.bytes {
				data = append(data, msg.Data...)
				left--
			}
			seq = sequenceOf(msg) + 1
			return nil
		})
		if err != nil {
			return nil, err
		}
		if left == began {
			return nil, errNone
		}
	}
	return data, nil
}

func (b *streamBlob) Delete(ctx context.Context, name string) error {
	was, err := b.edit(ctx, name, nil)
	if err != nil {
		return fmt.Errorf("delete %q from %s: %w", name, b.label, err)
	}
	if was.id != "" {
		b.drop(ctx, was.id)
		b.empty(ctx)
	}
	return nil
}

func (b *streamBlob) List(ctx context.Context, prefix string) ([]string, error) {
	blobs, err := b.all(ctx)
	if err != nil {
		return nil, fmt.Errorf("list %q of %s: %w", prefix, b.label, err)
	}
	var names []string
	for name := range blobs {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (b *streamBlob) broken(part, reason string) error {
	return &DamageError{Log: b.label + ", " + part + ",", Reason: reason}
}

// A manifest says where the data of a blob is.
type manifest struct {
	id     string
	first  uint64 // sequence number of the first chunk
	chunks uint64
	bytes  uint64
	hash   Hash // of the data
}

// A page of the index: version, number of blobs, and for each its name, ID, sequence number of the first chunk, number of
// chunks, bytes, and hash.
const pageVersion = 1

// pageOf is the key of the page, one of 256, that a name belongs to.
func pageOf(name string) string {
	h := hashOf([]byte(name))
	return hex.EncodeToString(h[:1])
}

func appendPage(dst []byte, blobs map[string]manifest) []byte {
	dst = append(dst, pageVersion)
	dst = record.AppendUint(dst, uint64(len(blobs)))
	for _, name := range slices.Sorted(maps.Keys(blobs)) {
		m := blobs[name]
		dst = record.AppendString(dst, name)
		dst = record.AppendString(dst, m.id)
		dst = record.AppendUint(dst, m.first)
		dst = record.AppendUint(dst, m.chunks)
		dst = record.AppendUint(dst, m.bytes)
		dst = append(dst, m.hash[:]...)
	}
	return dst
}

// readPage adds the blobs of a page to those.
func readPage(b []byte, blobs map[string]manifest) error {
	r := record.NewReader(b)
	if v := r.Byte(); v != pageVersion {
		return fmt.Errorf("it has version %d, and this program reads %d", v, pageVersion)
	}
	for range r.Count() {
		name := r.String()
		m := manifest{id: r.String(), first: r.Uint(), chunks: r.Uint(), bytes: r.Uint()}
		for i := range m.hash {
			m.hash[i] = r.Byte()
		}
		if r.Err() == nil && m.bytes > maxBlob {
			return fmt.Errorf("a blob has %d bytes", m.bytes)
		}
		blobs[name] = m
	}
	return r.Err()
}
