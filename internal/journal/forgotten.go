package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"
	"github.com/nats-io/nats-server/v2/server/avl"
)

// A stream lies in block files, N.blk, and index.db says what is in each of them. When the server starts and finds there that a block has no
// message any more, only marks of what was deleted from earlier blocks, it leaves that block out: it neither uses the file nor removes it,
// then or later. The file would stay for ever. That happens whenever the server stops before it has tidied up after a deletion,
// which takes it seconds, and something older is still there.
//
// So before the server starts, we remove the files that it would forget, or has forgotten. That is for streams of blobs alone. Should the server
// not use index.db, but read all files, as after kill -9, it misses the marks in those that are gone, and chunks of deleted blobs
// are back: the index does not name them, and they are swept.

// The one version of index.db that is understood; of any other, nothing is removed.
const (
	stateFile    = "index.db"
	stateMagic   = 11
	stateVersion = 4
	blockSuffix  = ".blk"
)

// removeForgotten removes the block files of blobs of which the server will know nothing. No server may run.
func (d *folder) removeForgotten() error {
	folders, err := filepath.Glob(filepath.Join(d.path, "jetstream", "*", "streams", blobStream+"*", "msgs"))
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range folders {
		if err := removeForgotten(dir); err != nil {
			errs = append(errs, fmt.Errorf("look for forgotten files in %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

func removeForgotten(dir string) error {
	state, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil // all files will be read
	}
	if err != nil {
		return err
	}
	used, last, err := blocksOf(state, filepath.Base(filepath.Dir(dir)))
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		n, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), blockSuffix), 10, 32)
		if err != nil || !strings.HasSuffix(e.Name(), blockSuffix) || n >= last || used[n] {
			continue // blocks from the last on may have got something since index.db was written
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

var errState = errors.New(stateFile + " is not as it should be")

// blocksOf says of which blocks the index.db of a stream knows that there are messages in them, and which is the last of all. Blocks before the
// last never get another message.
func blocksOf(state []byte, stream string) (used map[uint64]bool, last uint64, err error) {
	n := len(state) - highwayhash.Size64
	if n < 0 {
		return nil, 0, errState
	}
	key := sha256.Sum256([]byte(stream))
	hash, err := highwayhash.New64(key[:])
	if err != nil {
		return nil, 0, err
	}
	hash.Write(state[:n])
	if string(hash.Sum(nil)) != string(state[n:]) {
		return nil, 0, errState
	}
	if n < 2 || state[0] != stateMagic || state[1] != stateVersion {
		return nil, 0, fmt.Errorf("%s has a format that is not known", stateFile)
	}
	return readBlocks(state[2:n])
}

// readBlocks reads what stands in index.db after its version:
//
//	messages, bytes, first sequence number, its time, last one, its time
//	number of subjects, and for each: length, bytes, messages, first and last block
//	number of blocks, and for each: number, bytes, first and last sequence number each with its time, how many between them
//	    are deleted, of how many the time to live is kept, of how many the schedule; which are deleted, if any
//	number of the last block, checksum of its last record
func readBlocks(b []byte) (used map[uint64]bool, last uint64, err error) {
	r := &stateReader{b}
	for range 6 {
		r.number()
	}
	for range r.count() {
		r.skip(int(min(r.number(), maxStateName)))
		for range 3 {
			r.number()
		}
	}
	used = make(map[uint64]bool)
	for range r.count() {
		n := r.number()
		r.number()
		first := r.number()
		r.number()
		end := r.number() + 1
		r.number()
		deleted := r.number()
		r.number()
		r.number()
		if deleted > 0 {
			r.set()
		}
		used[n] = end-first > deleted
		last = n
	}
	if named := r.number(); named != last || len(r.b) != highwayhash.Size64 {
		return nil, 0, errState
	}
	return used, last, nil
}

// maxStateName is more than a subject has, so that its length is a small number.
const maxStateName = 1 << 20

// A stateReader reads numbers. What is cut off leaves nothing to read, and everything after it is zero.
type stateReader struct{ b []byte }

// number reads a number, which is signed or not: that does not show in how long it is.
func (r *stateReader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b = nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads how many things follow, of at least a byte each.
func (r *stateReader) count() uint64 { return min(r.number(), uint64(len(r.b))) }

func (r *stateReader) skip(n int) { r.b = r.b[min(n, len(r.b)):] }

// set passes over a set of sequence numbers.
func (r *stateReader) set() {
	_, n, err := avl.Decode(r.b)
	if err != nil {
		n = len(r.b)
	}
	r.skip(n)
}
