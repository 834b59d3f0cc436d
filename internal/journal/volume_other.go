//go:build !linux && !darwin && !freebsd && !windows

package journal

import "math"

// volumeOf does not know: the volume counts as large and empty, and a full one is noticed when a write fails.
func volumeOf(string) (size, free int64, err error) { return math.MaxInt64 / 4, math.MaxInt64 / 4, nil }
