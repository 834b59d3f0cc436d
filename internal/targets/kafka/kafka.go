// Package kafka delivers events to topics of Kafka. The operator names the clusters; the ARN of a target names one of them and a topic:
//
//	arn:rialto:kafka:us-east-1:000000000000:orders       the topic orders of the cluster called "default"
//	arn:rialto:kafka:::edge/orders                       the same topic of the cluster called "edge"; region and account may be empty
//
// A record counts as delivered when all replicas that are in sync have it. What the client repeats by itself is there once; a record
// whose attempt ended without an answer may be there twice, since it is sent again.
//
// The key is the value by which the rule orders its deliveries, so that Kafka keeps that order in one partition, and the event's id where
// there is none. Headers say what the event is, without reading it. Start with [New].
package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/target"
)

// DefaultCluster is the name of the cluster of ARNs that name none.
const DefaultCluster = "default"

const (
	sendTimeout = 15 * time.Second // of an attempt, unless the rule has one: time for a partition to change its leader
	lostTimeout = time.Minute      // after which a record that nobody waits for any more is given up

	maxBuffered      = 10_000   // records of a cluster that wait or are on their way
	maxBufferedBytes = 64 << 20 // of them; more than that is refused at once

	// Of a batch, whose records the client arranges as the brokers like them.
	mostMessages = 1000
	mostBytes    = 8 << 20
)

// A Cluster is a Kafka cluster.
type Cluster struct {
	Brokers []string // host:port of some of them
	TLS     bool
	CA      string // path of the certificates that brokers are checked with; "" is what the system trusts
	Cert    string // path of the client's certificate; may be empty
	Key     string // path of its key
	SASL    *SASL  // nil does not log in
}

// A SASL is how to log in.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	User      string
	Password  string
}

// Options tunes a Sender. The zero value is ready to use.
type Options struct {
	Logger *slog.Logger // nil discards
}

// A Sender delivers to topics.
type Sender struct {
	clusters map[string]*kgo.Client
}

var _ target.Batcher = (*Sender)(nil)

// New makes a Sender for clusters, each under its name. A connection is made when it is needed.
func New(clusters map[string]Cluster, o Options) (*Sender, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sender{make(map[string]*kgo.Client)}
	for name, c := range clusters {
		client, err := c.client(name, o.Logger)
		if err != nil {
			s.Close()
			return nil, rialto.Errorf(rialto.Invalid, "The Kafka cluster %s: %v.", name, err)
		}
		s.clusters[name] = client
	}
	return s, nil
}

func (c Cluster) client(name string, log *slog.Logger) (*kgo.Client, error) {
	if name == "" || strings.ContainsAny(name, "/: ") {
		return nil, fmt.Errorf("a cluster has a name such as %s or edge", DefaultCluster)
	}
	if len(c.Brokers) == 0 {
		return nil, errors.New("name at least one of its brokers, such as 127.0.0.1:9092")
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return nil, fmt.Errorf("%q is no broker, such as 127.0.0.1:9092", b)
		}
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.ClientID("rialto"), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordDeliveryTimeout(lostTimeout),
		kgo.MaxBufferedRecords(maxBuffered), kgo.MaxBufferedBytes(maxBufferedBytes), kgo.WithLogger(logger{log, name}),
	}
	config, err := c.tls()
	if err != nil {
		return nil, err
	}
	if config != nil {
		opts = append(opts, kgo.DialTLSConfig(config))
	}
	if c.SASL != nil {
		m, err := c.SASL.mechanism()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.SASL(m))
	}
	return kgo.NewClient(opts...)
}

