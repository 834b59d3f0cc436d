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
// deliveries that wait. Where little lives and much is thrown away it then collects all the time; that may be more while it lasts.
const (
	roomForGarbage = 96 << 20               // bytes; if more lives, the collector begins before there is as much again
	leastGarbage   = 25                     // percent of what lives, however much that is
	mostGarbage    = 400                    // percent of what lives, however little that is
	thriftEvery    = 100 * time.Millisecond // the two are looked at
	collectEvery   = 500 * time.Millisecond // if what is thrown away until then has room
	smoothed       = 10                     // looks over which the rate is taken
)

// beThrifty keeps the collector to that until ctx ends, unless GOGC says otherwise.
func beThrifty(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	tick := time.NewTicker(thriftEvery)
	defer tick.Stop()
	is := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(is)
	made, rate := is[1].Value.Uint64(), uint64(0) // bytes, and bytes a look
	for at := 100; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(is)
		now := is[1].Value.Uint64()
		rate = (rate*(smoothed-1) + now - made) / smoothed
		made = now
		percent := garbagePercent(is[0].Value.Uint64(), rate*uint64(collectEvery/thriftEvery))
		if worthIt(at, percent) {
			at = percent
			debug.SetGCPercent(at)
		}
	}
}

// worthIt reports whether a new percentage is another one: setting it stops everything for a moment.
func worthIt(was, is int) bool { return is < was*4/5 || is > was*5/4 }

// garbagePercent is the garbage that there may be, as a percentage of what lives, when so many bytes are made between two collections as those
// are to be apart.
func garbagePercent(live, made uint64) int {
	live = max(live, 1)
	room := min(roomForGarbage, max(live, made))
	return int(min(mostGarbage, max(leastGarbage, 100*room/live)))
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
