package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rialto-events/rialto/internal/server"
	"github.com/rialto-events/rialto/internal/targets/http"
	"github.com/rialto-events/rialto/internal/tuning"
	"github.com/rialto-events/rialto/target"
)

const envPrefix = "RIALTO_"

// settings is all that can be set about `rialto serve`. Each has a flag; the flag's name is its key in the file and, in capitals
// behind RIALTO_, its variable. The command line beats the environment, which beats the file.
type settings struct {
	server      server.Config
	addressFile string
	logLevel    string
	logFormat   string
	file        string

	flags   *pflag.FlagSet
	origins map[string]string // of each value that is no default: "--listen", "RIALTO_LISTEN", or the path of the file
}

// Formats of the log.
const (
	logAuto = "auto" // text on a terminal, else JSON
	logText = "text"
	logJSON = "json"
)

func newSettings() *settings {
	s := &settings{flags: pflag.NewFlagSet("serve", pflag.ContinueOnError), origins: map[string]string{}, logLevel: "info", logFormat: logAuto}
	c, fs := &s.server, s.flags
	fs.SortFlags = false
	fs.StringVar(&c.Listen, "listen", server.DefaultListen, "`ADDRESS` Serve on this host and port; port 0 is any that is free.")
	fs.StringVar(&c.DataDir, "data-dir", server.DefaultData, "`FOLDER` Keep everything in this folder, which is made if it is not there.")
	fs.StringVar(&c.PublicURL, "public-url", "", "`URL` Where clients reach the server. Queue URLs begin with it.")
	describe(fs, "public-url", "the host that each client names")
	fs.StringVar(&c.Credentials, "credentials", "", "`FILE` Access keys, in the format of ~/.aws/credentials with aws_account_id. Signatures are verified and bus policies enforced.")
	describe(fs, "credentials", "anybody is believed")
	fs.BoolVar(&c.Insecure, "insecure", false, "Serve on other addresses than loopback although anybody is believed.")
	fs.StringVar(&c.VaultDir, "vault-dir", "", "`FOLDER` Where the keys are that seal the secrets of connections; made if there are none.")
	describe(fs, "vault-dir", "the data folder")
	fs.Var(&places{&c.AllowTargets, &c.AllowHosts}, "allow-targets", "`PLACES` Private networks and hosts that API destinations may be in, separated by commas, such as 10.0.0.0/8,*.internal.")
	describe(fs, "allow-targets", "none, or loopback if the server itself listens there, without credentials")
	fs.Var(&places{&c.DenyTargets, &c.DenyHosts}, "deny-targets", "`PLACES` Networks and hosts that API destinations must not be in, even if they are public or allowed.")
	describe(fs, "deny-targets", "none")
	fs.Var(functions(&c.Functions), "function", "`NAME=WHAT` What a Lambda function is: a URL, or a program that speaks the Lambda Runtime API. May be repeated; the file has more under functions.")
	describe(fs, "function", "none")
	fs.StringVar(&c.LogDir, "log-dir", "", "`FOLDER` Where the files of log groups are.")
	describe(fs, "log-dir", "the folder logs in the data folder")
	fs.Var(natsTargets(&c.NATSTargets), "nats-target", "`NAME=URL` A NATS server for targets, such as edge=nats://n1:4222. May be repeated; the file has more under nats-targets.")
	describe(fs, "nats-target", "none")
	fs.Var(kafkaClusters(&c.Kafka), "kafka", "`NAME=BROKERS` A Kafka cluster for targets, such as default=k1:9092,k2:9092. May be repeated; the file has more under kafka.")
	describe(fs, "kafka", "none")
	fs.IntVar(&c.Window, "window", 0, "`N` How many attempts may run at once to one destination.")
	describe(fs, "window", "64")
	fs.Var((*breaker)(&c.Breaker), "breaker", "`BREAKER` When the circuit of a destination opens, such as 50%/30s/20 for half of at least 20 attempts, or off. Rules have a tag for it.")
	describe(fs, "breaker", "50%/30s/20")
	fs.BoolVar(&c.AWSQuotas, "aws-quotas", false, "Enforce AWS's quotas where rialto's own are larger.")
	fs.BoolVar(&c.Relaxed, "relaxed", false, "Sync the disk once a second and not before each answer. A power failure may then lose a second of what was acknowledged.")
	fs.Var((*clockMode)(&c.Virtual), "clock", "`CLOCK` The clock: real, or virtual for tests, which stands still until \"rialto clock advance\" moves it.")
	fs.Var((*moment)(&c.ClockStart), "clock-start", "`TIME` Where a virtual clock begins, such as 2026-01-01T00:00:00Z. In a data folder that knows a later time it goes on there.")
	describe(fs, "clock-start", "the present")
	fs.Var((*byteSize)(&c.MaxBytes), "max-bytes", "`SIZE` What the stored data may grow to, such as 20GiB.")
	describe(fs, "max-bytes", "what the disk has room for")
	fs.StringVar(&c.MetricsListen, "metrics-listen", "", "`ADDRESS` Serve /metrics on this host and port, to whoever reaches it.")
	describe(fs, "metrics-listen", "/metrics of the server, for signed requests if there are credentials")
	fs.Var((*byteSize)(&c.ExplainMemory), "explain-memory", "`SIZE` What \"rialto explain\" may remember in memory, such as 256MiB: a third of it for what was delivered.")
	describe(fs, "explain-memory", "48MiB")
	fs.IntVar(&c.Shards, "shards", 0, "`N` How many shards a new data folder or cluster gets. It cannot be changed later.")
	describe(fs, "shards", "1, or 32 with --nats")
	fs.StringVar(&c.NATS, "nats", "", "`URL` A NATS JetStream cluster that keeps the data instead of the folder, such as nats://n1:4222,nats://n2:4222.")
	describe(fs, "nats", "the data folder")
	fs.StringVar(&c.NATSCreds, "nats-creds", "", "`FILE` NATS credentials for the cluster.")
	fs.IntVar(&c.Replicas, "replicas", 0, "`N` How many servers of the cluster keep each record, 1 or 3.")
	describe(fs, "replicas", "1")
	fs.Var(&choice{&s.logLevel, []string{"debug", "info", "warn", "error"}}, "log-level", "`LEVEL` Log what is at least this important: debug, info, warn or error.")
	fs.Var(&choice{&s.logFormat, []string{logAuto, logText, logJSON}}, "log-format", "`FORMAT` Write the log, on standard error, as text or json.")
	describe(fs, "log-format", "text on a terminal, else json")
	fs.StringVar(&s.addressFile, "address-file", "", "`FILE` Write the address to this file once the server is ready; for port 0.")
	fs.StringVar(&s.file, "config", "", "`FILE` Read settings from this YAML file; names are those of the flags without the dashes.")
	fs.VisitAll(func(f *pflag.Flag) { _ = fs.SetAnnotation(f.Name, envOf, []string{envName(f.Name)}) })
	return s
}

