package main

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// memoryShare is how much of a container's memory Go may use: the rest is for what Go does not count, such as stacks of system
// threads and pages of mapped files.
const memoryShare = 0.9

// limitMemory tells Go about the memory limit of the container, so that it collects garbage more often instead of being killed.
// It does so only if GOMEMLIMIT is not set. Outside of a container there is no limit: the rest of the machine's memory is
// not ours to judge.
func limitMemory(logger *slog.Logger) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	limit, ok := containerMemory(os.DirFS("/"))
	if !ok {
		return
	}
	limit = int64(float64(limit) * memoryShare)
	debug.SetMemoryLimit(limit)
	logger.Debug("memory limit set from the container", "bytes", limit)
}

// How much garbage may lie about. Go by itself lets there be as much as what lives: little where little lives, and a lot with a million
// deliveries that wait.
const (
	roomForGarbage = 96 << 20 // bytes; if more lives, the collector begins before there is as much again
	leastGarbage   = 25       // percent of what lives, however much that is
	thriftEvery    = 100 * time.Millisecond
)

// beThrifty keeps the collector to that until ctx ends, unless GOGC says otherwise.
func beThrifty(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	tick := time.NewTicker(thriftEvery)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for at := 100; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(live)
		if percent := garbagePercent(live[0].Value.Uint64()); percent != at {
			at = percent
			debug.SetGCPercent(at)
		}
	}
}

// garbagePercent is the garbage that there may be, as a percentage of what lives, in steps that are worth a change.
func garbagePercent(live uint64) int {
	const step = 5
	percent := int(min(100, 100*roomForGarbage/max(live, 1)))
	return max(leastGarbage, percent/step*step)
}

// containerMemory is the smallest memory limit of the control groups (v2) that this process is in.
func containerMemory(root fs.FS) (bytes int64, ok bool) {
	b, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		group, isV2 := strings.CutPrefix(strings.TrimSpace(line), "0::/")
		if !isV2 {
			continue
		}
		for dir := path.Clean(group); ; dir = path.Dir(dir) {
			if limit, found := memoryMax(root, path.Join("sys/fs/cgroup", dir, "memory.max")); found && (!ok || limit < bytes) {
				bytes, ok = limit, true
			}
			if dir == "." {
				break
			}
		}
	}
	return bytes, ok
}

// memoryMax reads a limit; "max" is none.
func memoryMax(root fs.FS, name string) (int64, bool) {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil && n > 0
}
