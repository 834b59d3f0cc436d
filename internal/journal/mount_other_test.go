//go:build !linux

package journal_test

import "testing"

// mountSmall makes a small volume, which it can on Linux alone.
func mountSmall(t *testing.T) (dir string) {
	t.Skip("a small volume is mounted on Linux alone")
	return ""
}
