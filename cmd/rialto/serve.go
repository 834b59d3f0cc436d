package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/server"
	"github.com/rialto-events/rialto/internal/tracing"
)

func newServe() *cobra.Command {
	s := newSettings()
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server",
		Long: `Serves the APIs of EventBridge and SQS until it is told to stop, by SIGTERM or an interrupt; it then answers what is in
progress, writes what must be kept, and exits with 0. A second signal ends it at once, which loses nothing that was acknowledged.

"Ready." alone on a line of standard output says that requests are served. Everything else goes to standard error.

Spans go to a collector of OpenTelemetry if the environment names one, such as OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318.

Every setting can be a flag, a variable, or a line of the file; the first of them counts. An empty variable counts as not set.
In a container the memory limit of Go is set to nine tenths of the container's, unless GOMEMLIMIT says otherwise.`,
		Example: `  rialto serve
  rialto serve --listen 127.0.0.1:0 --address-file address.txt      # in scripts: wait for "Ready.", read the address
  rialto serve --listen 0.0.0.0:4566 --credentials keys.ini --data-dir /var/lib/rialto
  RIALTO_LOG_LEVEL=debug rialto serve --config rialto.yaml`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.load(os.Environ()); err != nil {
				return err
			}
			return serve(cmd.Context(), s, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().AddFlagSet(s.flags)
	return cmd
}

// serve runs a server until ctx ends.
func serve(ctx context.Context, s *settings, out, errOut io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c := s.server
	c.Logger = s.logger(errOut)
	var err error
	if c.Tracing, err = tracing.Wanted(os.Getenv); err != nil {
		return usagef("leave the variables of OpenTelemetry out, or correct them", "%s", err)
	}
	limitMemory(c.Logger)
	go beThrifty(ctx)
	srv, err := server.Open(ctx, c)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // told to stop before it began
	}
	if err != nil {
		return s.refused(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	select {
	case <-srv.Ready():
	case err := <-ended:
		return err
	}
	if c.Virtual && s.text(errOut) {
		fmt.Fprintln(errOut, "\nThe clock is virtual: time stands still until \"rialto clock advance\" moves it.")
	}
	if err := s.announce(srv.Addr(), out, errOut); err != nil {
		stop() // whoever waits to hear of it would wait for ever
		return errors.Join(err, <-ended)
	}
	return <-ended
}

// refused makes of an error of the server, before it served, what the person who started it can act on.
func (s *settings) refused(err error) error {
	e, ok := errors.AsType[*rialto.Error](err)
	switch {
	case ok && e.Cause == nil && (e.Kind == rialto.Invalid || e.Kind == rialto.Denied):
		return &usageError{e.Message, "rialto config print, which says where each setting is from; rialto serve --help says what it may be"}
	case !ok && s.server.NATS != "":
		// The URL may hold a password.
		return &failure{
			message: sentence(strings.ReplaceAll(err.Error(), s.server.NATS, withoutPasswords(s.server.NATS))),
			try:     "nats server check jetstream, which says whether the cluster can be reached; --nats and --nats-creds say where it is",
			cause:   err,
		}
	}
	return err
}

// announce tells people, then scripts, that the server is ready.
func (s *settings) announce(address string, out, errOut io.Writer) error {
	data := withoutPasswords(s.server.NATS)
	if data == "" {
		data = s.server.DataDir
		if abs, err := filepath.Abs(data); err == nil {
			data = abs
		}
	}
	if s.text(errOut) {
		endpoint := "http://" + reachable(address)
		variables := "AWS_ENDPOINT_URL=" + endpoint
		if s.server.Credentials == "" {
			variables += " AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=" + string(rialto.DefaultRegion)
		}
		fmt.Fprintf(colored(errOut), banner, heading.Render("rialto "+server.Version), endpoint, data, variables, strong.Render(invocation()+" tail"))
	} else {
		s.logger(errOut).Info("serving", "address", address, "data", data)
	}
	if s.addressFile != "" {
		if err := writeWhole(s.addressFile, address+"\n"); err != nil {
			return fmt.Errorf("write the address: %w", err)
		}
	}
	_, err := fmt.Fprintln(out, "Ready.") // what containers' tools wait for
	return err
}

const banner = `
%s
  serves   %s
  data     %s
  clients  export %s
  try      %s, in another terminal with those variables

`

// invocation is how this program was started, for commands to copy.
func invocation() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/rialto"
	}
	return os.Args[0]
}

// reachable is an address that a client on this machine can use, if the server listens on all.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsUnspecified() {
		return address
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// writeWhole writes a file so that whoever sees it sees all of it.
func writeWhole(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".address-*")
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644) // for whoever waits for it
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