func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// load completes what the command line says from the environment and from the file.
func (s *settings) load(environ []string) error {
	fromEnv := koanf.New(".")
	byName := map[string]string{}
	s.flags.VisitAll(func(f *pflag.Flag) {
		byName[envName(f.Name)] = f.Name
		if f.Changed {
			s.origins[f.Name] = "--" + f.Name
		}
	})
	// Variables that are no settings are left alone: others are of this family, such as RIALTO_ENDPOINT, and Kubernetes
	// makes some for every service. An empty one counts as not set.
	err := fromEnv.Load(env.Provider(".", env.Opt{
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if value == "" {
				return "", nil
			}
			return byName[name], value
		},
	}), nil)
	if err != nil {
		return fmt.Errorf("read the environment: %w", err)
	}
	if err := s.apply(fromEnv, func(name string) string { return envName(name) }); err != nil {
		return err
	}
	if s.file == "" {
		return nil
	}
	fromFile := koanf.New("\x00") // names of functions may have dots
	if err := fromFile.Load(file.Provider(s.file), yaml.Parser()); err != nil {
		if _, statErr := os.Stat(s.file); statErr != nil {
			return statErr
		}
		return usagef("a line such as listen: 127.0.0.1:4566", "The file %s is not YAML with settings: %v.", s.file, err)
	}
	return s.apply(fromFile, func(string) string { return s.file })
}

