package server

import (
	"net"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/targets/kafka"
	"github.com/rialto-events/rialto/internal/targets/lambda"
	"github.com/rialto-events/rialto/internal/targets/logs"
	"github.com/rialto-events/rialto/internal/targets/nats"
	"github.com/rialto-events/rialto/target"
)

// kinds are the senders to what the operator has configured: programs, folders and servers. They have to be closed.
type kinds struct {
	functions *lambda.Sender
	logs      *logs.Sender
	nats      *nats.Sender
	kafka     *kafka.Sender
}

// openKinds makes them, or says what is wrong with how they are configured.
func (s *Server) openKinds() error {
	c := s.config
	s.kinds.logs = logs.New(c.LogDir, logs.Options{Logger: c.Logger})
	opts := lambda.Options{Logger: c.Logger, Output: s.printed}
	if c.Credentials == "" {
		opts.Endpoint = "http://" + reachable(s.listen.Addr())
	}
	var errs [3]error
	s.kinds.functions, errs[0] = lambda.New(c.Functions, opts)
	s.kinds.nats, errs[1] = nats.New(c.NATSTargets, nats.Options{Logger: c.Logger})
	s.kinds.kafka, errs[2] = kafka.New(c.Kafka, kafka.Options{Logger: c.Logger})
	for _, err := range errs {
		if err != nil {
			return err // one is enough to begin with
		}
	}
	return nil
}

// printed keeps what a function prints where Lambda does: in a log group of its name.
func (s *Server) printed(function rialto.ARN, name string, at time.Time, line string) {
	s.kinds.logs.Output(function.Scope(), "/aws/lambda/"+name, at, line)
}

// reachable is an address at which programs on this machine reach a listener.
func reachable(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return a.String()
	}
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.Port}).String()
}

// of is the kind for an ARN, or nil if it is none of these. A function that is configured here is, even if all others are elsewhere.
func (k *kinds) of(arn rialto.ARN, claimed bool) target.Sender {
	switch {
	case arn.Service == "lambda" && (!claimed || k.functions.Knows(arn)):
		return k.functions
	case arn.Service == "logs" && !claimed:
		return k.logs
	case arn.Service == "nats" && arn.Partition == rialto.OwnPartition:
		return k.nats
	case arn.Service == "kafka" && arn.Partition == rialto.OwnPartition:
		return k.kafka
	}
	return nil
}

// close ends what was made. Functions print until they have ended.
func (k *kinds) close() {
	if k.functions != nil {
		k.functions.Close()
	}
	if k.logs != nil {
		k.logs.Close()
	}
	if k.nats != nil {
		k.nats.Close()
	}
	if k.kafka != nil {
		k.kafka.Close()
	}
}
