package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newClock() *cobra.Command {
	var c client
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "clock",
		Short: "Look at the clock of the server, and move a virtual one",
		Long: `Shows what time it is for the server. With "rialto serve --clock=virtual" time stands still until it is moved, and everything goes by
it: schedules, retries, visibility timeouts and delays of queues, retention, replays. A test of a month takes a moment then.`,
		Example: `  rialto clock
  rialto clock advance 720h
  rialto clock advance --to 2026-03-01T00:00:00Z`,
		Args: knownCommand,
	}
	cmd.Flags().SortFlags = false
	output.declare(cmd.Flags(), asPretty, asJSON)
	c.declare(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var is struct {
			Mode string    `json:"mode"`
			Now  time.Time `json:"now"`
			Next *struct {
				At   time.Time `json:"at"`
				What string    `json:"what"`
			} `json:"next,omitempty"`
			Busy []string `json:"busy,omitempty"`
		}
		if err := c.ask(cmd.Context(), http.MethodGet, "clock", nil, nil, &is); err != nil {
			return err
		}
		if output == asJSON {
			return indented(cmd.OutOrStdout(), is)
		}
		w := cmd.OutOrStdout()
		fmt.Fprintf(w, "%s, by a %s clock\n", is.Now.Format(time.RFC3339Nano), printable(is.Mode))
		if is.Next != nil {
			fmt.Fprintf(w, "next   %s, of %s\n", is.Next.At.Format(time.RFC3339Nano), printable(is.Next.What))
		}
		if len(is.Busy) > 0 {
			fmt.Fprintf(w, "busy   %s\n", printable(strings.Join(is.Busy, ", ")))
		}
		return nil
	}
	cmd.AddCommand(newClockAdvance())
	return cmd
}

func newClockAdvance() *cobra.Command {
	var c client
	var output outputFormat
	var to string
	cmd := &cobra.Command{
		Use: "advance SPAN", Short: "Move a virtual clock",
		Long: `Moves the clock from one thing that is due to the next, and waits at each until all that it sets off has come to its end. What takes
longer than ten seconds, such as a call to a target that does not answer, is left behind, and named. An interrupt stops the clock where it is.`,
		Example: `  rialto clock advance 90s
  rialto clock advance --to 2026-03-01T00:00:00Z`,
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&to, "to", "", "`TIME` To this time, such as 2026-03-01T00:00:00Z.")
	output.declare(cmd.Flags(), asPretty, asJSON)
	c.declare(cmd.Flags())
	cmd.Args = func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) > 1 || (len(args) == 1) == (to != ""):
			return usagef("rialto clock advance 720h, or --to 2026-03-01T00:00:00Z", "Say either by how much the clock is to be moved, or to which time.")
		case to != "":
			if _, err := time.Parse(time.RFC3339, to); err != nil {
				return usagef("--to 2026-03-01T00:00:00Z", "%q is not a time.", to)
			}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asked := map[string]string{"to": to}
		if to == "" {
			asked = map[string]string{"by": args[0]}
		}
		var m struct {
			Mode        string    `json:"mode"`
			From        time.Time `json:"from"`
			Now         time.Time `json:"now"`
			Stops       int       `json:"stops"`
			Fired       uint64    `json:"fired"`
			Delivered   uint64    `json:"delivered"`
			Failed      uint64    `json:"failed"`
			DeadLetters uint64    `json:"deadLetters"`
			Left        []string  `json:"left,omitempty"`
		}
		c.endless = true
		if err := c.ask(cmd.Context(), http.MethodPost, "clock/advance", nil, asked, &m); err != nil {
			return err
		}
		if output == asJSON {
			return indented(cmd.OutOrStdout(), m)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s, %s later: schedules fired %d times, %d deliveries arrived, %d attempts failed, %d dead letters\n",
			m.Now.Format(time.RFC3339Nano), m.Now.Sub(m.From), m.Fired, m.Delivered, m.Failed, m.DeadLetters)
		if len(m.Left) > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "Not waited for to the end: %s.\n", printable(strings.Join(m.Left, ", ")))
		}
		return nil
	}
	return cmd
}
