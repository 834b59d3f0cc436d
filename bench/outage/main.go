// Command outage lets a destination die under load, and holds rialto to what it promises of circuits.
//
//	load ──► the destination dies ──► the circuit opens ──► events park ──► the destination is back, but weak ──► drained
//	                              kill -9               kill -9                                     kill -9 half-open, and in the drain
//
// The server is the real binary in a process of its own; the destination is part of this program. When it comes back it bears
// little, and more every second; given twice what it bears it falls over again, which is a second outage. In the end every
// acknowledged event must have arrived, nothing may be left, those that were parked must have come in their order but for what was
// under way at a time, the destination must not have fallen over, and the default bus must have told of every change. Otherwise the
// program says what is wrong and exits with 1. Duplicates are allowed and counted.
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
	parked int    // events put while the circuit is open
	kill   bool   // kill the server in each phase
	keep   bool   // keep the data directory and the log in any case
	binary string // "" builds it
}

func main() {
	c := config{}
	flag.IntVar(&c.parked, "parked", 100_000, "how many events are put while the circuit is open")
	flag.BoolVar(&c.kill, "kill", true, "kill the server in each phase")
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
