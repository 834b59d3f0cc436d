package journal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var goldenFrames = []Frame{
	{Shard: "shard-0", Seq: 1, Epoch: 1, Time: time.Date(2026, 11, 23, 6, 20, 30, 123456789, time.UTC), Payload: []byte("the first frame")},
	{Shard: "shard-0", Seq: 2, Epoch: 7, Payload: []byte{}},
	{Shard: strings.Repeat("x", maxName), Seq: 1<<64 - 1, Epoch: 1<<64 - 1, Prev: Hash{1, 2, 3}, Time: time.Unix(-1, 1).UTC(), Payload: bytes.Repeat([]byte{0xff}, 100)},
}

// TestFrameGolden keeps old logs readable: the file of every version decodes to the same frames for ever.
func TestFrameGolden(t *testing.T) {
	path := filepath.Join("testdata", "frames.v1.hex")
	if *update {
		var lines []byte
		for i := range goldenFrames {
			lines = append(lines, hex.EncodeToString(goldenFrames[i].Append(nil))+"\n"...)
		}
		if err := os.WriteFile(path, lines, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(text))
	if len(lines) != len(goldenFrames) {
		t.Fatalf("%d frames, want %d", len(lines), len(goldenFrames))
	}
	for i, want := range goldenFrames {
		rec, err := hex.DecodeString(lines[i])
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeFrame(rec)
		if err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("frame %d (-want +got):\n%s", i, d)
		}
		if now := want.Append(nil); !bytes.Equal(now, rec) {
			t.Errorf("frame %d is written as\n%x, want\n%x", i, now, rec)
		}
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	rec := goldenFrames[0].Append(nil)
	for bit := range len(rec) * 8 {
		bad := bytes.Clone(rec)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := DecodeFrame(bad); err == nil {
			t.Fatalf("bit %d of byte %d can be flipped", bit%8, bit/8)
		}
	}
	for n := range rec {
		if _, err := DecodeFrame(rec[:n]); err == nil {
			t.Fatalf("the frame can be cut to %d bytes", n)
		}
	}
	if _, err := DecodeFrame(append(bytes.Clone(rec), 0)); err == nil {
		t.Fatal("a byte can be added")
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	f := goldenFrames[0]
	got := f.Append([]byte("before"))
	if string(got[:6]) != "before" || !bytes.Equal(got[6:], f.Append(nil)) {
		t.Errorf("appended as %x", got)
	}
}

// chainOf makes the records of a log.
func chainOf(n int) (recs [][]byte) {
	var prev Hash
	for seq := range uint64(n) {
		f := Frame{Shard: "s", Seq: seq + 1, Epoch: 1 + seq/4, Prev: prev, Payload: []byte{byte(seq)}}
		recs = append(recs, f.Append(nil))
		prev = HashOf(recs[seq])
	}
	return recs
}

func TestChain(t *testing.T) {
	good := chainOf(10)
	with := func(i int, change func(f *Frame)) [][]byte {
		recs := append([][]byte(nil), good...)
		f, err := DecodeFrame(recs[i])
		if err != nil {
			t.Fatal(err)
		}
		change(&f)
		recs[i] = f.Append(nil)
		return recs
	}
	flipped := append([][]byte(nil), good...)
	flipped[5] = bytes.Clone(good[5])
	flipped[5][frameHeader+1] ^= 4
	for _, c := range []struct {
		name        string
		from        uint64
		recs        [][]byte
		first, last uint64 // of the damage
		reason      string // empty if there is none
	}{
		{"whole", 1, good, 0, 0, ""},
		{"a part", 4, good[3:], 0, 0, ""},
		{"a gap of one", 1, append(append([][]byte(nil), good[:3]...), good[4:]...), 4, 4, "record 4 is missing"},
		{"a gap", 1, append(append([][]byte(nil), good[:3]...), good[7:]...), 4, 7, "records 4 to 7 are missing"},
		{"the beginning is missing", 2, good[4:], 2, 4, "records 2 to 4 are missing"},
		{"a number once more", 1, append(append([][]byte(nil), good[:5]...), good[2:]...), 3, 6, "in the place of record 6 stands number 3 once more"},
		{"a flipped bit", 1, flipped, 6, 6, "record 6 cannot be trusted: its hash is wrong: bytes of it have changed"},
		{"a foreign frame", 1, with(4, func(f *Frame) { f.Shard = "t" }), 5, 5, "record 5 belongs to log t"},
		{"another lineage", 1, with(4, func(f *Frame) { f.Payload = []byte("other") }), 5, 6, "record 6 was not written after this record 5, but after another one"},
		{"a lower epoch", 1, with(9, func(f *Frame) { f.Epoch = 1 }), 10, 10, "record 10 was written by the owner of epoch 1 after one of epoch 3"},
		{"a first that follows", 1, with(0, func(f *Frame) { f.Prev = Hash{1} }), 1, 1, "record 1 claims to follow another"},
		{"no frame", 1, append(append([][]byte(nil), good[:2]...), []byte("hello")), 3, 3, "record 3 cannot be trusted: it is not a frame"},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain, err := NewChain("s", c.from), error(nil)
			n := 0
			for ; n < len(c.recs) && err == nil; n++ {
				_, err = chain.Next(c.recs[n])
			}
			if c.reason == "" {
				if err != nil || n != len(c.recs) {
					t.Fatalf("after %d records: %v", n, err)
				}
				return
			}
			want := &DamageError{Log: "log s", First: c.first, Last: c.last, Reason: c.reason}
			var got *DamageError
			if !errors.As(err, &got) || *got != *want {
				t.Fatalf("got  %v\nwant %v", err, want)
			}
		})
	}
}

