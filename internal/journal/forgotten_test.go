package journal

import (
	"crypto/sha256"
	"errors"
	"os"
	"testing"

	"github.com/minio/highwayhash"
)

// sealed is an index.db of a stream whose hash is right, of any bytes.
func sealed(state []byte, stream string) []byte {
	key := sha256.Sum256([]byte(stream))
	hash, err := highwayhash.New64(key[:])
	if err != nil {
		panic(err) // the key has the right size
	}
	hash.Write(state)
	return hash.Sum(state)
}

// TestBlocksOf reads an index.db that a server has written: block 1 has one blob, 2 to 4 have none any more, 5 is the last. Whatever is changed or cut off
// makes it unreadable, and then nothing is removed.
func TestBlocksOf(t *testing.T) {
	state, err := os.ReadFile("testdata/index.v4.db")
	if err != nil {
		t.Fatal(err)
	}
	const stream = blobStream + "b"
	used, last, err := blocksOf(state, stream)
	if err != nil || last < 3 || len(used) == 0 {
		t.Fatalf("of %v the last is %d, %v", used, last, err)
	}
	for i := range state {
		if _, _, err := blocksOf(state[:i], stream); err == nil {
			t.Errorf("the first %d bytes are enough", i)
		}
		state[i] ^= 16
		if _, _, err := blocksOf(state, stream); err == nil {
			t.Errorf("byte %d does not matter", i)
		}
		state[i] ^= 16
	}
	if _, _, err := blocksOf(state, "another"); !errors.Is(err, errState) {
		t.Errorf("it is that of another stream, too: %v", err)
	}
}

// FuzzBlocks reads bytes that no server has written, with the right hash. They may mean anything, but take no more time and memory than they have bytes, and
// none is too much or missing.
func FuzzBlocks(f *testing.F) {
	state, err := os.ReadFile("testdata/index.v4.db")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(state[:len(state)-highwayhash.Size64])
	f.Add([]byte{stateMagic, stateVersion})
	f.Add([]byte("\x0b\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")) // a number that is too long
	f.Fuzz(func(t *testing.T, state []byte) {
		used, _, err := blocksOf(sealed(state, "s"), "s")
		if err != nil {
			return
		}
		if len(used) > len(state) {
			t.Errorf("%d bytes tell of %d blocks", len(state), len(used))
		}
		if _, _, err := blocksOf(sealed(state[:len(state)-1], "s"), "s"); err == nil {
			t.Error("the last byte is not needed")
		}
		if _, _, err := blocksOf(sealed(append(state, 0), "s"), "s"); err == nil {
			t.Error("something may follow")
		}
	})
}
