package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/connections"
	targetshttp "github.com/rialto-events/rialto/internal/targets/http"
)

func newConnection() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "connection COMMAND",
		Short: "Look after connections of API destinations",
		Long: `A connection holds what API destinations are called with. The AWS CLI makes one (aws events create-connection); these commands do
what that cannot: say whether it works, and give it certificates.`,
		Example: `  rialto connection list
  rialto connection test crm
  rialto connection tls crm --cert crm.pem --key crm.key --ca authority.pem`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConnectionList(), newConnectionTest(), newConnectionTLS())
	return cmd
}

// oneName takes the name of a connection, and nothing else.
func oneName(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return usagef(cmd.CommandPath()+" NAME", "%s needs the name of a connection; rialto connection list shows them.", cmd.CommandPath())
	case 1:
		return nil
	}
	return atMostOne(cmd, args)
}

func newConnectionList() *cobra.Command {
	var c client
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List connections and what uses them",
		Long:  "Lists the connections of the account and region, their state and why they are in it, and the API destinations that use them.",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer struct {
				Connections []connections.Summary `json:"connections"`
			}
			if err := c.ask(cmd.Context(), http.MethodGet, "connections", nil, nil, &answer); err != nil {
				return err
			}
			if output == asJSON {
				return indented(cmd.OutOrStdout(), answer)
			}
			if len(answer.Connections) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "There are no connections. aws events create-connection makes one.")
				return nil
			}
			return listConnections(cmd.OutOrStdout(), answer.Connections)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	output.declare(fs, asPretty, asJSON)
	c.declare(fs)
	return cmd
}

func listConnections(w io.Writer, list []connections.Summary) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tAUTHORIZATION\tSTATE\tCERTIFICATES\tAPI DESTINATIONS\tREASON")
	for _, c := range list {
		own := ""
		if c.TLS {
			own = "own"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Name, c.Authorization, c.State, own, strings.Join(c.Destinations, ","), printable(c.Reason))
	}
	return t.Flush()
}

// connectionTestFlags is the command line of `rialto connection test`.
type connectionTestFlags struct {
	client client
	trial  connections.Trial
	body   string
	output outputFormat
}

func newConnectionTest() *cobra.Command {
	var f connectionTestFlags
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Make a call by a connection and show what happens",
		Long: `Gets a token if the connection needs one, makes a call with everything that the connection adds, and shows what was resolved,
dialled and agreed on, and the answer; or which step failed, and what to try. The call is real: whoever is called sees it.

It calls the API destination that uses the connection; if several do, say which one, or say a URL. Exit code 1 says that it failed.`,
		Example: `  rialto connection test crm
  rialto connection test crm --destination crm-orders --body '{"test": true}'
  rialto connection test crm --url https://crm.example/health`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.trial.Destination, "destination", "", "`NAME` Call this API destination of the connection.")
	describe(fs, "destination", "the only one")
	fs.StringVar(&f.trial.URL, "url", "", "`URL` Call this instead.")
	fs.StringVar(&f.trial.Method, "method", "", "`METHOD` Call with this method.")
	describe(fs, "method", "the destination's; of a URL, GET")
	fs.StringSliceVar(&f.trial.PathParameters, "path", nil, "`VALUES` Put these in the place of each * in the endpoint.")
	fs.StringVar(&f.body, "body", "", "`JSON` Send this; @FILE reads it from a file.")
	describe(fs, "body", "{}")
	f.output.declare(fs, asPretty, asJSON)
	f.client.declare(fs)
	return cmd
}

func (f *connectionTestFlags) run(cmd *cobra.Command, name string) error {
	body, err := argument(f.body, cmd.InOrStdin())
	if err != nil {
		return err
	}
	f.trial.Body = string(body)
	var report targetshttp.Report
	if err := f.client.ask(cmd.Context(), http.MethodPost, "connections/"+url.PathEscape(name)+"/test", nil, f.trial, &report); err != nil {
		return err
	}
	if f.output == asJSON {
		if err := indented(cmd.OutOrStdout(), report); err != nil {
			return err
		}
	} else {
		s := &story{w: colored(cmd.OutOrStdout()), width: widthOf(cmd.OutOrStdout(), unknownWidth), now: time.Now()}
		s.report(&report)
		if s.err != nil {
			return s.err
		}
	}
	if !report.OK {
		return &failure{message: fmt.Sprintf("The connection does not work: the step %q failed.", report.Failed)}
	}
	return nil
}

// report tells of a call that was tried.
func (s *story) report(r *targetshttp.Report) {
	s.leg("token", r.Token)
	s.leg("call", r.Call)
	if r.OK {
		s.line(0, "%s", good.Render("It works."))
		return
	}
	s.line(0, "%s", bad.Render("It fails at the step "+r.Failed+"."))
	s.wrapped(2, strong, r.Reason)
	if r.Try != "" {
		s.wrapped(2, faint, r.Try)
	}
}

