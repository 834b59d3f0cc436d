// Command schedules makes a million one-off schedules that are due within one minute, and accounts for each of them:
//
//	go run ./bench/schedules                       # how late they fire
//	go run ./bench/schedules -kills 20             # kill -9 meanwhile, into a FIFO queue
//
//	schedule n, at(second) ─► queue "due": {"n":n,"at":"…"} ─► ledger: fired? twice? how late?
//
// The server is the real binary in a process of its own. Without kills the target is a standard queue, which takes everything and keeps the
// moment at which it did, so that nobody looks on while the minute lasts: each schedule must fire once, and of a hundred ninety-nine not more than
// a second after the second for which it is planned. With kills, spread over the minute at random, the target is a FIFO queue that knows by
// its content what it has got before: each must be there once, however late. Otherwise the program names what is wrong and exits with 1.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// A config says how much there is to do.
type config struct {
	schedules int
	within    time.Duration // of the first to be due the last is
	lead      time.Duration // from now until the first is due; all have to be made by then
	callers   int           // make and receive
	kills     int
	late      time.Duration // that 99 of 100 may be late at most; 0 does not ask
	seed      uint64        // of the moments at which the server is killed
	keep      bool          // keep the data directory and the log in any case
	binary    string        // "" builds it
}

func main() {
	c := config{}
	flag.IntVar(&c.schedules, "schedules", 1_000_000, "how many schedules to make")
	flag.DurationVar(&c.within, "within", time.Minute, "in which all of them are due")
	flag.DurationVar(&c.lead, "lead", 0, "how long to take for making them; 0 is what 3,000 a second need")
	flag.IntVar(&c.callers, "callers", 64, "how many make schedules and receive messages")
	flag.IntVar(&c.kills, "kills", 0, "how often to kill the server while they are due")
	flag.DurationVar(&c.late, "late", time.Second, "how late 99 of 100 may be, if the server is not killed; 0 does not ask")
	flag.Uint64Var(&c.seed, "seed", uint64(time.Now().UnixNano()), "of the moments at which it is killed")
	flag.BoolVar(&c.keep, "keep", false, "keep the data directory and the log of the server, also if all went well")
	flag.StringVar(&c.binary, "binary", "", "a binary that is built already")
	flag.Parse()
	if c.lead == 0 {
		c.lead = 15*time.Second + time.Duration(c.schedules)*time.Second/3000
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
