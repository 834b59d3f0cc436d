// Command fifo holds a FIFO queue to its word while everybody around it fails.
//
//	producers ─► message n of group g, ten in a call, until there is an answer; ─► FIFO ─► consumers that delete what they
//	             now and then once more, although there was one                     queue     get, in part, or not at all
//
// The server is the real binary in a process of its own, and is killed as kill -9 does again and again. A consumer is sometimes gone with
// what it holds, and its visibility timeout ends. The ledger knows what was sent and what was deleted, and names every message that
// comes out of its group's order, comes back after it was deleted, is there twice, or is lost. Any of them ends the program with 1.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// A config says how hard to try.
type config struct {
	messages  int
	groups    int
	producers int
	consumers int
	kills     int
	seed      uint64
	keep      bool   // keep the data directory and the log in any case
	binary    string // "" builds it
}

func main() {
	c := config{}
	flag.IntVar(&c.messages, "messages", 1_000_000, "how many messages to send")
	flag.IntVar(&c.groups, "groups", 200, "in how many groups")
	flag.IntVar(&c.producers, "producers", 16, "how many send them")
	flag.IntVar(&c.consumers, "consumers", 50, "how many receive them")
	flag.IntVar(&c.kills, "kills", 20, "how often to kill the server")
	flag.Uint64Var(&c.seed, "seed", uint64(time.Now().UnixNano()), "of what goes wrong")
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
