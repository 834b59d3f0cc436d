package scheduler

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/target"
)

// A kinship is what makes schedules share a definition of their deliveries, but for the parameters of their targets.
type kinship struct {
	scope                rialto.Scope
	group                string
	arn, role            string
	letters, messages    string // dead-letter queue and message group
	hasLetters, hasGroup bool
	attempts             int
	age                  time.Duration
	last                 bool
}

// sealedMost is how many definitions are kept at hand. There are as many as there are different targets of schedules in a group.
const sealedMost = 4096

// seal is what deliveries are made by, for the log. Those of schedules that are alike were made before.
func (s *Schedules) seal(d *Definition, scope rialto.Scope, last bool) (*target.Sealed, error) {
	if d.Target.Parameters != nil || d.Target.Retry.Backoff != nil {
		return target.Seal(d.delivery(scope, last))
	}
	k := kinship{
		scope: scope, group: d.Group, arn: d.Target.ARN, role: d.Target.RoleARN, last: last,
		attempts: d.Target.Retry.MaxAttempts, age: d.Target.Retry.MaxAge,
	}
	if d.Target.DeadLetter != nil {
		k.letters, k.hasLetters = *d.Target.DeadLetter, true
	}
	if d.Target.SQS != nil {
		k.messages, k.hasGroup = d.Target.SQS.MessageGroupID, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if is := s.sealed[k]; is != nil {
		return is, nil
	}
	is, err := target.Seal(d.delivery(scope, last))
	if err != nil {
		return nil, err
	}
	if len(s.sealed) >= sealedMost {
		clear(s.sealed)
	}
	s.sealed[k] = is
	return is, nil
}

// delivery is what deliveries are made by. All that schedules of a group have in common is the same for them, so the input, and which of them it is,
// is not in it.
func (d *Definition) delivery(scope rialto.Scope, last bool) *target.Definition {
	group := catalog.ScheduleGroup{Name: d.Group}
	t := &target.Definition{
		Rule: group.ARN(scope), RuleName: rialto.RuleName(d.Group), ARN: d.Target.ARN, RoleARN: d.Target.RoleARN, SQS: d.Target.SQS,
		Retry: d.Target.Retry, Parameters: d.Target.Parameters, Schedule: &target.Schedule{Last: last},
	}
	if d.Target.DeadLetter != nil {
		t.DeadLetter = *d.Target.DeadLetter
	}
	b, _ := json.Marshal(t) // never fails: what is raw in it was encoded by us
	sum := sha256.Sum256(b)
	t.ID = hex.EncodeToString(sum[:8])
	return t
}