func FuzzDecodeFrame(f *testing.F) {
	for i := range goldenFrames {
		f.Add(goldenFrames[i].Append(nil))
	}
	f.Add([]byte(frameMagic))
	f.Fuzz(func(t *testing.T, rec []byte) {
		frame, err := ParseFrame(rec)
		if err != nil {
			return
		}
		// What can be parsed is, but for its hash, what would be written.
		again := frame.Append(nil)
		end := len(rec) - hashSize
		if !bytes.Equal(again[:end], rec[:end]) {
			t.Fatalf("%x is read as %+v, and written as %x", rec, frame, again)
		}
		if _, err := DecodeFrame(rec); (err == nil) != bytes.Equal(again, rec) {
			t.Fatalf("%x: %v", rec, err)
		}
	})
}

func FuzzReadItem(f *testing.F) {
	f.Add(item{key: "a", value: []byte("b")}.append(nil))
	f.Add(item{key: "a", deleted: true}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		it, err := readItem(b)
		if err != nil {
			// Most inputs fail by their hash alone; mend it.
			if len(b) < hashSize {
				return
			}
			sum := hashOf(b[:len(b)-hashSize])
			b = append(b[:len(b)-hashSize:len(b)-hashSize], sum[:]...)
			if it, err = readItem(b); err != nil {
				return
			}
		}
		if again := it.append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x is read as %+v, and written as %x", b, it, again)
		}
	})
}

func BenchmarkFrame(b *testing.B) {
	f := Frame{Shard: "shard-0", Seq: 1, Payload: make([]byte, 250<<10)}
	b.Run("encode-250KB", func(b *testing.B) {
		buf := make([]byte, 0, len(f.Payload)+FrameOverhead)
		b.SetBytes(int64(len(f.Payload)))
		for b.Loop() {
			buf = f.Append(buf[:0])
		}
	})
	rec := f.Append(nil)
	b.Run("decode-250KB", func(b *testing.B) {
		b.SetBytes(int64(len(f.Payload)))
		for b.Loop() {
			if _, err := DecodeFrame(rec); err != nil {
				b.Fatal(err)
			}
		}
	})
}
