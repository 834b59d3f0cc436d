package syntax

import (
	"encoding/json"
	"errors"
	"time"
)

// Errors of [CheckEvent], in AWS's words. The message says it all.
var (
	errEvent     = errors.New("Parameter Event is not valid.")
	errEventTime = errors.New("Parameter Event is not valid. Reason: Invalid time.")
)

// CheckEvent reports whether AWS would take the event as the input of TestEventPattern: a JSON object with the members
// that every delivered event has, apart from version, resources and detail. Only the time must also make sense.
func CheckEvent(event []byte) error {
	var members map[string]json.RawMessage
	if json.Unmarshal(event, &members) != nil || members == nil {
		return errEvent
	}
	for _, name := range [...]string{"id", "detail-type", "source", "account", "time", "region"} {
		if _, ok := members[name]; !ok {
			return errEvent
		}
	}
	var text string
	if json.Unmarshal(members["time"], &text) != nil {
		return errEventTime
	}
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		return errEventTime
	}
	return nil
}
