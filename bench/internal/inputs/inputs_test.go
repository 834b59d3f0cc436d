package inputs

import (
	"crypto/sha256"
	"fmt"
	"testing"
)

// TestInputsStayTheSame compares with what was measured first, so that figures of different times can be compared.
func TestInputsStayTheSame(t *testing.T) {
	var rules [][]byte
	for i, r := range Mixed(10_000, false) {
		rules = append(rules, fmt.Appendf(nil, `{"name":"r%d","pattern":%s}`, i, r.Pattern))
	}
	for _, c := range []struct {
		name  string
		lines [][]byte
		want  string
	}{
		{"500 events", Events(500), "cd73d9a54838655a"},
		{"10,000 rules", rules, "807cf5437f1f691f"},
		{"500 lines of citylots", CityLots(500), "3fd9714c1caca0b6"},
	} {
		h := sha256.New()
		for _, line := range c.lines {
			h.Write(append(line, '\n'))
		}
		if got := fmt.Sprintf("%x", h.Sum(nil)[:8]); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
