package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/rialto-events/rialto/internal/server"
)

// A build is what can be told about this binary.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"`     // of the commit
	Modified bool   `json:"modified,omitempty"` // there were changes beyond the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// buildOf reads what the Go tool has written into the binary. `go run` writes no commit.
func buildOf() build {
	b := build{Version: server.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b build) String() string {
	commit := "commit unknown"
	if b.Commit != "" {
		commit = "commit " + b.Commit[:min(12, len(b.Commit))]
	}
	if b.Modified {
		commit += " with changes"
	}
	return fmt.Sprintf("rialto %s (%s, %s, %s)", b.Version, commit, b.Go, b.Platform)
}

func newVersion() *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and the version of Go",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output == asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(buildOf())
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), buildOf())
			return err
		},
	}
	output.declare(cmd.Flags(), asText, asJSON)
	return cmd
}