// apply takes over the values of a layer that no higher one has given.
func (s *settings) apply(layer *koanf.Koanf, origin func(name string) string) error {
	raw := layer.Raw()
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if name == remotesKey {
			if err := (*remotes)(&s.server.Remotes).read(raw[name]); err != nil {
				return usagef("docs/targets.md, which shows one", "%s: %s: %v.", origin(name), name, err)
			}
			s.origins[name] = origin(name)
			continue
		}
		key := name
		name = cmp.Or(nestedKeys[key], key)
		f := s.flags.Lookup(name)
		if all, ok := raw[key].(map[string]any); ok && f != nil {
			if n, ok := f.Value.(nested); ok {
				if err := n.merge(all); err != nil {
					return usagef("docs/targets.md, which shows one", "%s: %s: %v.", origin(name), key, err)
				}
				s.origins[name] = strings.TrimPrefix(s.origins[name]+", "+origin(name), ", ")
				continue
			}
		}
		if f == nil || name == "config" && origin(name) == s.file {
			return s.unknownKey(key)
		}
		if s.origins[name] != "" {
			continue
		}
		text, err := textOf(raw[key])
		if err == nil {
			err = f.Value.Set(text)
		}
		if err != nil {
			return usagef("rialto serve --help, which says what it may be", "%s: %v is not a value for %s: %s.", origin(name), raw[key], key, wanted(f, err))
		}
		s.origins[name] = origin(name)
	}
	return nil
}

func (s *settings) unknownKey(name string) error {
	if name == "config" {
		return usagef("take the line out", "%s: a file of settings cannot name another one with \"config\".", s.file)
	}
	var names []string
	s.flags.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	names = append(names, remotesKey)
	names = append(names, slices.Sorted(maps.Keys(nestedKeys))...)
	return usagef(meant(name, names, "", "rialto config print, which shows all settings"), "%s: there is no setting %q.", s.file, name)
}

// textOf is a value of a file as it would be written on the command line.
func textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case map[string]any:
		return "", fmt.Errorf("it has settings below it")
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			part, err := textOf(x)
			if err != nil {
				return "", err
			}
			parts[i] = part
		}
		return strings.Join(parts, ","), nil
	}
	return fmt.Sprint(v), nil
}

// logger makes the log, on w.
func (s *settings) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.logLevel)) // knows all that the flag takes
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: spans}
	if s.text(w) {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// spans writes a span of time with its unit, such as "31ms", which JSON would have as a bare number.
func spans(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// text reports whether w is to be written for people.
func (s *settings) text(w io.Writer) bool {
	return s.logFormat == logText || s.logFormat == logAuto && isTerminal(w)
}

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config COMMAND",
		Short: "Show the settings of the server",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigPrint())
	return cmd
}

