//go:build !unix

package bench

import "time"

var began = time.Now()

// cpuTime stands in for the time that the process has computed, where that is not known.
func cpuTime() time.Duration { return time.Since(began) }
