package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rialto-events/rialto/internal/targets/kafka"
	"github.com/rialto-events/rialto/internal/targets/lambda"
	"github.com/rialto-events/rialto/internal/targets/nats"
)

// A nested setting is a map from names to things with settings of their own, such as functions. The file says all about them, under a
// key in the plural; a flag, which can be given several times, says what is enough for most: NAME=TEXT. Each name counts for
// itself, so that the command line can replace one function of the file.
//
//	functions:
//	  billing: http://127.0.0.1:8080          # as with --function billing=http://127.0.0.1:8080
//	  orders: {command: [./orders], timeout: 30s}
type nested interface {
	// merge takes what the file says, of names that are not there yet.
	merge(v map[string]any) error
}

// nestedKeys are the keys of nested settings in the file, and their flags.
var nestedKeys = map[string]string{"functions": "function", "nats-targets": "nats-target", "kafka": "kafka"}

// A byName is a nested setting.
type byName[T any] struct {
	all     *map[string]T
	implied string                        // the name, where the flag names none; empty if it has to
	short   func(text string) (T, error)  // what the flag says
	long    func(value []byte) (T, error) // what the file says, as JSON
	show    func(T) string                // without secrets
}

func (n *byName[T]) Type() string { return "setting" }

func (n *byName[T]) String() string {
	if n.all == nil {
		return ""
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(*n.all)) {
		parts = append(parts, name+"="+n.show((*n.all)[name]))
	}
	return strings.Join(parts, " ")
}

// Set takes one NAME=TEXT.
func (n *byName[T]) Set(s string) error {
	name, text, ok := strings.Cut(s, "=")
	if scheme := strings.Contains(name, "://"); n.implied != "" && (!ok || scheme) {
		name, text, ok = n.implied, s, true
	}
	if !ok || name == "" || text == "" {
		return fmt.Errorf("it is NAME=VALUE")
	}
	one, err := n.short(text)
	if err != nil {
		return err
	}
	n.put(name, one)
	return nil
}

func (n *byName[T]) put(name string, one T) {
	if *n.all == nil {
		*n.all = make(map[string]T)
	}
	(*n.all)[name] = one
}

func (n *byName[T]) merge(v map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if _, there := (*n.all)[name]; there {
			continue
		}
		text, short := v[name].(string)
		var one T
		var err error
		if short {
			one, err = n.short(text)
		} else {
			var b []byte
			if b, err = json.Marshal(v[name]); err == nil {
				one, err = n.long(b)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "json: "))
		}
		n.put(name, one)
	}
	return nil
}

// span is a time such as 30s.
type span time.Duration

func (s *span) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	*s = span(d)
	return err
}

// texts are texts by name, some of which YAML takes for numbers or truths.
type texts map[string]string

func (t *texts) UnmarshalJSON(b []byte) error {
	var all map[string]any
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(&all); err != nil {
		return err
	}
	*t = make(texts, len(all))
	for name, v := range all {
		text, err := textOf(v)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		(*t)[name] = text
	}
	return nil
}

// functions are those of lambda targets.
func functions(all *map[string]lambda.Function) *byName[lambda.Function] {
	return &byName[lambda.Function]{
		all: all,
		short: func(text string) (f lambda.Function, err error) {
			u, err := url.Parse(text)
			switch {
			case err != nil || u.Scheme != "http" && u.Scheme != "https":
				f.Command = strings.Fields(text)
			case strings.HasPrefix(u.Path, "/2015-03-31/functions/"): // which only the Invoke API has
				f.InvokeURL = text
			default:
				f.URL = text
			}
			return f, nil
		},
		long: func(b []byte) (lambda.Function, error) {
			var t struct {
				URL       string   `json:"url"`
				InvokeURL string   `json:"invoke-url"`
				Headers   texts    `json:"headers"`
				Command   []string `json:"command"`
				Dir       string   `json:"dir"`
				Env       texts    `json:"env"`
				Timeout   span     `json:"timeout"`
				Instances int      `json:"instances"`
				Idle      span     `json:"idle"`
			}
			err := strict(b, &t)
			return lambda.Function{
				URL: t.URL, InvokeURL: t.InvokeURL, Headers: t.Headers, Command: t.Command, Dir: t.Dir, Env: t.Env,
				Timeout: time.Duration(t.Timeout), Instances: t.Instances, Idle: time.Duration(t.Idle),
			}, err
		},
		show: func(f lambda.Function) string {
			if len(f.Command) > 0 {
				return strings.Join(f.Command[:1], "") // arguments may hold anything
			}
			return withoutPasswords(f.URL + f.InvokeURL)
		},
	}
}

// natsTargets are servers of NATS.
func natsTargets(all *map[string]nats.Server) *byName[nats.Server] {
	return &byName[nats.Server]{
		all: all, implied: nats.DefaultServer,
		short: func(text string) (nats.Server, error) { return nats.Server{URL: text}, nil },
		long: func(b []byte) (nats.Server, error) {
			var t struct {
				URL         string `json:"url"`
				Credentials string `json:"credentials"`
				JetStream   string `json:"jetstream"`
			}
			err := strict(b, &t)
			return nats.Server{URL: t.URL, Credentials: t.Credentials, JetStream: nats.Mode(t.JetStream)}, err
		},
		show: func(s nats.Server) string { return withoutPasswords(s.URL) },
	}
}

// kafkaClusters are clusters of Kafka.
func kafkaClusters(all *map[string]kafka.Cluster) *byName[kafka.Cluster] {
	return &byName[kafka.Cluster]{
		all: all, implied: kafka.DefaultCluster,
		short: func(text string) (kafka.Cluster, error) {
			return kafka.Cluster{Brokers: strings.Split(strings.ReplaceAll(text, " ", ""), ",")}, nil
		},
		long: func(b []byte) (c kafka.Cluster, err error) {
			var t struct {
				Brokers []string `json:"brokers"`
				TLS     bool     `json:"tls"`
				CA      string   `json:"ca"`
				Cert    string   `json:"cert"`
				Key     string   `json:"key"`
				SASL    *struct {
					Mechanism string `json:"mechanism"`
					User      string `json:"user"`
					Password  secret `json:"password"`
				} `json:"sasl"`
			}
			if err = strict(b, &t); err != nil {
				return c, err
			}
			c = kafka.Cluster{Brokers: t.Brokers, TLS: t.TLS, CA: t.CA, Cert: t.Cert, Key: t.Key}
			if s := t.SASL; s != nil {
				c.SASL = &kafka.SASL{Mechanism: cmp.Or(s.Mechanism, "PLAIN"), User: s.User, Password: string(s.Password)}
			}
			return c, nil
		},
		show: func(c kafka.Cluster) string { return strings.Join(c.Brokers, ",") },
	}
}
