package history

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/rialto-events/rialto/internal/journal"
	"github.com/rialto-events/rialto/internal/record"
)

// A segment is events of one archive in the order of their positions, in compressed blocks:
//
//	0  magic "RLTH"      8  blocks: each a zstd frame, and the hash of it
//	4  version 1            index: what is in each block, and how many events by hour of acceptance
//	5  three zero bytes     length of the index (4), hash of header, index and length (16), magic "RLTH"
//
// docs/formats.md has the rest. A block is read, checked and given away without the others.
const (
	segmentMagic   = "RLTH"
	segmentVersion = 1
	segmentHeader  = 8
	segmentTail    = 4 + hashSize + 4
	hashSize       = len(journal.Hash{})
)

// Limits of what is written, and of what is believed when it is read.
const (
	blockSize    = 64 << 10                            // bytes of events that make a block full
	maxEvent     = journal.MaxRecord                   // bytes of one event: each was in a frame
	maxBlock     = blockSize + maxEvent + maxEventHead // bytes of a block that is not compressed
	maxSegment   = 1 << 30                             // bytes of a segment
	minEvent     = 5                                   // bytes of an event in a block
	maxEventHead = 2*binary.MaxVarintLen64 + binary.MaxVarintLen32 + 2*binary.MaxVarintLen64
)

// A cell is how many events of a segment were accepted in one hour. By cells, events get too old.
type cell struct {
	hour int64 // since 1970
	Total
}

// hourOf is the hour in which something was accepted.
func hourOf(accepted int64) int64 {
	const hour = 3600 * 1_000_000
	h := accepted / hour
	if accepted%hour < 0 {
		h--
	}
	return h
}

// A span is from when to when, in microseconds since 1970, both included.
type span struct{ first, last int64 }

func (s span) with(t int64) span { return span{min(s.first, t), max(s.last, t)} }

func (s span) join(t span) span { return span{min(s.first, t.first), max(s.last, t.last)} }

var noSpan = span{math.MaxInt64, math.MinInt64}

// A blockInfo is what the index says of a block.
type blockInfo struct {
	offset   int // in the segment
	size     int // of the compressed bytes
	raw      int // of the bytes as they were
	time     span
	accepted span
	Total
}

var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // the options are at fault
	}
	return e
})

var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(uint64(maxBlock)))
	if err != nil {
		panic(err) // the options are at fault
	}
	return d
})

// A segmentWriter makes a segment of events that are added in the order of their positions.
type segmentWriter struct {
	archive string
	out     []byte
	raw     []byte // of the present block
	block   blockInfo
	last    Position // in the block
	blocks  []blockInfo
	cells   map[int64]Total
}

func newSegmentWriter(archive string) *segmentWriter {
	w := &segmentWriter{archive: archive, cells: make(map[int64]Total)}
	w.out = append(w.out, segmentMagic...)
	w.out = append(w.out, segmentVersion, 0, 0, 0)
	w.begin()
	return w
}

func (w *segmentWriter) begin() {
	w.raw, w.last = w.raw[:0], Position{}
	w.block = blockInfo{time: noSpan, accepted: noSpan}
}

func (w *segmentWriter) add(e Entry) {
	p := e.Position
	w.raw = record.AppendInt(w.raw, p.Time-w.last.Time)
	w.raw = record.AppendInt(w.raw, p.Accepted-w.last.Accepted)
	w.raw = record.AppendUint(w.raw, uint64(p.Shard))
	w.raw = record.AppendInt(w.raw, int64(p.Key-w.last.Key))
	w.raw = record.AppendBytes(w.raw, e.Event)
	w.last = p
	one := Total{1, int64(len(e.Event))}
	w.block.time, w.block.accepted = w.block.time.with(p.Time), w.block.accepted.with(p.Accepted)
	w.block.Total = w.block.plus(one)
	hour := hourOf(p.Accepted)
	w.cells[hour] = w.cells[hour].plus(one)
	if len(w.raw) >= blockSize {
		w.seal()
	}
}

// seal ends the present block.
func (w *segmentWriter) seal() {
	if w.block.Events == 0 {
		return
	}
	b := w.block
	b.offset, b.raw = len(w.out), len(w.raw)
	w.out = encoder().EncodeAll(w.raw, w.out)
	b.size = len(w.out) - b.offset
	sum := journal.Sum(w.out[b.offset:])
	w.out = append(w.out, sum[:]...)
	w.blocks = append(w.blocks, b)
	w.begin()
}

// finish returns the segment, and what a ledger says of it.
func (w *segmentWriter) finish() ([]byte, segmentInfo) {
	w.seal()
	start := len(w.out)
	w.out = appendIndex(w.out, w.archive, w.blocks, w.hours())
	w.out = binary.BigEndian.AppendUint32(w.out, uint32(len(w.out)-start))
	sum := journal.Sum(slices.Concat(w.out[:segmentHeader], w.out[start:]))
	w.out = append(w.out, sum[:]...)
	w.out = append(w.out, segmentMagic...)

	info := segmentInfo{stored: int64(len(w.out)), time: noSpan, accepted: noSpan, cells: w.hours()}
	for _, b := range w.blocks {
		info.time, info.accepted = info.time.join(b.time), info.accepted.join(b.accepted)
		info.raw += int64(b.raw)
	}
	return w.out, info
}

// hours are the cells, in their order.
func (w *segmentWriter) hours() []cell {
	list := make([]cell, 0, len(w.cells))
	for hour, total := range w.cells {
		list = append(list, cell{hour, total})
	}
	slices.SortFunc(list, func(a, b cell) int { return cmp.Compare(a.hour, b.hour) })
	return list
}

