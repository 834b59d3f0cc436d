// Package record writes and reads the small binary records of logs and snapshots: varints, strings, times.
//
// Writing appends to a slice and cannot go wrong. Reading goes through a [Reader], which never panics on damaged input:
// the first value that does not fit makes every later one zero, and [Reader.Err] tells. Check it once, at the end.
package record

import (
	"encoding/binary"
	"errors"
	"time"
)

// ErrShort is what a [Reader] reports when a record ends before its values do.
var ErrShort = errors.New("record is cut short or damaged")

// AppendUint appends n as a varint.
func AppendUint(dst []byte, n uint64) []byte { return binary.AppendUvarint(dst, n) }

// AppendInt appends n as a zigzag varint.
func AppendInt(dst []byte, n int64) []byte { return binary.AppendVarint(dst, n) }

// AppendBytes appends b with its length in front.
func AppendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// AppendString appends s with its length in front.
func AppendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// AppendTime appends t to the microsecond. The zero time stays the zero time.
func AppendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return AppendInt(dst, 0)
	}
	return AppendInt(dst, t.UnixMicro())
}

// A Reader takes values off the front of a record, in the order in which they were appended.
type Reader struct {
	rest  []byte
	later int // bytes that next will bring
	next  func() ([]byte, error)
	err   error
}

// NewReader reads from b. The slices that [Reader.Bytes] returns point into b.
func NewReader(b []byte) *Reader { return &Reader{rest: b} }

// NewPartsReader reads from a record of so many bytes that is too large to be in memory at once: next returns one part of it after the
// other. A value may begin in one part and end in another. An error of next is that of the reader.
func NewPartsReader(size int, next func() ([]byte, error)) *Reader {
	return &Reader{later: size, next: next}
}

// Err is nil if every value so far was there.
func (r *Reader) Err() error { return r.err }

// Len is how many bytes are left.
func (r *Reader) Len() int { return len(r.rest) + r.later }

// want makes sure that n bytes can be read at once, or all that are left.
func (r *Reader) want(n uint64) {
	if r.later > 0 && uint64(len(r.rest)) < n {
		r.bring(n)
	}
}

// bring brings as many parts as are needed for n bytes.
func (r *Reader) bring(n uint64) {
	for r.later > 0 && uint64(len(r.rest)) < n {
		part, err := r.next()
		if err == nil && (len(part) == 0 || len(part) > r.later) {
			err = ErrShort
		}
		if err != nil {
			r.fail()
			r.err = err
			return
		}
		r.later -= len(part)
		if len(r.rest) == 0 {
			r.rest = part
		} else {
			r.rest = append(r.rest[:len(r.rest):len(r.rest)], part...)
		}
	}
}

// Rest takes everything that is left.
func (r *Reader) Rest() []byte {
	r.want(uint64(r.Len()))
	b := r.rest
	r.rest = nil
	return b
}

// Uint takes a varint.
func (r *Reader) Uint() uint64 {
	r.want(binary.MaxVarintLen64)
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// Int takes a zigzag varint.
func (r *Reader) Int() int64 {
	r.want(binary.MaxVarintLen64)
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// Count takes a varint that says how many values follow, each of at least one byte, so that a damaged one cannot make
// its reader reserve more memory than the record is long.
func (r *Reader) Count() int {
	n := r.Uint()
	if n > uint64(r.Len()) {
		r.fail()
		return 0
	}
	return int(n)
}

// Bytes takes a length and as many bytes, without copying them.
func (r *Reader) Bytes() []byte {
	n := r.Uint()
	if r.err == nil && n <= uint64(r.Len()) {
		r.want(n)
	}
	if r.err != nil || n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// String takes a length and as many bytes as a string.
func (r *Reader) String() string { return string(r.Bytes()) }

// Byte takes one byte.
func (r *Reader) Byte() byte {
	r.want(1)
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// Time takes a time, in UTC.
func (r *Reader) Time() time.Time {
	n := r.Int()
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

func (r *Reader) fail() {
	r.rest, r.later = nil, 0
	if r.err == nil {
		r.err = ErrShort
	}
}
