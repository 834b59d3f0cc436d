package main

import (
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// A circuit is what the server says of one.
type circuit struct {
	ARN    string    `json:"arn"`
	State  string    `json:"state"`
	Forced bool      `json:"forced"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
	By     string    `json:"by,omitempty"`
	Parked int       `json:"parked"`
	Probe  time.Time `json:"probe,omitzero"`
}

func newCircuit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "circuit",
		Short: "Look at the circuits of destinations, open and close them",
		Long: `When too many attempts to reach a destination fail, its circuit opens: no attempt is made, and deliveries are kept. Single
probes find out when the destination is back; then what was kept drains at a rate that grows. What is decided here by hand
counts until it is decided otherwise, also over restarts.`,
		Example: `  rialto circuit list
  rialto circuit open arn:aws:sqs:us-east-1:000000000000:billing --reason "migration until noon"
  rialto circuit auto arn:aws:sqs:us-east-1:000000000000:billing`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCircuitList(),
		newCircuitSet("open", "open", "Keep all deliveries to a destination"),
		newCircuitSet("close", "closed", "Make all attempts, however they go"),
		newCircuitSet("auto", "auto", "Let a circuit decide by itself again"))
	return cmd
}

func newCircuitList() *cobra.Command {
	var c client
	var output outputFormat
	cmd := &cobra.Command{
		Use: "list", Short: "Show the circuits of destinations that are in use", Args: noArguments,
		Example: `  rialto circuit list
  rialto circuit list --output json | jq '.circuits[] | select(.state != "closed")'`,
	}
	cmd.Flags().SortFlags = false
	output.declare(cmd.Flags(), asPretty, asJSON)
	c.declare(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var answer struct {
			Circuits []circuit `json:"circuits"`
		}
		if err := c.ask(cmd.Context(), http.MethodGet, "circuits", nil, nil, &answer); err != nil {
			return err
		}
		switch {
		case output == asJSON:
			return indented(cmd.OutOrStdout(), answer)
		case len(answer.Circuits) == 0:
			fmt.Fprintln(cmd.ErrOrStderr(), "There is none: nothing was delivered lately.")
			return nil
		}
		return circuitTable(cmd, answer.Circuits...)
	}
	return cmd
}

func newCircuitSet(name, mode, short string) *cobra.Command {
	var c client
	var reason string
	var force bool
	var output outputFormat
	cmd := &cobra.Command{
		Use: name + " ARN", Short: short,
		Example: "  rialto circuit " + name + ` arn:aws:sqs:us-east-1:000000000000:billing --reason "migration until noon"`,
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` Why, for other people.")
	if mode != "auto" {
		cmd.Flags().BoolVar(&force, "force", false, "Also if nothing goes to the destination yet.")
	}
	output.declare(cmd.Flags(), asPretty, asJSON)
	c.declare(cmd.Flags())
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("rialto circuit list, which shows the ARNs", "Say which destination, by its ARN.")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var is circuit
		asked := map[string]any{"mode": mode, "reason": reason, "force": force}
		if err := c.ask(cmd.Context(), http.MethodPut, "circuits/"+url.PathEscape(args[0]), nil, asked, &is); err != nil {
			return err
		}
		if output == asJSON {
			return indented(cmd.OutOrStdout(), is)
		}
		return circuitTable(cmd, is)
	}
	return cmd
}

func circuitTable(cmd *cobra.Command, list ...circuit) error {
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DESTINATION\tSTATE\tBY\tPARKED\tSINCE\tREASON")
	for _, c := range list {
		by := "itself"
		if c.Forced {
			by = "hand"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\n", printable(c.ARN), c.State, by, c.Parked, c.Since.Local().Format(time.DateTime), printable(c.Reason))
	}
	return t.Flush()
}
