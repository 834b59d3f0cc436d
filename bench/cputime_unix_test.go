//go:build unix

package bench

import (
	"syscall"
	"time"
)

// cpuTime is the time that the process has computed so far. Other work on the machine does not count, unlike with a clock.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