func (s *story) leg(name string, l *targetshttp.Leg) {
	if l == nil {
		return
	}
	s.line(0, "%s %s %s", heading.Render(name), l.Method, printable(l.URL))
	s.header("> ", l.Sent)
	if len(l.Resolved) > 0 {
		s.line(2, "resolved  %s", strings.Join(l.Resolved, ", "))
	}
	if l.Dialed != "" {
		s.line(2, "dialled   %s", l.Dialed)
	}
	if h := l.TLS; h != nil {
		s.handshake(h)
	}
	if l.Status != 0 {
		s.line(2, "status    %d %s after %.1f ms", l.Status, http.StatusText(l.Status), l.Millis)
	} else {
		s.line(2, "no answer after %.1f ms", l.Millis)
	}
	s.header("< ", l.Headers)
	if l.Head != "" {
		s.line(2, "%s", printable(l.Head))
	}
}

func (s *story) handshake(h *targetshttp.Handshake) {
	agreed := strings.TrimSpace(h.Version + " " + h.Protocol)
	if agreed == "" {
		agreed = "no agreement"
	}
	if h.Asked {
		agreed += ", asks for a client certificate"
	}
	s.line(2, "TLS       %s", agreed)
	for _, c := range h.Peer {
		s.line(4, "%s", certificateLine(c))
	}
}

func certificateLine(c targetshttp.Certificate) string {
	return fmt.Sprintf("%s, of %s, until %s", printable(c.Subject), printable(c.Issuer), c.Expires.Format(time.DateOnly))
}

func (s *story) header(mark string, h map[string][]string) {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		s.line(2, "%s", faint.Render(mark+name+": "+printable(strings.Join(h[name], ", "))))
	}
}

// connectionTLSFlags is the command line of `rialto connection tls`.
type connectionTLSFlags struct {
	client        client
	cert, key, ca string // files
	serverName    string
	remove        bool
	output        outputFormat
}

func newConnectionTLS() *cobra.Command {
	var f connectionTLSFlags
	cmd := &cobra.Command{
		Use:   "tls NAME",
		Short: "Give a connection certificates, or show those it has",
		Long: `Gives a connection a certificate to prove itself with, and authorities to believe instead of the system's. They replace those that it
had, and count from the next call on. Without a flag it shows what the connection has; the key is sealed and never shown.

Authorization servers get the certificate, too; for them the system's authorities are believed as well.`,
		Example: `  rialto connection tls crm
  rialto connection tls crm --cert crm.pem --key crm.key --ca authority.pem
  rialto connection tls crm --remove`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.cert, "cert", "", "`FILE` The certificate in PEM, followed by those that lead to its authority.")
	fs.StringVar(&f.key, "key", "", "`FILE` Its private key in PEM, without a passphrase.")
	fs.StringVar(&f.ca, "ca", "", "`FILE` Authorities in PEM that are believed.")
	describe(fs, "ca", "the system's")
	fs.StringVar(&f.serverName, "server-name", "", "`NAME` The name in the certificate of the destination.")
	describe(fs, "server-name", "that of its endpoint")
	fs.BoolVar(&f.remove, "remove", false, "Take the certificates of the connection away.")
	f.output.declare(fs, asPretty, asJSON)
	f.client.declare(fs)
	return cmd
}

func (f *connectionTLSFlags) run(cmd *cobra.Command, name string) error {
	path := "connections/" + url.PathEscape(name) + "/tls"
	gives := f.cert != "" || f.key != "" || f.ca != "" || f.serverName != ""
	if f.remove {
		if gives {
			return usagef(cmd.CommandPath()+" "+name+" --remove", "--remove takes the certificates away, and goes with none that are given.")
		}
		if err := f.client.ask(cmd.Context(), http.MethodDelete, path, nil, nil, new(struct{})); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "Connection %s has no certificates of its own any more.\n", name)
		return nil
	}
	method, in := http.MethodGet, any(nil)
	if gives {
		material, err := f.read()
		if err != nil {
			return err
		}
		method, in = http.MethodPut, material
	}
	var answer connections.TLS
	if err := f.client.ask(cmd.Context(), method, path, nil, in, &answer); err != nil {
		return err
	}
	if f.output == asJSON {
		return indented(cmd.OutOrStdout(), answer)
	}
	return showTLS(cmd.OutOrStdout(), cmd.ErrOrStderr(), &answer)
}

// read reads the files.
func (f *connectionTLSFlags) read() (*catalog.TLSMaterial, error) {
	m := &catalog.TLSMaterial{ServerName: f.serverName}
	for _, file := range []struct {
		flag, path string
		text       *string
	}{{"--cert", f.cert, &m.Certificate}, {"--key", f.key, &m.Key}, {"--ca", f.ca, &m.CA}} {
		if file.path == "" {
			continue
		}
		b, err := os.ReadFile(file.path)
		if err != nil {
			return nil, &failure{message: sentence(fmt.Sprintf("%s cannot be read: %v", file.flag, err)), try: "a file with certificates or a key in PEM", cause: err}
		}
		*file.text = string(b)
	}
	return m, nil
}

func showTLS(w, errOut io.Writer, t *connections.TLS) error {
	s := &story{w: w, width: unknownWidth}
	for _, c := range t.Certificate {
		s.line(0, "certificate  %s", certificateLine(c))
	}
	for _, c := range t.CA {
		s.line(0, "ca           %s", certificateLine(c))
	}
	if t.ServerName != "" {
		s.line(0, "server name  %s", t.ServerName)
	}
	for _, warning := range t.Warnings {
		fmt.Fprintln(errOut, "Warning:", printable(warning))
	}
	return s.err
}
