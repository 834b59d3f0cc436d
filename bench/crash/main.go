// Command crash kills a loaded server again and again, and accounts for everything that it had acknowledged.
//
//	                   ┌─► queue "direct" ────────────────────┐
//	callers ─► event ──┼─► webhook of this program            ├─► ledger: acknowledged? seen on every way? twice?
//	                   ├─► bus "second" ─► queue "over" ──────┤
//	                   └─► a webhook that fails ─► queue "dead"┘
//	callers ─► message ──► queue "plain" ─► received, deleted
//	callers ─► bus "line" ─► webhook: once each, and in order?
//
// The server is the real binary in a process of its own. While 64 callers load it, it is killed at random moments as kill -9 does,
// some of them while it recovers from the last one, and started again. It must be ready within five seconds each time. In
// the end every acknowledged event must have arrived on all four ways or still wait, every acknowledged message must have been
// received, no acknowledged delete undone and no acknowledged definition be missing. On the bus "line", which orders its events by key
// and knows them again, callers put each event until they have an answer: each must be accepted once, and a key's must come in their
// order. Otherwise the program names what is lost and exits with 1. Duplicates are allowed and listed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// readyLimit is how long a server may take to be ready after it was killed.
const readyLimit = 5 * time.Second

// A config says how hard to try.
type config struct {
	rounds  int
	callers int
	seed    uint64 // of the moments at which the server is killed
	keep    bool   // keep the data directory and the log in any case
	binary  string // "" builds it
}

func main() {
	c := config{}
	flag.IntVar(&c.rounds, "rounds", 20, "how often to kill the server")
	flag.IntVar(&c.callers, "callers", 64, "how many call it at the same time")
	flag.Uint64Var(&c.seed, "seed", uint64(time.Now().UnixNano()), "of the moments at which it is killed")
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
