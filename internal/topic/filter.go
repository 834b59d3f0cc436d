package topic

import (
	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/topic/filter"
)

// filterOf reads the filter policy among attributes, which is nil if there is none.
func filterOf(attributes map[string]string) (*filter.Policy, reason) {
	scope, err := filter.ParseScope(attributes["FilterPolicyScope"])
	if err != nil {
		return nil, reason(err.Error())
	}
	text := attributes["FilterPolicy"]
	if text == "" {
		return nil, ""
	}
	p, err := filter.Parse([]byte(text), scope)
	if err != nil {
		return nil, reason(err.Error())
	}
	return p, ""
}

// filtered reports whether attributes have a filter policy.
func filtered(attributes map[string]string) bool { return attributes["FilterPolicy"] != "" }

// roomForFilter refuses another filter policy on a topic that has as many as it may (SNS developer guide, "Filter policy constraints").
func (st *state) roomForFilter(id string) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	n := 0
	for _, m := range st.members {
		if m.entry.ID != id && filtered(m.entry.Attributes) {
			n++
		}
	}
	if n >= filter.MaxPerTopic {
		return rialto.WithCode(rialto.Exceeded, "FilterPolicyLimitExceededException",
			"Filter policy limit exceeded: the subscriptions of a topic may have %d filter policies", filter.MaxPerTopic)
	}
	return nil
}