func appendIndex(dst []byte, archive string, blocks []blockInfo, cells []cell) []byte {
	dst = record.AppendString(dst, archive)
	dst = record.AppendUint(dst, uint64(len(blocks)))
	for _, b := range blocks {
		dst = record.AppendUint(dst, uint64(b.size))
		dst = record.AppendUint(dst, uint64(b.raw))
		dst = appendSpan(dst, b.time)
		dst = appendSpan(dst, b.accepted)
		dst = appendTotal(dst, b.Total)
	}
	return appendCells(dst, cells)
}

func appendSpan(dst []byte, s span) []byte {
	return record.AppendInt(record.AppendInt(dst, s.first), s.last-s.first)
}

func readSpan(r *record.Reader) span {
	first := r.Int()
	return span{first, first + r.Int()}
}

func appendTotal(dst []byte, t Total) []byte {
	return record.AppendUint(record.AppendUint(dst, uint64(t.Events)), uint64(t.Bytes))
}

func readTotal(r *record.Reader) Total {
	return Total{int64(min(r.Uint(), math.MaxInt32)), int64(min(r.Uint(), maxSegment<<10))}
}

func appendCells(dst []byte, cells []cell) []byte {
	dst = record.AppendUint(dst, uint64(len(cells)))
	before := int64(0)
	for _, c := range cells {
		dst = record.AppendInt(dst, c.hour-before)
		dst = appendTotal(dst, c.Total)
		before = c.hour
	}
	return dst
}

func readCells(r *record.Reader) []cell {
	var cells []cell
	hour := int64(0)
	for range r.Count() {
		hour += r.Int()
		cells = append(cells, cell{hour, readTotal(r)})
		if r.Err() != nil {
			return nil
		}
	}
	return cells
}

// A segment is one whose index was read.
type segment struct {
	data   []byte
	blocks []blockInfo
	cells  []cell
}

var errNoSegment = errors.New("it is not a segment")

// parseSegment checks all of a segment but its blocks.
func parseSegment(data []byte, archive string) (*segment, error) {
	n := len(data)
	if n < segmentHeader+segmentTail || n > maxSegment || string(data[:4]) != segmentMagic || string(data[n-4:]) != segmentMagic {
		return nil, errNoSegment
	}
	if data[4] != segmentVersion {
		return nil, fmt.Errorf("its format has version %d, and this program reads %d", data[4], segmentVersion)
	}
	tail := n - segmentTail
	size := int(binary.BigEndian.Uint32(data[tail:]))
	if size > tail-segmentHeader {
		return nil, errNoSegment
	}
	start := tail - size
	sum := journal.Sum(slices.Concat(data[:segmentHeader], data[start:tail+4]))
	if string(sum[:]) != string(data[tail+4:n-4]) {
		return nil, errors.New("bytes of its index have changed")
	}
	s := &segment{data: data}
	return s, s.readIndex(record.NewReader(data[start:tail]), start, archive)
}

func (s *segment) readIndex(r *record.Reader, end int, archive string) error {
	if of := r.String(); r.Err() == nil && of != archive {
		return fmt.Errorf("it is of the archive %q", of)
	}
	offset := segmentHeader
	for range r.Count() {
		size, raw := r.Uint(), r.Uint()
		b := blockInfo{offset: offset, size: int(size), raw: int(raw), time: readSpan(r), accepted: readSpan(r), Total: readTotal(r)}
		if r.Err() != nil {
			break
		}
		if size > uint64(end-offset) || raw > uint64(maxBlock) || b.Events > int64(raw)/minEvent || b.offset+b.size+hashSize > end {
			return errors.New("its index says what cannot be")
		}
		offset += b.size + hashSize
		s.blocks = append(s.blocks, b)
	}
	s.cells = readCells(r)
	if err := r.Err(); err != nil {
		return fmt.Errorf("its index: %w", err)
	}
	if offset != end || r.Len() > 0 {
		return errors.New("its index does not fit it")
	}
	return nil
}

var errBlockChanged = errors.New("bytes of it have changed")

// read returns the events of a block, which point into memory of their own.
func (s *segment) read(i int) ([]Entry, error) {
	b := s.blocks[i]
	packed := s.data[b.offset : b.offset+b.size]
	if sum := journal.Sum(packed); string(sum[:]) != string(s.data[b.offset+b.size:b.offset+b.size+hashSize]) {
		return nil, errBlockChanged
	}
	raw, err := decoder().DecodeAll(packed, make([]byte, 0, b.raw))
	if err != nil {
		return nil, err
	}
	if len(raw) != b.raw {
		return nil, fmt.Errorf("it has %d bytes instead of %d", len(raw), b.raw)
	}
	list := make([]Entry, 0, b.Events)
	r, p := record.NewReader(raw), Position{}
	for r.Len() > 0 {
		p.Time += r.Int()
		p.Accepted += r.Int()
		p.Shard = uint32(r.Uint())
		p.Key += uint64(r.Int())
		e := Entry{Position: p, Event: r.Bytes()}
		if err := r.Err(); err != nil {
			return nil, err
		}
		if n := len(list); n > 0 && list[n-1].Position.Compare(p) >= 0 {
			return nil, errors.New("its events are not in order")
		}
		list = append(list, e)
	}
	if int64(len(list)) != b.Events {
		return nil, fmt.Errorf("it has %d events instead of %d", len(list), b.Events)
	}
	return list, nil
}

// seek is the first block that may have an event at or after a time.
func (s *segment) seek(time int64) int {
	return sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].time.last >= time })
}
