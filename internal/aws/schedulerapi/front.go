package schedulerapi

import (
	"cmp"
	"context"
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/aws"
	"github.com/rialto-events/rialto/internal/catalog"
	"github.com/rialto-events/rialto/internal/scheduler"
)

// A Front serves EventBridge Scheduler.
type Front struct {
	schedules *scheduler.Schedules
	clock     rialto.Clock
}

// New makes a Front over the schedules.
func New(s *scheduler.Schedules, clock rialto.Clock) *Front { return &Front{s, clock} }

// Service is the API.
func (f *Front) Service() *aws.Service {
	return aws.NewService(&model,
		// schedules.go, with definition.go and target.go
		aws.Op(f.CreateSchedule),
		aws.Op(f.UpdateSchedule),
		aws.Op(f.GetSchedule),
		aws.Op(f.DeleteSchedule),
		aws.Op(f.ListSchedules),

		// groups.go
		aws.Op(f.CreateScheduleGroup),
		aws.Op(f.GetScheduleGroup),
		aws.Op(f.DeleteScheduleGroup),
		aws.Op(f.ListScheduleGroups),
		aws.Op(f.TagResource),
		aws.Op(f.UntagResource),
		aws.Op(f.ListTagsForResource),
	)
}

func invalid(format string, args ...any) error { return rialto.Errorf(rialto.Invalid, format, args...) }

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// moment is a member of an output for a time, or nil if there is none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// groupOr is the group that a caller names, or the default one.
func groupOr(name *string) string { return cmp.Or(deref(name), catalog.DefaultScheduleGroup) }

const maxPage = 100 // items that one call lists, by the model; AWS lists as many if it is not told how many

// open is the page of a list that depends on some filters.
func open(ctx context.Context, token *string, most *int32, filters ...string) (aws.Page, error) {
	limit := maxPage
	if most != nil {
		limit = int(*most)
	}
	p, ok := aws.OpenPage(aws.Caller(ctx), token, limit, filters...)
	if !ok {
		return p, invalid("Invalid NextToken.") // AWS's text is not known
	}
	return p, nil
}
