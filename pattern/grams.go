package pattern

import "sync/atomic"

// grams finds short texts anywhere in a value: a window of each length in use slides over it, and a filter sorts out most
// windows before they are looked up.
type grams struct {
	affixes
	filter [64]atomic.Uint64
}

const maxGram = 4 // bytes of a gram

// expect lets windows of a text pass the filter.
func (g *grams) expect(text string) {
	h := gramHash([]byte(text))
	w := &g.filter[h>>6]
	w.Store(w.Load() | 1<<(h&63))
}

// gramHash returns 12 bits.
func gramHash(window []byte) uint32 {
	h := uint32(len(window))
	for _, c := range window {
		h = h<<8 | h>>24 ^ uint32(c)
	}
	return h * 0x9e3779b1 >> 20
}

func (g *grams) find(s *Scratch, text []byte) {
	for _, n := range g.loadLengths() {
		for i := n; i <= len(text); i++ {
			window := text[i-n : i]
			if h := gramHash(window); g.filter[h>>6].Load()&(1<<(h&63)) != 0 {
				s.tryEntry(g.dict.find(window))
			}
		}
	}
}
