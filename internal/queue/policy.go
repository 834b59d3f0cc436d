package queue

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/rialto-events/rialto"
)

// A redrivePolicy says where messages go that were received too often.
type redrivePolicy struct {
	to  Address
	max int // receives
}

// parseRedrive reads the attribute RedrivePolicy. The error is what AWS says about such a text.
func parseRedrive(text string) (*redrivePolicy, error) {
	var p struct {
		Target *string         `json:"deadLetterTargetArn"`
		Max    json.RawMessage `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, errRedrive(text, "Redrive policy is not a valid JSON map.")
	}
	if p.Target == nil {
		return nil, errRedrive(text, "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.")
	}
	if p.Max == nil {
		return nil, errRedrive(text, "Redrive policy does not contain mandatory attribute: maxReceiveCount.")
	}
	count := strings.Trim(string(p.Max), `"`) // a number, or one in quotes
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > maxReceives {
		return nil, errRedrive(text, "Invalid value for maxReceiveCount: "+count+", valid values are from 1 to 1000 both inclusive.")
	}
	arn, err := rialto.ParseARN(*p.Target)
	if err != nil || arn.Service != "sqs" {
		return nil, errRedrive(text, "Only SQS queues are valid resources for deadLetterTargetArn")
	}
	return &redrivePolicy{to: Address{arn.Scope(), rialto.QueueName(arn.Resource)}, max: n}, nil
}

// checkRedrive refuses a redrive policy that the queue cannot have.
func (s *Service) checkRedrive(source Address, text string) error {
	p, err := parseRedrive(text)
	if err != nil {
		return err
	}
	if FIFO(p.to.Name) != FIFO(source.Name) {
		return errRedrive(text, "Dead-letter queue must be same type of queue as the source.")
	}
	if p.to.Scope != source.Scope {
		return errRedrive(text, "Dead letter target owner should be same as the source.")
	}
	d, ok := s.index.find(p.to)
	if !ok {
		return errRedrive(text, "Dead letter target does not exist.")
	}
	if !d.allow.allows(source.ARN().String()) {
		return errRedrive(text, "The redrive allow policy of the dead letter target does not allow "+source.ARN().String()+" to use it.")
	}
	return nil
}

func errRedrive(text, reason string) error {
	return rialto.Errorf(rialto.Invalid, "Value %s for parameter RedrivePolicy is invalid. Reason: %s", text, reason)
}

// An allowPolicy says which queues may use a queue for their dead letters.
type allowPolicy struct {
	Permission string   `json:"redrivePermission"`
	Sources    []string `json:"sourceQueueArns"`
}

// parseAllow reads the attribute RedriveAllowPolicy. The error is what AWS says about such a text.
func parseAllow(text string) (*allowPolicy, error) {
	p := new(allowPolicy)
	err := json.Unmarshal([]byte(text), p)
	switch {
	case err != nil || p.Permission != "allowAll" && p.Permission != "denyAll" && p.Permission != "byQueue":
		return nil, errAllow(", as it's in an unsupported format.")
	case p.Permission == "byQueue" && (len(p.Sources) < 1 || len(p.Sources) > maxSources):
		return nil, errAllow(". When you specify the byQueue permission type, you must also specify between 1 and 10 source queue ARNs.")
	case p.Permission != "byQueue" && p.Sources != nil:
		return nil, errAllow(". You can specify source queue ARNs only when the permission type is byQueue.")
	}
	return p, nil
}

func errAllow(reason string) error {
	return rialto.Errorf(rialto.Invalid, "Amazon SQS can't create the redrive allow policy%s", reason)
}

// allows reports whether a queue may send its dead letters here. Without a policy every queue may.
func (p *allowPolicy) allows(source string) bool {
	if p == nil || p.Permission == "allowAll" {
		return true
	}
	for _, arn := range p.Sources {
		if arn == source {
			return true
		}
	}
	return false
}

// checkPolicies refuses redrive policies among attributes that are to be given to a queue.
func (s *Service) checkPolicies(at Address, given map[string]string) error {
	if text := given["RedrivePolicy"]; text != "" {
		if err := s.checkRedrive(at, text); err != nil {
			return err
		}
	}
	if text := given["RedriveAllowPolicy"]; text != "" {
		if _, err := parseAllow(text); err != nil {
			return err
		}
	}
	return nil
}