// tls is how brokers are talked to in secret, or nil if they are not.
func (c Cluster) tls() (*tls.Config, error) {
	if !c.TLS {
		if c.CA != "" || c.Cert != "" || c.Key != "" {
			return nil, errors.New("ca, cert and key need tls: true")
		}
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("there is no certificate in %s", c.CA)
		}
	}
	if c.Cert != "" || c.Key != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func (s SASL) mechanism() (sasl.Mechanism, error) {
	switch strings.ToUpper(s.Mechanism) {
	case "PLAIN":
		return plain.Auth{User: s.User, Pass: s.Password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("the mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, not %q", s.Mechanism)
}

// Close closes the connections. Records that wait are given up.
func (s *Sender) Close() {
	for _, c := range s.clusters {
		c.Close()
	}
}

// Most bounds a batch.
func (s *Sender) Most(*target.Definition) (messages, bytes int) { return mostMessages, mostBytes }

// Send produces a record.
func (s *Sender) Send(ctx context.Context, m *target.Message) error {
	return s.SendBatch(ctx, []*target.Message{m})[0]
}

// SendBatch produces records in their order; each has its own result.
func (s *Sender) SendBatch(ctx context.Context, ms []*target.Message) []error {
	if len(ms) == 0 {
		return nil
	}
	errs := make([]error, len(ms))
	client, cluster, topic, err := s.find(ms[0].Definition.ARN)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	timeout := ms[0].Definition.Timeout
	if timeout <= 0 {
		timeout = sendTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if ctx.Err() != nil {
		for i := range errs {
			errs[i] = failure(ctx, cluster, topic, ctx.Err())
		}
		return errs
	}
	ends := make(chan end, len(ms)) // has room for all, so that no promise ever waits for us
	open := make(map[int]bool, len(ms))
	for i, m := range ms {
		r, err := record(topic, m)
		if err != nil {
			errs[i] = err
			continue
		}
		open[i] = true
		client.TryProduce(ctx, r, func(r *kgo.Record, err error) { ends <- end{i, r, err} })
	}
	for len(open) > 0 {
		select {
		case e := <-ends:
			if errors.Is(e.err, context.Canceled) && ctx.Err() == nil {
				// The client shares what it does for a partition, and somebody else's attempt was called off.
				client.TryProduce(ctx, e.record, func(r *kgo.Record, err error) { ends <- end{e.index, r, err} })
				continue
			}
			delete(open, e.index)
			if e.err != nil {
				errs[e.index] = failure(ctx, cluster, topic, e.err)
			} else {
				ms[e.index].Answer.Head = fmt.Sprintf(`{"partition":%d,"offset":%d}`, e.record.Partition, e.record.Offset)
			}
		case <-ctx.Done(): // a record that is on its way cannot be called back; it may still arrive
			for i := range open {
				errs[i] = failure(ctx, cluster, topic, ctx.Err())
			}
			return errs
		}
	}
	return errs
}

// An end is how one record of a batch ended.
type end struct {
	index  int
	record *kgo.Record
	err    error
}

// topicName is what Kafka allows (org.apache.kafka.common.internals.Topic).
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// find is the cluster and the topic that an ARN names.
func (s *Sender) find(text string) (client *kgo.Client, cluster, topic string, err error) {
	arn, err := rialto.ParseARN(text)
	cluster, topic, named := strings.Cut(arn.Resource, "/")
	if !named {
		cluster, topic = DefaultCluster, arn.Resource
	}
	if err != nil || arn.Service != "kafka" || !topicName.MatchString(topic) || topic == "." || topic == ".." {
		return nil, "", "", &target.Error{Code: target.CodeInvalidParameter, Permanent: true,
			Message: fmt.Sprintf("%s is not the ARN of a topic, such as arn:rialto:kafka:::%s/orders.", text, DefaultCluster)}
	}
	if client = s.clusters[cluster]; client == nil {
		return nil, "", "", &target.Error{Code: target.CodeNoResource, Permanent: true,
			Message: fmt.Sprintf("There is no Kafka cluster %s. Start rialto with --kafka %s=HOST:9092, or name the cluster under kafka: in its "+
				"file of settings.", cluster, cluster)}
	}
	return client, cluster, topic, nil
}

// Errors of brokers that say more than that it did not work (Kafka protocol, "Error codes").
var (
	missing = []error{kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InvalidTopicException}
	denied  = []error{kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed}
	login   = []error{kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState}
	unfit   = []error{kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp}
	slow    = []error{kgo.ErrMaxBuffered, kerr.ThrottlingQuotaExceeded}
	late    = []error{context.DeadlineExceeded, kgo.ErrRecordTimeout, kerr.RequestTimedOut}
)

// failure says what an error of the client means for the delivery. The client has tried what makes sense within the attempt: a topic
// that is unknown was asked for several times, of several brokers.
func failure(ctx context.Context, cluster, topic string, err error) error {
	is := func(errs []error) bool {
		return slices.ContainsFunc(errs, func(e error) bool { return errors.Is(err, e) })
	}
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return fmt.Errorf("produce to %s: %w", topic, err)
	}
	e := &target.Error{Code: target.CodeConnectionFailure, Cause: err}
	say := func(code, format string, args ...any) *target.Error {
		e.Code, e.Message = code, fmt.Sprintf(format, args...)
		return e
	}
	switch broker := (*kerr.Error)(nil); {
	case is(missing):
		e.Permanent = true
		return say(target.CodeNoResource, "The Kafka cluster %s has no topic %s. Make it, and bring the event back.", cluster, topic)
	case is(denied):
		e.Permanent = true
		return say(target.CodeNoPermissions, "The Kafka cluster %s does not let rialto write to the topic %s.", cluster, topic)
	case is(login): // not for good: the operator can correct what rialto logs in with
		return say(target.CodeNoPermissions, "The Kafka cluster %s does not let rialto log in.", cluster)
	case is(unfit):
		e.Permanent = true
		return say(target.CodeInvalidParameter, "The topic %s of the Kafka cluster %s does not take such a record: %v.", topic, cluster, err)
	case is(slow):
		return say(target.CodeThrottling, "The Kafka cluster %s takes no more records at the moment.", cluster)
	case is(late):
		return say(target.CodeTimeout, "The Kafka cluster %s did not acknowledge the record in time.", cluster)
	case errors.As(err, &broker):
		return say(target.CodeErrorFromTarget, "The topic %s of the Kafka cluster %s did not take the record: %s.", topic, cluster, broker.Message)
	}
	return say(target.CodeConnectionFailure, "The Kafka cluster %s cannot be reached.", cluster)
}

// A logger hands on what the client has to say of its troubles.
type logger struct {
	to      *slog.Logger
	cluster string
}

// Level keeps the client from writing what nobody reads.
func (l logger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log writes a line.
func (l logger) Log(_ kgo.LogLevel, msg string, pairs ...any) {
	l.to.Warn("Kafka target has trouble", append([]any{"cluster", l.cluster, "what", msg}, pairs...)...)
}
