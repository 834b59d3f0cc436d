package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A streamKV is a bucket on a JetStream stream that keeps the last message of each subject; a subject is a key, and the
// sequence number of a message is its revision. Every message is checked by itself ([item]). That no key is missing shows
// in the mark of the bucket, which has the hashes of all live items, xor-ed: it is moved by every write, and compared when
// the bucket is opened. A bucket that others write to has no mark and relies on its replicas.
//
// A deletion is a message, too, and stays for ever. If it expired or were removed, a server that has to rebuild its index,
// as after kill -9, would find the message before it, which it no longer knows to be replaced, and the key would be back.
type streamKV struct {
	store           *store
	label           string // such as "bucket catalog"
	stream, subject string
	marker          marker // nil if there is no mark

	mu    sync.Mutex // held during a write, so that at most one is not in the mark
	mark  mark
	doubt bool // the outcome of the last write is unknown: look before the next

	damage atomic.Pointer[DamageError] // found when the server was replaced; every later call returns it
}

var _ KV = (*streamKV)(nil)

func (s *store) openKV(ctx context.Context, label, stream, subject string) (*streamKV, error) {
	kv := &streamKV{store: s, label: label, stream: stream, subject: subject + "."}
	if s.owned {
		kv.marker = s.marker(stream)
	}
	if err := kv.open(ctx); err != nil {
		_ = kv.closeMark(ctx)
		return nil, fmt.Errorf("open %s: %w", label, err)
	}
	return kv, nil
}

func (kv *streamKV) open(ctx context.Context) error {
	cfg := jetstream.StreamConfig{
		Name: kv.stream, Subjects: []string{kv.subject + ">"}, MaxMsgsPerSubject: 1,
		MaxMsgSize: MaxValue + itemOverhead + maxKey + messageOverhead,
	}
	if kv.marker == nil {
		_, err := kv.store.ensureStream(ctx, cfg, true)
		return err
	}
	m, err := kv.store.attach(ctx, cfg, kv.marker, kv.broken)
	if err != nil {
		return err
	}
	kv.mu.Lock()
	defer kv.mu.Unlock()
	kv.mark = m
	return kv.check(ctx)
}

// check compares all items with the mark. One write may not be in it; what that changes is. If the mark is late, there may
// be more, and then the items vouch for themselves alone. kv.mu is held.
func (kv *streamKV) check(ctx context.Context) error {
	st, err := kv.store.state(ctx, kv.stream)
	if err != nil {
		return err
	}
	live, err := kv.scan(ctx, "")
	if err != nil {
		return err
	}
	var sum Hash
	for _, it := range live {
		sum.flip(it.sum())
	}
	m := kv.mark
	ahead := int64(st.LastSeq) - int64(m.last)
	if ahead == 1 {
		m.hash.flip(m.delta)
	}
	switch {
	case ahead < 0:
		return kv.broken(st.LastSeq+1, m.last, "the last changes are missing")
	case ahead > 0 && m.late:
	case ahead > 1:
		return kv.broken(m.last+1, st.LastSeq, "its high-water mark is too old")
	case sum != m.hash:
		return kv.broken(1, st.LastSeq, "entries are missing, or are not the newest")
	}
	kv.mark, kv.doubt = mark{last: st.LastSeq, hash: sum}, false
	return kv.marker.keep(ctx, kv.mark)
}

func (h *Hash) flip(by Hash) {
	for i := range h {
		h[i] ^= by[i]
	}
}

func (kv *streamKV) Get(ctx context.Context, key string) (Entry, error) {
	if err := checkKey(key); err != nil {
		return Entry{}, err
	}
	it, err := kv.get(ctx, key)
	switch {
	case err != nil:
		return Entry{}, fmt.Errorf("get %q from %s: %w", key, kv.label, err)
	case !it.live():
		return Entry{}, ErrNotFound
	}
	return it.entry(), nil
}

// get returns the item of a key, which may be a deletion, or the zero item.
func (kv *streamKV) get(ctx context.Context, key string) (it item, err error) {
	if d := kv.damage.Load(); d != nil {
		return item{}, d
	}
	err = kv.store.insist(ctx, func() error {
		it, err = kv.tryGet(ctx, key)
		return err
	})
	return it, err
}

