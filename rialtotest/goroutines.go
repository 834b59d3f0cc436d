package rialtotest

import (
	"bytes"
	"context"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// A goroutine has the labels of the one that started it. So whatever a server starts, however deep, carries the server's label,
// and servers of tests that run in parallel are told apart.
const label = "rialtotest"

// labelled calls start such that all goroutines that come of it belong to the server with that name.
func labelled(ctx context.Context, name string, start func(context.Context)) {
	pprof.Do(ctx, pprof.Labels(label, name), start)
}

// shared are goroutines that whichever server comes first starts for all of the process, and the last one ends.
var shared = []string{"nats-server/v2/server/ats.Register"} // the coarse clock of JetStream's stores

// goroutines describes the goroutines that belong to a server.
func goroutines(name string) string {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a buffer takes everything
	// The profile has a paragraph for each stack, with a line such as: # labels: {"rialtotest":"1"}
	mark := `"` + label + `":"` + name + `"`
	var ours []string
	for paragraph := range strings.SplitSeq(profile.String(), "\n\n") {
		isShared := slices.ContainsFunc(shared, func(f string) bool { return strings.Contains(paragraph, f) })
		if strings.Contains(paragraph, mark) && !isShared {
			ours = append(ours, strings.TrimSpace(paragraph))
		}
	}
	return strings.Join(ours, "\n\n")
}

// leftovers is what is left of a server that has stopped, or empty. A goroutine that has done its last deed may need a moment
// to be gone.
func leftovers(name string) string {
	const patience = 3 * time.Second
	end := time.After(patience)
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		left := goroutines(name)
		if left == "" {
			return ""
		}
		select {
		case <-end:
			return left
		case <-look.C:
		}
	}
}
