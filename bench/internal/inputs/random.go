package inputs

import "math/bits"

// A random makes the random numbers of the inputs (splitmix64). It is written out here so that the inputs stay the same
// whatever the Go release; for the same reason products that are then added to are converted to float64, which keeps the
// compiler from fusing the two.
type random struct{ state uint64 }

const seed = 1 // of all inputs

func newRandom() *random {
	s := uint64(seed)
	return &random{s*0x9E3779B97F4A7C15 + 0x1234567}
}

func (r *random) u64() uint64 {
	r.state += 0x9E3779B97F4A7C15
	z := r.state
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB
	return z ^ (z >> 31)
}

// n returns a number in [0, m).
func (r *random) n(m int) int {
	hi, _ := bits.Mul64(r.u64(), uint64(m))
	return int(hi)
}

// between returns a number in [lo, hi].
func (r *random) between(lo, hi int) int { return lo + r.n(hi-lo+1) }

// f returns a number in [0, 1).
func (r *random) f() float64 { return float64(r.u64()>>11) / (1 << 53) }

func (r *random) chance(p float64) bool { return r.f() < p }

func pick[T any](r *random, list []T) T { return list[r.n(len(list))] }

// skew returns a number in [0, m), low ones much more often than high ones.
func (r *random) skew(m int) int {
	x := r.f()
	return int(float64(m)*x*x*x) % m
}

func (r *random) letters(n int, alphabet string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.n(len(alphabet))]
	}
	return string(b)
}

func shuffle[T any](r *random, list []T) {
	for i := len(list) - 1; i > 0; i-- {
		j := r.n(i + 1)
		list[i], list[j] = list[j], list[i]
	}
}

const (
	hexDigits = "0123456789abcdef"
	digits    = "0123456789"
	base62    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func (r *random) uuid() string {
	h := r.letters(32, hexDigits)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}
