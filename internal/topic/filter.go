package topic

import "github.com/rialto-events/rialto/internal/notification"

// A filter says which messages a subscription wants.
type filter interface {
	Match(n *notification.Notification) bool
}

// filterOf reads the filter policy among attributes, which is nil if there is none.
func filterOf(attributes map[string]string) (filter, reason, error) {
	switch attributes["FilterPolicyScope"] {
	case "", "MessageAttributes", "MessageBody":
	default:
		return nil, reasonf("FilterPolicyScope: Invalid value [%s]. Please use either MessageBody or MessageAttributes", attributes["FilterPolicyScope"]), nil
	}
	if p := attributes["FilterPolicy"]; p != "" && p != "{}" {
		return nil, "FilterPolicy: filter policies are not served yet", nil
	}
	return nil, "", nil
}
