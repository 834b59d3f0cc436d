package policy

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/rialto-events/rialto"
)

// A Document is a resource policy of which statements are added and taken away, and those that stay are left as they were written.
type Document struct {
	Version   string            `json:"Version"`
	ID        string            `json:"Id,omitempty"`
	Statement []json.RawMessage `json:"Statement"`
}

// Parse reads a policy that is set; a single statement may stand there without a list. What is no policy is one without statements.
func Parse(text string) Document {
	p := Document{Version: "2008-10-17"}
	var given struct {
		Version   string          `json:"Version"`
		ID        string          `json:"Id"`
		Statement json.RawMessage `json:"Statement"`
	}
	if json.Unmarshal([]byte(text), &given) != nil {
		return p
	}
	if given.Version != "" {
		p.Version = given.Version
	}
	p.ID = given.ID
	if bytes.HasPrefix(given.Statement, []byte("{")) {
		p.Statement = []json.RawMessage{given.Statement}
	} else if json.Unmarshal(given.Statement, &p.Statement) != nil {
		p.Statement = nil
	}
	return p
}

// Find returns the index of the statement with a label, or -1.
func (p *Document) Find(label string) int {
	return slices.IndexFunc(p.Statement, func(s json.RawMessage) bool {
		var head struct {
			Sid string `json:"Sid"`
		}
		return json.Unmarshal(s, &head) == nil && head.Sid == label
	})
}

// Text is the policy as compact JSON.
func (p *Document) Text() (string, error) {
	b, err := json.Marshal(p)
	return string(b), err
}

// Allow adds a statement that allows accounts to do something with a resource. The label is its name.
func (p *Document) Allow(label string, accounts, actions []string, resource string) error {
	var s struct {
		Sid       string `json:"Sid"`
		Effect    string `json:"Effect"`
		Principal struct {
			AWS oneOrMany `json:"AWS"`
		} `json:"Principal"`
		Action   oneOrMany `json:"Action"`
		Resource string    `json:"Resource"`
	}
	s.Sid, s.Effect, s.Action, s.Resource = label, "Allow", actions, resource
	for _, account := range accounts {
		s.Principal.AWS = append(s.Principal.AWS,
			rialto.ARN{Partition: rialto.Partition, Service: "iam", Account: rialto.AccountID(account), Resource: "root"}.String())
	}
	b, err := json.Marshal(s)
	p.Statement = append(p.Statement, b)
	return err
}

// oneOrMany is written as one string if there is only one.
type oneOrMany []string

func (l oneOrMany) MarshalJSON() ([]byte, error) {
	if len(l) == 1 {
		return json.Marshal(l[0])
	}
	return json.Marshal([]string(l))
}
