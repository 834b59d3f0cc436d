package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// A schedule is what the server says of one.
type schedule struct {
	ARN        string     `json:"arn"`
	Group      string     `json:"group"`
	Name       string     `json:"name"`
	Expression string     `json:"expression"`
	Zone       string     `json:"zone"`
	Enabled    bool       `json:"enabled"`
	Paused     bool       `json:"paused"`
	Target     string     `json:"target"`
	Last       time.Time  `json:"last,omitzero"`
	Next       []upcoming `json:"next"`
}

// An upcoming is a time at which a schedule is due.
type upcoming struct {
	Time  time.Time `json:"time"`
	Fires time.Time `json:"fires"`
}

// state is whether a schedule fires, in a word.
func (s *schedule) state() string {
	switch {
	case !s.Enabled:
		return "disabled"
	case s.Paused:
		return "paused"
	case len(s.Next) == 0:
		return "over"
	}
	return "enabled"
}

const defaultGroup = "default"

func newSchedule() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "See when schedules fire, let one fire now, pause a group",
		Long: `Schedules are made with the API of EventBridge Scheduler: aws scheduler create-schedule. Here one sees when they will fire, by
the clocks of their time zone, lets one fire at once, and stops all of a group for a while.`,
		Example: `  rialto schedule list
  rialto schedule next nightly --count 20
  rialto schedule fire nightly --group reports
  rialto schedule pause reports`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newScheduleList(), newScheduleNext(), newScheduleFire(), newSchedulePause("pause", true, "Stop the schedules of a group"),
		newSchedulePause("resume", false, "Let the schedules of a group go on"))
	return cmd
}

func newScheduleList() *cobra.Command {
	var c client
	var output outputFormat
	var group, prefix string
	cmd := &cobra.Command{
		Use: "list", Short: "Show schedules, and when each fires next", Args: noArguments,
		Example: `  rialto schedule list --group reports
  rialto schedule list --output json | jq -r '.schedules[].arn'`,
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&group, "group", "", "`NAME` Only those of a group.")
	cmd.Flags().StringVar(&prefix, "prefix", "", "`TEXT` Only those whose names begin with it.")
	output.declare(cmd.Flags(), asPretty, asJSON)
	c.declare(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all := []schedule{}
		for after := ""; ; {
			var answer struct {
				Schedules []schedule `json:"schedules"`
				More      bool       `json:"more"`
			}
			query := url.Values{"group": {group}, "prefix": {prefix}, "after": {after}}
			if err := c.ask(cmd.Context(), http.MethodGet, "schedules", query, nil, &answer); err != nil {
				return err
			}
			if all = append(all, answer.Schedules...); !answer.More {
				break
			}
			after = all[len(all)-1].ARN
		}
		switch {
		case output == asJSON:
			return indented(cmd.OutOrStdout(), map[string]any{"schedules": all})
		case len(all) == 0:
			fmt.Fprintln(cmd.ErrOrStderr(), "There is none. One is made with: aws scheduler create-schedule")
			return nil
		}
		t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "GROUP\tNAME\tEXPRESSION\tSTATE\tNEXT\tTARGET")
		for i := range all {
			s := &all[i]
			next := "-"
			if len(s.Next) > 0 {
				next = s.Next[0].Time.Format(time.RFC3339)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Group, s.Name, printable(s.Expression), s.state(), next, printable(s.Target))
		}
		return t.Flush()
	}
	return cmd
}

// oneSchedule asks for the name of a schedule.
func oneSchedule(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("rialto schedule list, which shows the names", "Say which schedule, by its name.")
	}
	return nil
}

func schedulePath(group, name string) string {
	return "schedules/" + url.PathEscape(group) + "/" + url.PathEscape(name)
}

func newScheduleNext() *cobra.Command {
	var c client
	var output outputFormat
	var group string
	var count int
	cmd := &cobra.Command{
		Use: "next NAME", Short: "Show when a schedule fires the next times", Args: oneSchedule,
		Long: `Shows the coming times of a schedule as the clocks of its time zone show them, with their offset, and in UTC. Where clocks change, the
offset does: a time that a zone leaves out is not in the list.`,
		Example: "  rialto schedule next nightly --count 20",
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&group, "group", defaultGroup, "`NAME` The group of the schedule.")
	cmd.Flags().IntVar(&count, "count", 10, "`N` How many times.")
	output.declare(cmd.Flags(), asPretty, asJSON)
	c.declare(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var s schedule
		query := url.Values{"count": {strconv.Itoa(count)}}
		if err := c.ask(cmd.Context(), http.MethodGet, schedulePath(group, args[0]), query, nil, &s); err != nil {
			return err
		}
		if output == asJSON {
			return indented(cmd.OutOrStdout(), s)
		}
		switch {
		case !s.Enabled:
			fmt.Fprintln(cmd.ErrOrStderr(), "The schedule is disabled: it does not fire.")
		case s.Paused:
			fmt.Fprintf(cmd.ErrOrStderr(), "The group %s is paused: these times pass, until it goes on. rialto schedule resume %s\n", s.Group, s.Group)
		case len(s.Next) == 0:
			fmt.Fprintln(cmd.ErrOrStderr(), "The schedule does not fire any more.")
		}
		if len(s.Next) == 0 {
			return nil
		}
		t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintf(t, "%s\tUTC\tFIRES\n", printable(s.Zone))
		for _, n := range s.Next {
			fires := "then"
			if late := n.Fires.Sub(n.Time); late > 0 {
				fires = late.String() + " later"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", n.Time.Format("Mon 2006-01-02 15:04:05 -07:00"), n.Time.UTC().Format("2006-01-02T15:04:05Z"), fires)
		}
		return t.Flush()
	}
	return cmd
}

func newScheduleFire() *cobra.Command {
	var c client
	var group string
	cmd := &cobra.Command{
		Use: "fire NAME", Short: "Let a schedule fire now", Args: oneSchedule,
		Long: `Makes an occurrence of a schedule now, also of one that is disabled. When it fires next is not changed. The id of the event is printed:
rialto explain ID shows what became of it.`,
		Example: "  rialto schedule fire nightly --group reports",
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&group, "group", defaultGroup, "`NAME` The group of the schedule.")
	c.declare(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var answer struct {
			EventID string `json:"eventId"`
		}
		if err := c.ask(cmd.Context(), http.MethodPost, schedulePath(group, args[0])+"/fire", nil, struct{}{}, &answer); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), answer.EventID)
		return nil
	}
	return cmd
}

func newSchedulePause(name string, paused bool, short string) *cobra.Command {
	var c client
	cmd := &cobra.Command{
		Use: name + " GROUP", Short: short,
		Long: `While a group is paused, none of its schedules fires. Occurrences of that time are not made up for, but for those of an at(), which fire
when the group goes on. It stays so over restarts.`,
		Example: "  rialto schedule " + name + " reports",
	}
	cmd.Flags().SortFlags = false
	c.declare(cmd.Flags())
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("rialto schedule list, which shows the groups", "Say which group, by its name.")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var is struct{}
		return c.ask(cmd.Context(), http.MethodPut, "schedule-groups/"+url.PathEscape(args[0]), nil, map[string]bool{"paused": paused}, &is)
	}
	return cmd
}
