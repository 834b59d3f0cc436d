// Command rialto is Amazon EventBridge in one binary.
//
//	rialto demo      see events flow through rules to queues and webhooks; needs nothing and leaves nothing
//	rialto serve     run a server; its settings come from flags, RIALTO_* variables and a YAML file
//	rialto put       put events on a bus
//	rialto tail      follow the events of a bus
//	rialto explain   say what happened to an event, and why it did not arrive
//	rialto circuit   look at the circuits of destinations, open and close them
//	rialto clock     look at the clock of the server, and move a virtual one
//	rialto vault     add a key that seals secrets
//	rialto redrive   bring dead letters back to their targets; dead-letters shows them, redrives shows what runs
//	rialto archive   look into archives, carry events out of them and into them
//	rialto replay    put what an archive has kept onto a bus again
//
// It promises what scripts rely on: results on standard output, everything else on standard error; exit code 0 for success, 1
// for a failure, 2 for a command line that makes no sense and 130 for what was interrupted before its end; a failure is one sentence and
// a line "Try:" with what to do next. An interrupt ends a command in order, a second one at once.
//
// Each command has a file of its own; hints.go turns errors into sentences, config.go knows every setting of the server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func main() { os.Exit(run(os.Args[1:])) }

// run carries out a command line and returns its exit code.
func run(args []string) int {
	ctx, release := interruptible(context.Background())
	defer release()
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	complain(os.Stderr, err)
	return exitCode(err)
}

// sameWish is how long after a signal another one says nothing new: a terminal and a parent process, such as timeout(1), may
// both pass one on.
const sameWish = 300 * time.Millisecond

// interruptible returns a context that ends with the first SIGINT or SIGTERM. The second one ends the process: whoever asks
// twice does not want to wait.
func interruptible(ctx context.Context) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		var first time.Time
		for range signals {
			switch {
			case first.IsZero():
				first = time.Now()
				cancel()
			case time.Since(first) > sameWish:
				os.Exit(exitInterrupted)
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel()
	}
}

const about = `rialto is Amazon EventBridge that runs anywhere: buses, rules, queues and webhooks in one binary that the
AWS CLI, the SDKs and Terraform talk to unchanged. What it has accepted survives a kill -9.`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "rialto COMMAND",
		Short: "Amazon EventBridge that runs anywhere",
		Long:  about,
		Example: `  rialto demo                          # see events flow; needs nothing, leaves nothing
  rialto serve                         # serve on 127.0.0.1:4566, data in ./rialto-data
  rialto put --source shop --detail-type paid --detail '{"total": 250}'
  rialto tail --pattern '{"detail": {"total": [{"numeric": [">", 100]}]}}'
  rialto explain 019ab3c4-5d6e-7f80-9123-456789abcdef      # the id that put has printed`,
		Version:       buildOf().String(),
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(usage)
	root.AddCommand(newDemo(), newServe(), newPut(), newTail(), newExplain(), newDeadLetters(), newRedrive(), newRedrives(), newArchive(), newReplay(), newSchedule(), newCircuit(), newClock(), newConnection(),
		newConfig(), newVault(), newVersion())
	return root
}

// knownCommand refuses a command that does not exist.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return &usageError{
		message: fmt.Sprintf("There is no command %q.", cmd.CommandPath()+" "+args[0]),
		try:     meant(args[0], names, cmd.CommandPath()+" ", cmd.CommandPath()+" --help"),
	}
}

// noArguments refuses arguments that are not flags.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &usageError{
		message: fmt.Sprintf("%s takes flags only, so %q means nothing to it.", cmd.CommandPath(), args[0]),
		try:     cmd.CommandPath() + " --help",
	}
}

// flagError turns a complaint about a flag into a usage error that knows a better one.
func flagError(cmd *cobra.Command, err error) error {
	try := cmd.CommandPath() + " --help"
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		name := "--" + unknown.GetSpecifiedName()
		return &usageError{fmt.Sprintf("%s has no flag %s.", cmd.CommandPath(), name), meant(name, names, cmd.CommandPath()+" ", try)}
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		f := invalid.GetFlag()
		return &usageError{fmt.Sprintf("%q is not a value for --%s: %s.", invalid.GetValue(), f.Name, wanted(f, invalid.Unwrap())), try}
	}
	return &usageError{sentence(err.Error()), try}
}

// wanted says what a flag takes; err is why it did not take something.
func wanted(f *pflag.Flag, err error) string {
	switch f.Value.Type() {
	case "int":
		return "it takes a whole number"
	case "float64":
		return "it takes a number"
	case "bool":
		return "it takes true or false"
	case "duration":
		return "it takes a time such as 15s or 2m"
	}
	return err.Error()
}

// usage writes how a command is used, after its description.
func usage(cmd *cobra.Command) error {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "Usage:\n  %s\n", cmd.UseLine())
	if cmd.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nCommands:\n")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() && c.Name() != "help" {
				fmt.Fprintf(w, "  %-12s %s\n", c.Name(), c.Short)
			}
		}
		fmt.Fprintf(w, "\n%s COMMAND --help says more about each.\n", cmd.CommandPath())
	}
	describeFlags(w, cmd.LocalFlags())
	return nil
}

// Annotations of a flag, for its description.
const (
	envOf     = "env"     // the variable that sets it, too
	defaultOf = "default" // its default in words, where the value alone does not say it
)

// describe notes in words what a flag is if it is not given.
func describe(fs *pflag.FlagSet, name, ifAbsent string) {
	_ = fs.SetAnnotation(name, defaultOf, []string{ifAbsent}) // fails for an unknown name only
}

// Layout of descriptions, in columns.
const (
	flagColumn = 29
	flagWidth  = 78
)

// describeFlags writes what each flag does, its default, and the variable that sets it. A usage text begins with what stands for
// the value, in backquotes.
func describeFlags(w io.Writer, fs *pflag.FlagSet) {
	title := "\nFlags:\n"
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || f.Name == "version" {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		text = strings.TrimPrefix(text, value+" ")
		head := strings.TrimRight("  --"+f.Name+" "+value, " ")
		text += "\n[default: " + defaultText(f) + "]"
		if env := f.Annotations[envOf]; env != nil {
			text += " [" + env[0] + "]"
		}
		io.WriteString(w, title)
		title = ""
		indent := "\n" + strings.Repeat(" ", flagColumn)
		if len(head) >= flagColumn {
			head += indent
		}
		fmt.Fprintf(w, "%-*s%s\n", flagColumn, head, strings.ReplaceAll(lipgloss.Wrap(text, flagWidth, " "), "\n", indent))
	})
}

func defaultText(f *pflag.Flag) string {
	if words := f.Annotations[defaultOf]; words != nil {
		return words[0]
	}
	if f.DefValue == "" || f.DefValue == "[]" {
		return "none"
	}
	return f.DefValue
}
