package journal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
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

// A streamBlob keeps the data of a blob as chunks in a stream, and where they are in an index, which is a bucket of its own. The
// entry of the index is written last, so that a blob is there whole or as it was before.
//
//	rialto.blob.BUCKET.ID.0 … n    the chunks; ID is made anew for each Put
//	index: name → version, ID, sequence number of the first chunk, chunks, bytes, hash of the data
type streamBlob struct {
	store           *store
	label           string
	stream, subject string
	index           *streamKV
}

var _ Blob = (*streamBlob)(nil)

func (s *store) openBlob(ctx context.Context, bucket string) (*streamBlob, error) {
	b := &streamBlob{store: s, label: "blobs " + bucket, stream: "rialto-blob-" + bucket, subject: "rialto.blob." + bucket + "."}
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
	entries, err := b.index.List(ctx, "")
	if err != nil {
		return err
	}
	used := make(map[string]bool)
	for _, e := range entries {
		if m, err := readManifest(e.Value); err == nil {
			used[m.id] = true
		}
	}
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
		if err := b.remove(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// remove takes the chunks of an id away.
func (b *streamBlob) remove(ctx context.Context, id string) error {
	return b.store.purge(ctx, b.stream, jetstream.WithPurgeSubject(b.subject+id+".>"))
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
	was, err := b.manifest(ctx, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	m, err := b.write(ctx, data)
	if err == nil {
		_, err = b.index.Put(ctx, name, m.append(nil))
	}
	if err != nil {
		if !errors.Is(err, ErrUnknown) {
			b.clean(ctx, m.id)
		}
		return err
	}
	if was.id != "" {
		b.clean(ctx, was.id)
	}
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

// clean removes chunks that nothing refers to any more. What it cannot remove, the next opening sweeps.
func (b *streamBlob) clean(ctx context.Context, id string) {
	if err := b.remove(ctx, id); err != nil {
		b.store.opts.Logger.Warn("chunks of a blob were not removed", "bucket", b.label, "err", err)
	}
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

func (b *streamBlob) manifest(ctx context.Context, name string) (manifest, error) {
	e, err := b.index.Get(ctx, name)
	if err != nil {
		return manifest{}, err
	}
	m, err := readManifest(e.Value)
	if err != nil {
		return manifest{}, b.broken(name, err.Error())
	}
	return m, nil
}

// read collects the chunks of a blob.
func (b *streamBlob) read(ctx context.Context, name string, m manifest) (data []byte, err error) {
	err = b.store.insist(ctx, func() error {
		data, err = b.collect(ctx, m)
		switch {
		case err == errNone:
			return b.broken(name, "chunks are missing")
		case err != nil:
			return err
		case uint64(len(data)) != m.bytes || hashOf(data) != m.hash:
			return b.broken(name, fmt.Sprintf("it has %d bytes instead of %d, or others", len(data), m.bytes))
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
	m, err := b.manifest(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if _, damaged := errors.AsType[*DamageError](err); err != nil && !damaged {
		return err
	}
	if err := b.index.Delete(ctx, name, 0); err != nil {
		return err
	}
	if m.id != "" {
		b.clean(ctx, m.id)
	}
	return nil
}

func (b *streamBlob) List(ctx context.Context, prefix string) ([]string, error) {
	entries, err := b.index.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Key)
	}
	return names, nil
}

func (b *streamBlob) broken(name, reason string) error {
	return &DamageError{Log: b.label + ", " + strconv.Quote(name) + ",", Reason: reason}
}

// A manifest says where the data of a blob is.
type manifest struct {
	id     string
	first  uint64 // sequence number of the first chunk
	chunks uint64
	bytes  uint64
	hash   Hash // of the data
}

const manifestVersion = 1

func (m manifest) append(dst []byte) []byte {
	dst = append(dst, manifestVersion)
	dst = record.AppendString(dst, m.id)
	dst = record.AppendUint(dst, m.first)
	dst = record.AppendUint(dst, m.chunks)
	dst = record.AppendUint(dst, m.bytes)
	return append(dst, m.hash[:]...)
}

func readManifest(b []byte) (manifest, error) {
	r := record.NewReader(b)
	if v := r.Byte(); v != manifestVersion {
		return manifest{}, fmt.Errorf("its index entry has version %d, and this program reads %d", v, manifestVersion)
	}
	m := manifest{id: r.String(), first: r.Uint(), chunks: r.Uint(), bytes: r.Uint()}
	if err := r.Err(); err != nil {
		return manifest{}, err
	}
	if r.Len() != hashSize || m.bytes > maxBlob {
		return manifest{}, errors.New("its index entry is cut short")
	}
	m.hash = Hash(r.Rest())
	return m, nil
}