func newConfigPrint() *cobra.Command {
	s := newSettings()
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print each setting, its value, and where the value is from",
		Long: `Prints the settings that "rialto serve" would have with the same flags, here and now, and where each value is from:
a flag, a variable, the file, or nowhere, which makes it the default.`,
		Example: `  rialto config print --config rialto.yaml
  RIALTO_LISTEN=127.0.0.1:0 rialto config print --output json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.load(os.Environ()); err != nil {
				return err
			}
			return s.print(cmd.OutOrStdout(), output)
		},
	}
	cmd.Flags().SortFlags = false
	output.declare(cmd.Flags(), asTable, asJSON)
	cmd.Flags().AddFlagSet(s.flags)
	return cmd
}

// A setting is one line of `config print`.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

func (s *settings) print(w io.Writer, output outputFormat) error {
	var all []setting
	s.flags.VisitAll(func(f *pflag.Flag) {
		x := setting{f.Name, f.Value.String(), s.origins[f.Name]}
		if f.Name == "nats" {
			x.Value = withoutPasswords(x.Value)
		}
		if x.From == "" {
			x.From = "default"
			x.Value = defaultText(f)
		}
		all = append(all, x)
	})
	if from := s.origins[remotesKey]; from != "" {
		all = append(all, setting{remotesKey, remotes(s.server.Remotes).String(), from})
	}
	if output == asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SETTING\tVALUE\tFROM")
	for _, x := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\n", x.Name, x.Value, x.From)
	}
	return t.Flush()
}

// withoutPasswords takes out of a list of URLs what may be secret: passwords, users without one, which NATS takes for tokens, and
// the values of queries.
func withoutPasswords(urls string) string {
	parts := strings.Split(urls, ",")
	for i, p := range parts {
		u, err := url.Parse(strings.TrimSpace(p))
		if err != nil {
			parts[i] = "(not a URL)"
			continue
		}
		if _, named := u.User.Password(); u.User != nil && !named {
			u.User = url.User("xxxxx")
		}
		query := u.Query()
		for key := range query {
			query.Set(key, "xxxxx")
		}
		if u.RawQuery != "" {
			u.RawQuery = query.Encode()
		}
		if u.User != nil || u.RawQuery != "" {
			parts[i] = u.Redacted()
		}
	}
	return strings.Join(parts, ",")
}

// places is a flag of IP networks and hosts. A bare address is a network of one.
type places struct {
	networks *[]netip.Prefix
	hosts    *[]http.HostPattern
}

func (p *places) Type() string { return "places" }

func (p *places) String() string {
	var parts []string
	for _, n := range *p.networks {
		parts = append(parts, n.String())
	}
	for _, h := range *p.hosts {
		parts = append(parts, string(h))
	}
	return strings.Join(parts, ",")
}

func (p *places) Set(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if network, err := netip.ParsePrefix(part); err == nil && !network.Addr().Is4In6() { // which no address would be in
			*p.networks = append(*p.networks, network.Masked())
		} else if address, err := netip.ParseAddr(part); err == nil {
			address = address.WithZone("").Unmap()
			*p.networks = append(*p.networks, netip.PrefixFrom(address, address.BitLen()))
		} else if host, err := http.ParseHostPattern(part); err == nil {
			*p.hosts = append(*p.hosts, host)
		} else {
			return fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor a host such as db.example.com or *.internal", part)
		}
	}
	return nil
}

// breaker is a flag that says when circuits open.
type breaker target.Breaker

func (b *breaker) Type() string { return "breaker" }

func (b *breaker) String() string {
	switch {
	case b.Off:
		return "off"
	case b.Failures == 0:
		return ""
	}
	s := fmt.Sprintf("%s%%/%s", strconv.FormatFloat(b.Failures*100, 'g', -1, 64), b.Window)
	if b.Volume > 0 {
		s += "/" + strconv.Itoa(b.Volume)
	}
	return s
}

func (b *breaker) Set(s string) error {
	set, err := tuning.ParseBreaker(s)
	if err == nil {
		*b = breaker(set)
	}
	return err
}

// clockMode is a flag that says whether the clock is virtual.
type clockMode bool

func (c *clockMode) Type() string { return "clock" }

func (c *clockMode) String() string {
	if *c {
		return "virtual"
	}
	return "real"
}

func (c *clockMode) Set(s string) error {
	if s != "real" && s != "virtual" {
		return errors.New("it is real or virtual")
	}
	*c = s == "virtual"
	return nil
}

// moment is a flag of a time.
type moment time.Time

func (m *moment) Type() string { return "moment" }

func (m *moment) String() string {
	if time.Time(*m).IsZero() {
		return ""
	}
	return time.Time(*m).Format(time.RFC3339Nano)
}

func (m *moment) Set(s string) error {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return errors.New("it is a time such as 2026-01-01T00:00:00Z")
	}
	*m = moment(t.UTC())
	return nil
}

// byteSize is a flag of bytes, such as 512MiB. Decimal units are decimal.
type byteSize int64

var byteUnits = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

func (b *byteSize) Type() string   { return "size" }
func (b *byteSize) String() string { return strconv.FormatInt(int64(*b), 10) }

func (b *byteSize) Set(s string) error {
	for _, u := range byteUnits {
		number, ok := strings.CutSuffix(strings.ToLower(s), strings.ToLower(u.name))
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(n >= 0 && n*u.bytes < 1<<62) { // NaN is neither
			break
		}
		*b = byteSize(n * u.bytes)
		return nil
	}
	return fmt.Errorf("it is a size such as 20GiB")
}
