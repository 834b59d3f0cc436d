package scheduler

// keys holds keys of schedules, one after the other, so that a million of them are no work for the garbage collector. One that is removed leaves its
// place empty until all are packed anew.
type keys struct {
	chunks [][]byte // only added to, and never changed in place
	live   int      // bytes
	dead   int
}

const (
	keyChunk = 64 << 10
	maxKey   = 4 << 10 // bytes of a key; names are much shorter
	keySlack = 1 << 20 // bytes that are not worth packing
)

// A span is where a key is.
type span struct {
	chunk uint32
	off   uint16
	size  uint16
}

func (k *keys) add(key []byte) span {
	last := len(k.chunks) - 1
	if last < 0 || len(k.chunks[last])+len(key) > keyChunk {
		k.chunks = append(k.chunks, make([]byte, 0, keyChunk))
		last++
	}
	at := span{uint32(last), uint16(len(k.chunks[last])), uint16(len(key))}
	k.chunks[last] = append(k.chunks[last], key...)
	k.live += len(key)
	return at
}

// get returns a key, which must not be changed.
func (k *keys) get(s span) []byte {
	return k.chunks[s.chunk][s.off : int(s.off)+int(s.size)]
}

func (k *keys) remove(s span) {
	k.live -= int(s.size)
	k.dead += int(s.size)
}

// sparse reports whether more is dead than alive.
func (k *keys) sparse() bool { return k.dead > k.live+keySlack }
