// Replays fills an archive of a server that runs as a process of its own, and replays it in every way that is promised something about:
//
//	go run ./bench/replays                        # or: make replays; takes some minutes
//	go run ./bench/replays -events 100000         # a smaller archive
//
// It counts the archive before and after kill -9, asks for a dry run, replays a part in order at a set rate, pauses, resumes and changes the
// speed, replays everything as fast as it goes to a bus without rules and to a target that takes everything, with the server's memory over
// time, kills the server in the middle of an ordered replay, flips a bit on the disk, and deletes the archive. It prints what it measures. What
// must hold ends the program with 1 if it does not: counts are exact; each event of a window is put once and delivered at least once, in the
// order of the archive; the rate is held; memory is flat; the damage is named and the rest is served; the disk gets its space back.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

// A config says how much there is to do.
type config struct {
	events int     // in the archive
	rate   float64 // events a second of the ordered replay
	within float64 // share by which the rate may be missed
	least  float64 // events a second that go to a target that takes everything; 0 does not ask
	kills  int     // in the middle of an ordered replay
	keep   bool    // keep the data directory and the log in any case
	binary string  // "" builds it
}

func main() {
	c := config{within: 0.05}
	flag.IntVar(&c.events, "events", 1_000_000, "how many events there are in the archive")
	flag.Float64Var(&c.rate, "rate", 500, "events a second of the ordered replay")
	flag.Float64Var(&c.least, "least", 50_000, "events a second that a replay as fast as possible must reach")
	flag.IntVar(&c.kills, "kills", 5, "how often the server is killed in the middle of an ordered replay")
	flag.BoolVar(&c.keep, "keep", false, "keep the data directory and the log of the server, also if all went well")
	flag.StringVar(&c.binary, "binary", "", "a binary that is built already")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