func (kv *streamKV) tryGet(ctx context.Context, key string) (item, error) {
	subject := kv.subject + encodeKey(key)
	msg, err := kv.store.get(ctx, kv.stream, getRequest{LastFor: subject})
	if err == errNone {
		if n, err := kv.count(ctx, subject); err != nil || n == 0 {
			return item{}, err
		}
		// It came meanwhile, or the server cannot read it.
		msg, err = kv.store.get(ctx, kv.stream, getRequest{LastFor: subject})
		if err == errNone {
			return item{}, kv.broken(0, 0, fmt.Sprintf("the entry %q cannot be read", key))
		}
	}
	if err != nil {
		return item{}, err
	}
	return kv.item(msg)
}

// item decodes and checks a message.
func (kv *streamKV) item(msg *nats.Msg) (item, error) {
	seq := sequenceOf(msg)
	it, err := readItem(msg.Data)
	if err == nil && kv.subject+encodeKey(it.key) != msg.Header.Get(jetstream.SubjectHeader) {
		err = fmt.Errorf("it is of the key %q", it.key)
	}
	if err != nil {
		reason := fmt.Sprintf("the entry in %s cannot be trusted: %v", msg.Header.Get(jetstream.SubjectHeader), err)
		return item{}, kv.broken(seq, seq, reason)
	}
	it.rev = seq
	return it, nil
}

// count is how many keys have messages on the subject, which may have wildcards.
func (kv *streamKV) count(ctx context.Context, subject string) (int, error) {
	st, err := kv.store.js.Stream(ctx, kv.stream)
	if err != nil {
		return 0, kv.store.failed(err)
	}
	info, err := st.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return 0, kv.store.failed(err)
	}
	return len(info.State.Subjects), nil
}

func (kv *streamKV) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return kv.change(ctx, item{key: key, value: value}, func(now item) (uint64, error) {
		if now.live() {
			return 0, ErrExists
		}
		return now.rev, nil
	})
}

func (kv *streamKV) Update(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	return kv.change(ctx, item{key: key, value: value}, func(now item) (uint64, error) { return now.expect(rev) })
}

func (kv *streamKV) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	return kv.change(ctx, item{key: key, value: value}, func(now item) (uint64, error) { return now.rev, nil })
}

