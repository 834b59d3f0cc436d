package schedulerapi

import (
	"cmp"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/cron"
	"github.com/rialto-events/rialto/internal/scheduler"
)

// A request is what CreateSchedule and UpdateSchedule have in common, which is all: an update leaves nothing as it was.
type request CreateScheduleInput

// maxStartAge is how far in the past a StartDate may lie (recorded on AWS).
const maxStartAge = 5 * time.Minute

// definition is the schedule that is asked for, with what is meant by default.
func (f *Front) definition(scope rialto.Scope, in *request) (scheduler.Definition, error) {
	d := scheduler.Definition{
		Group: groupOr(in.GroupName), Name: *in.Name, Description: in.Description, Expression: *in.ScheduleExpression,
		Zone: cmp.Or(deref(in.ScheduleExpressionTimezone), "UTC"), Start: deref(in.StartDate), End: deref(in.EndDate), KMSKey: in.KmsKeyArn,
		Enabled: deref(in.State) != ScheduleStateDisabled, Delete: deref(in.ActionAfterCompletion) == ActionAfterCompletionDelete,
	}
	if _, err := cron.Parse(d.Expression); err != nil {
		return d, err
	}
	if d.Zone == "Local" { // which is Go's, and no name of the IANA database
		return d, badZone()
	}
	if _, err := time.LoadLocation(d.Zone); err != nil {
		return d, badZone()
	}
	var err error
	if d.Window, err = windowOf(in.FlexibleTimeWindow); err != nil {
		return d, err
	}
	if err := f.checkDates(d.Start, d.End); err != nil {
		return d, err
	}
	d.Target, err = targetOf(scope, in.Target)
	return d, err
}

func badZone() error { return invalid("Provided Schedule Expression Timezone is not valid.") } // AWS's text is not known

func (f *Front) checkDates(start, end time.Time) error {
	now := f.clock.Now()
	switch {
	case !start.IsZero() && !end.IsZero() && !start.Before(end):
		return invalid("The StartDate you specify must come before the EndDate.")
	case !start.IsZero() && now.Sub(start) > maxStartAge:
		return invalid("The StartDate you specify cannot be earlier than 5 minutes ago.")
	case !end.IsZero() && !end.After(now):
		return invalid("The EndDate you specify cannot be in the past.") // AWS's text is not known
	}
	return nil
}

// windowOf is the flexible window in minutes, 0 if it is off.
func windowOf(w *FlexibleTimeWindow) (minutes int32, err error) {
	switch given := w.MaximumWindowInMinutes; {
	case *w.Mode == FlexibleTimeWindowModeFlexible && given == nil:
		return 0, invalid("MaximumWindowInMinutes must be provided when FlexibleTimeWindowMode is set to FLEXIBLE.")
	case *w.Mode == FlexibleTimeWindowModeOff && given != nil:
		return 0, invalid("MaximumWindowInMinutes must not be provided when FlexibleTimeWindowMode is set to OFF.")
	default:
		return deref(given), nil
	}
}

func showWindow(minutes int32) *FlexibleTimeWindow {
	if minutes == 0 {
		return &FlexibleTimeWindow{Mode: new(FlexibleTimeWindowModeOff)}
	}
	return &FlexibleTimeWindow{Mode: new(FlexibleTimeWindowModeFlexible), MaximumWindowInMinutes: &minutes}
}

func stateOf(enabled bool) ScheduleState {
	if enabled {
		return ScheduleStateEnabled
	}
	return ScheduleStateDisabled
}

func actionOf(deletes bool) ActionAfterCompletion {
	if deletes {
		return ActionAfterCompletionDelete
	}
	return ActionAfterCompletionNone
}
