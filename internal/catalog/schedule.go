package catalog

import (
	"time"

	"github.com/rialto-events/rialto"
)

// A ScheduleGroup is a group of schedules. The schedules themselves may be millions, and are package scheduler's. The default group of a scope
// exists without an entry; it gets one when it gets settings.
type ScheduleGroup struct {
	Name     string    `json:"name"`
	Deleting bool      `json:"deleting,omitempty"` // it goes when its schedules are gone
	Paused   bool      `json:"paused,omitempty"`   // its schedules do not fire
	Tags     []Tag     `json:"tags,omitempty"`
	Token    string    `json:"token,omitempty"` // by which the call that made it is known again
	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
}

// DefaultScheduleGroup is the name of the group that is always there.
const DefaultScheduleGroup = "default"

// ARN is the ARN of the group.
func (g *ScheduleGroup) ARN(s rialto.Scope) rialto.ARN {
	return s.ARN("scheduler", "schedule-group/"+g.Name)
}