func (kv *streamKV) Delete(ctx context.Context, key string, rev uint64) error {
	_, err := kv.change(ctx, item{key: key, deleted: true}, func(now item) (uint64, error) {
		if rev != 0 {
			return now.expect(rev)
		}
		if !now.live() {
			return 0, errNothing
		}
		return now.rev, nil
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// maxTries is how often a write is tried that others keep from happening.
const maxTries = 10

// change writes an item in the place of the one that is there, if expect agrees with that: it returns the revision which the
// server shall find. Once begun, a write is not called off.
func (kv *streamKV) change(ctx context.Context, it item, expect func(now item) (uint64, error)) (uint64, error) {
	rev, err := kv.tryChange(context.WithoutCancel(ctx), it, expect)
	if err != nil {
		return 0, fmt.Errorf("change %q in %s: %w", it.key, kv.label, err)
	}
	return rev, nil
}

func (kv *streamKV) tryChange(ctx context.Context, it item, expect func(now item) (uint64, error)) (uint64, error) {
	if err := checkEntry(it.key, it.value); err != nil {
		return 0, err
	}
	data := it.append(nil)
	if len(data) > kv.store.limit {
		return 0, ErrTooLarge
	}
	kv.mu.Lock()
	defer kv.mu.Unlock()
	for try := 1; ; try++ {
		if err := kv.store.gate.refusal(); err != nil {
			return 0, err
		}
		if kv.doubt {
			if err := kv.check(ctx); err != nil {
				return 0, err
			}
		}
		now, err := kv.get(ctx, it.key)
		if err != nil {
			return 0, err
		}
		rev, err := expect(now)
		if err != nil {
			return 0, err
		}
		got, err := kv.write(ctx, now, it, data, rev)
		if !errors.Is(err, ErrConflict) || try == maxTries {
			return got, err
		}
		// What was read is old already, or a replica was behind. Whether that matters, expect decides.
		if err := kv.store.pause(ctx, time.Duration(try)*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// write publishes an item. What it changes stands in the mark before it is published, and on the disk, unless the journal is
// relaxed: otherwise a bucket could not be told from a damaged one after a power failure.
func (kv *streamKV) write(ctx context.Context, now, it item, data []byte, rev uint64) (uint64, error) {
	msg := nats.NewMsg(kv.subject + encodeKey(it.key))
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(rev, 10))
	msg.Data = data
	if kv.marker == nil {
		return kv.store.publish(ctx, msg)
	}
	kv.mark.delta = now.sum()
	kv.mark.delta.flip(it.sum())
	announce := kv.marker.pin
	if kv.store.opts.Relaxed {
		announce = kv.marker.keep
	}
	if err := announce(ctx, kv.mark); err != nil {
		return 0, unavailable(err, "The journal takes no writes at present.")
	}
	got, err := kv.store.publish(ctx, msg)
	if err != nil {
		kv.doubt = errors.Is(err, ErrUnknown)
		return 0, err
	}
	kv.mark.last = got
	kv.mark.hash.flip(kv.mark.delta)
	kv.mark.delta = Hash{}
	if err := kv.marker.keep(ctx, kv.mark); err != nil {
		kv.store.opts.Logger.Warn("high-water mark was not kept", "bucket", kv.label, "err", err)
	}
	return got, nil
}

func (kv *streamKV) List(ctx context.Context, prefix string) ([]Entry, error) {
	items, err := kv.scan(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list %q of %s: %w", prefix, kv.label, err)
	}
	var list []Entry
	for _, it := range items {
		list = append(list, it.entry())
	}
	return list, nil
}

// scan returns the live items of a prefix, sorted by key.
func (kv *streamKV) scan(ctx context.Context, prefix string) ([]item, error) {
	if d := kv.damage.Load(); d != nil {
		return nil, d
	}
	items := make(map[string]item)
	err := kv.store.insist(ctx, func() error {
		clear(items)
		return kv.collect(ctx, kv.subject+encodePrefix(prefix), func(it item) {
			if strings.HasPrefix(it.key, prefix) {
				items[it.key] = it // a later one is newer
			}
		})
	})
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(items, func(_ string, it item) bool { return !it.live() })
	return slices.SortedFunc(maps.Values(items), func(a, b item) int { return strings.Compare(a.key, b.key) }), nil
}

// collect reads all messages of a subject, which has wildcards.
func (kv *streamKV) collect(ctx context.Context, subject string, yield func(item)) error {
	next, pending := uint64(1), uint64(0)
	for first := true; first || pending > 0; first = false {
		left, err := kv.store.batch(ctx, kv.stream, getRequest{Seq: next, NextFor: subject}, func(msg *nats.Msg) error {
			it, err := kv.item(msg)
			if err != nil {
				return err
			}
			next = it.rev + 1
			yield(it)
			return nil
		})
		if err == errNone {
			return kv.nothingThere(ctx, subject, first)
		}
		if err != nil {
			return err
		}
		pending = left
	}
	return nil
}

// nothingThere says whether it is right that the server found nothing.
func (kv *streamKV) nothingThere(ctx context.Context, subject string, first bool) error {
	if first {
		if n, err := kv.count(ctx, subject); err != nil || n == 0 {
			return err
		}
	}
	return kv.broken(0, 0, "entries cannot be read")
}

func (kv *streamKV) Watch(ctx context.Context, prefix string, after uint64, f func(Entry) error) error {
	consumer, err := kv.store.js.OrderedConsumer(ctx, kv.stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{kv.subject + encodePrefix(prefix)},
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:    after + 1,
	})
	if err != nil {
		return kv.watchEnded(ctx, err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return kv.watchEnded(ctx, err)
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return kv.watchEnded(ctx, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return kv.watchEnded(ctx, err)
		}
		it, err := readItem(msg.Data())
		if err != nil || kv.subject+encodeKey(it.key) != msg.Subject() {
			return kv.broken(meta.Sequence.Stream, meta.Sequence.Stream, "an entry cannot be trusted")
		}
		if it.rev = meta.Sequence.Stream; it.rev <= after || !strings.HasPrefix(it.key, prefix) {
			continue
		}
		after = it.rev
		if err := f(it.entry()); err != nil {
			return err
		}
	}
}

func (kv *streamKV) watchEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("watch %s: %w", kv.label, kv.store.failed(err))
}

// recheck looks again after the server was replaced.
func (kv *streamKV) recheck(ctx context.Context) {
	if kv.marker == nil {
		return
	}
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if d, damaged := errors.AsType[*DamageError](kv.check(ctx)); damaged {
		kv.damage.Store(d)
		kv.store.opts.Logger.Error("bucket is damaged and refused", "bucket", kv.label, "err", d)
	}
}

func (kv *streamKV) closeMark(ctx context.Context) error {
	if kv.marker == nil {
		return nil
	}
	return kv.marker.close(ctx)
}

func (kv *streamKV) broken(first, last uint64, reason string) error {
	return &DamageError{Log: kv.label, First: first, Last: last, Reason: reason}
}

// An item is what a message of a bucket holds: a key with its value, or that the key was deleted.
//
//	0  magic "RLTK"    6  length of the key, 2 bytes
//	4  version 1       8  key, value, hash of all that stands before
//	5  1 if deleted
type item struct {
	key     string
	value   []byte
	deleted bool
	rev     uint64 // of the message; not in its payload
}

const (
	itemMagic    = "RLTK"
	itemVersion  = 1
	itemHeader   = 8
	itemOverhead = itemHeader + hashSize
)

func (it item) live() bool { return it.key != "" && !it.deleted }

func (it item) entry() Entry {
	return Entry{Key: it.key, Value: it.value, Rev: it.rev, Deleted: it.deleted}
}

// expect is the revision at which a caller wants to find the item. A caller that knows a younger one than was read has seen
// more than the replica that was asked; the server will decide.
func (it item) expect(rev uint64) (uint64, error) {
	if it.rev > rev || it.rev == rev && it.deleted {
		return 0, ErrConflict
	}
	return rev, nil
}

func (it item) append(dst []byte) []byte {
	start, deleted := len(dst), byte(0)
	if it.deleted {
		deleted = 1
	}
	dst = append(dst, itemMagic...)
	dst = append(dst, itemVersion, deleted)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(it.key)))
	dst = append(dst, it.key...)
	dst = append(dst, it.value...)
	sum := hashOf(dst[start:])
	return append(dst, sum[:]...)
}

// sum is what the item contributes to the hash of its bucket.
func (it item) sum() Hash {
	if !it.live() {
		return Hash{}
	}
	return HashOf(it.append(nil))
}

func readItem(b []byte) (item, error) {
	if len(b) < itemOverhead || string(b[:4]) != itemMagic || b[5] > 1 {
		return item{}, errors.New("it is not an entry")
	}
	if b[4] != itemVersion {
		return item{}, fmt.Errorf("its format has version %d, and this program reads %d", b[4], itemVersion)
	}
	end := len(b) - hashSize
	if hashOf(b[:end]) != HashOf(b) {
		return item{}, errFlipped
	}
	value := itemHeader + int(binary.BigEndian.Uint16(b[6:]))
	if value > end || value == itemHeader {
		return item{}, errors.New("its key is cut short")
	}
	return item{key: string(b[itemHeader:value]), value: b[value:end:end], deleted: b[5] == 1}, nil
}

// encodeKey makes a key the last part of a subject: each part between slashes is a token, in which all but letters, digits,
// '-' and '_' is written as "=2E". A part that is empty is "=".
func encodeKey(key string) string {
	var b strings.Builder
	for i, part := range strings.Split(key, "/") {
		if i > 0 {
			b.WriteByte('.')
		}
		if part == "" {
			b.WriteByte('=')
		}
		for _, c := range []byte(part) {
			if c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "=%02X", c)
			}
		}
	}
	return b.String()
}

// encodePrefix makes the wildcard subject of all keys that may begin with prefix; some of them may not.
func encodePrefix(prefix string) string {
	i := strings.LastIndexByte(prefix, '/')
	if i < 0 {
		return ">"
	}
	return encodeKey(prefix[:i]) + ".>"
}
