package record_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/rialto-events/rialto/internal/record"
)

func TestWhatIsAppendedIsRead(t *testing.T) {
	when := time.Date(2026, 3, 1, 10, 0, 5, 408_123_000, time.UTC)
	var b []byte
	b = record.AppendUint(b, math.MaxUint64)
	b = record.AppendInt(b, math.MinInt64)
	b = record.AppendBytes(b, nil)
	b = record.AppendString(b, "é")
	b = record.AppendTime(b, when)
	b = record.AppendTime(b, time.Time{})
	b = append(b, 7, 8, 9)
	r := record.NewReader(b)
	if n := r.Uint(); n != math.MaxUint64 {
		t.Errorf("Uint is %d", n)
	}
	if n := r.Int(); n != math.MinInt64 {
		t.Errorf("Int is %d", n)
	}
	if got := r.Bytes(); len(got) != 0 {
		t.Errorf("Bytes is %q", got)
	}
	if s := r.String(); s != "é" {
		t.Errorf("String is %q", s)
	}
	if got := r.Time(); !got.Equal(when) {
		t.Errorf("Time is %v, want %v", got, when)
	}
	if got := r.Time(); !got.IsZero() {
		t.Errorf("the zero time is %v", got)
	}
	if c := r.Byte(); c != 7 || r.Len() != 2 {
		t.Errorf("Byte is %d, %d bytes are left", c, r.Len())
	}
	if rest := r.Rest(); !bytes.Equal(rest, []byte{8, 9}) || r.Err() != nil || r.Len() != 0 {
		t.Errorf("Rest is %v, then %d bytes are left, %v", rest, r.Len(), r.Err())
	}
}

// TestCutShort reads a record that ends early, at every byte: the error stays, and what comes after it is zero.
func TestCutShort(t *testing.T) {
	whole := record.AppendString(record.AppendUint(nil, 300), "text")
	for n := range whole {
		r := record.NewReader(whole[:n])
		_, _ = r.Uint(), r.String()
		if !errors.Is(r.Err(), record.ErrShort) {
			t.Errorf("%d of %d bytes give %v", n, len(whole), r.Err())
		}
		if r.Uint() != 0 || r.String() != "" || r.Byte() != 0 || r.Len() != 0 {
			t.Errorf("after the end of %d bytes there is something", n)
		}
	}
}

// FuzzReader reads damaged records: nothing may panic, or take more memory than the record is long.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\x01\x02abc"), []byte("ubscti"))
	f.Add(bytes.Repeat([]byte{0xff}, 20), []byte("csbutiusb"))
	f.Fuzz(func(t *testing.T, b, calls []byte) {
		r := record.NewReader(b)
		for _, c := range calls {
			before := r.Len()
			switch c {
			case 'u':
				r.Uint()
			case 'i':
				r.Int()
			case 'b':
				if n := len(r.Bytes()); n > before {
					t.Fatalf("%d bytes out of %d", n, before)
				}
			case 's':
				_ = r.String()
			case 'c':
				if n := r.Count(); n > before {
					t.Fatalf("%d values announced in %d bytes", n, before)
				}
			case 't':
				r.Time()
			default:
				r.Byte()
			}
			if r.Len() > before {
				t.Fatal("the record grows")
			}
		}
	})
}

// TestParts: a record that comes in parts reads as the whole does, wherever it is cut, and one that ends too early is reported.
func TestParts(t *testing.T) {
	var whole []byte
	for i := range uint64(50) {
		whole = record.AppendUint(whole, i<<(i%60))
		whole = record.AppendInt(whole, -int64(i*i*i))
		whole = record.AppendString(whole, strings.Repeat("x", int(i%7)))
		whole = append(whole, byte(i))
	}
	for size := 1; size <= len(whole); size++ {
		rest := whole
		r := record.NewPartsReader(len(whole), func() ([]byte, error) {
			part := rest[:min(size, len(rest))]
			rest = rest[len(part):]
			return part, nil
		})
		for i := range uint64(50) {
			if n, m, s, b := r.Uint(), r.Int(), r.String(), r.Byte(); n != i<<(i%60) || m != -int64(i*i*i) || len(s) != int(i%7) || b != byte(i) {
				t.Fatalf("parts of %d bytes: values %d are %d, %d, %q, %d", size, i, n, m, s, b)
			}
		}
		if r.Err() != nil || r.Len() != 0 {
			t.Fatalf("parts of %d bytes: %d are left, %v", size, r.Len(), r.Err())
		}
	}
	gone := errors.New("it is gone")
	r := record.NewPartsReader(9, func() ([]byte, error) { return nil, gone })
	if r.Uint() != 0 || !errors.Is(r.Err(), gone) {
		t.Errorf("a part that cannot be read: %v", r.Err())
	}
	for _, part := range []string{"", "0123456789"} {
		r := record.NewPartsReader(9, func() ([]byte, error) { return []byte(part), nil })
		if r.Bytes(); !errors.Is(r.Err(), record.ErrShort) {
			t.Errorf("a part of %d bytes where 9 are left: %v", len(part), r.Err())
		}
	}
}
