package rialto

import (
	"fmt"
	"strings"
)

// Strings that must not be confused have types of their own.
type (
	AccountID string // twelve digits, such as "000000000000"
	Region    string // such as "eu-west-1"
	BusName   string // an event bus within a scope, such as "orders"
	RuleName  string // a rule on a bus, such as "paid"
	QueueName string // an SQS queue within a scope, such as "billing"
	TopicName string // an SNS topic within a scope, such as "orders"
)

const (
	DefaultAccount AccountID = "000000000000" // who calls with any key that is not an account number
	DefaultRegion  Region    = "us-east-1"    // where a call goes that names no region
	DefaultBus     BusName   = "default"      // exists in every scope and cannot be deleted
	Partition                = "aws"          // the only partition whose ARNs rialto makes; it accepts others
	OwnPartition             = "rialto"       // of what AWS has no ARNs for, such as arn:rialto:nats:::default/orders.paid
)

// A Scope is where a resource lives: resources of two accounts, or of two regions, never see one another.
type Scope struct {
	Account AccountID
	Region  Region
}

// An ARN names a resource: arn:partition:service:region:account:resource. See [ParseARN].
type ARN struct {
	Partition string
	Service   string
	Region    Region    // empty for global services
	Account   AccountID // empty for some resources, such as S3 buckets
	Resource  string    // such as "rule/orders/paid" or "billing"
}

// ParseARN splits an ARN into its parts. It checks the number of the parts and that the first is "arn", and no more.
func ParseARN(s string) (ARN, error) {
	rest, ok := strings.CutPrefix(s, "arn:")
	var parts [4]string // before the resource, which may hold colons
	for i := range parts {
		var more bool
		parts[i], rest, more = strings.Cut(rest, ":")
		ok = ok && more
	}
	if !ok || parts[0] == "" || parts[1] == "" || rest == "" {
		return ARN{}, fmt.Errorf("%q is not an ARN", s)
	}
	return ARN{Partition: parts[0], Service: parts[1], Region: Region(parts[2]), Account: AccountID(parts[3]), Resource: rest}, nil
}

func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + string(a.Region) + ":" + string(a.Account) + ":" + a.Resource
}

// Scope is the account and region of the resource.
func (a ARN) Scope() Scope { return Scope{a.Account, a.Region} }

// ARN makes the ARN of a resource in the scope, such as ("events", "event-bus/orders").
func (s Scope) ARN(service, resource string) ARN {
	return ARN{Partition: Partition, Service: service, Region: s.Region, Account: s.Account, Resource: resource}
}

// BusARN is the ARN of a bus.
func (s Scope) BusARN(bus BusName) ARN { return s.ARN("events", "event-bus/"+string(bus)) }

// RuleARN is the ARN of a rule; the default bus does not appear in it.
func (s Scope) RuleARN(bus BusName, rule RuleName) ARN {
	if bus == DefaultBus {
		return s.ARN("events", "rule/"+string(rule))
	}
	return s.ARN("events", "rule/"+string(bus)+"/"+string(rule))
}

// TopicARN is the ARN of an SNS topic.
func (s Scope) TopicARN(t TopicName) ARN { return s.ARN("sns", string(t)) }

// QueueARN is the ARN of an SQS queue.
func (s Scope) QueueARN(q QueueName) ARN { return s.ARN("sqs", string(q)) }
