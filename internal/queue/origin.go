package queue

import (
	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/target"
)

// Where the event of a dead letter stands in its payload.
const (
	eventIsBody = 0 // it is the body of the message, which is not kept twice
	eventBeside = 1 // the target was to receive something else

	withDefinition = 2 // is added if the target's definition comes last
)

// originSize is about how many bytes an origin takes in a payload.
func originSize(o *target.Origin) int {
	if o == nil {
		return 0
	}
	return 256 + len(o.Event) + len(o.Trace) + len(o.Definition)
}

// appendOrigin appends where a dead letter with that body comes from.
func appendOrigin(b []byte, o *target.Origin, body string) []byte {
	b = record.AppendString(b, o.EventID)
	b = record.AppendString(b, o.Bus.String())
	b = record.AppendString(b, o.Rule.String())
	b = record.AppendString(b, o.TargetID)
	b = record.AppendTime(b, o.Accepted)
	b = record.AppendString(b, o.Trace)
	b = append(b, o.Hops.SameRegion, o.Hops.CrossRegion)
	b = record.AppendUint(b, uint64(o.Redrives))
	how, beside := byte(eventIsBody), string(o.Event) != body
	if beside {
		how = eventBeside
	}
	if o.Definition != nil {
		how |= withDefinition
	}
	b = append(b, how)
	if beside {
		b = record.AppendBytes(b, o.Event)
	}
	if o.Definition != nil {
		b = record.AppendBytes(b, o.Definition)
	}
	return b
}

// readOrigin reads what appendOrigin wrote.
func readOrigin(r *record.Reader, body string) *target.Origin {
	o := &target.Origin{EventID: r.String()}
	bus, rule := r.String(), r.String()
	o.TargetID, o.Accepted, o.Trace = r.String(), r.Time(), r.String()
	o.Hops = target.Hops{SameRegion: r.Byte(), CrossRegion: r.Byte()}
	o.Redrives = int(min(r.Uint(), maxRedrives))
	how := r.Byte()
	if how&eventBeside == 0 {
		o.Event = []byte(body)
	} else {
		o.Event = r.Bytes()
	}
	if how&withDefinition != 0 {
		o.Definition = r.Bytes()
	}
	// An ARN that is none leads nowhere, which is no reason to lose the message.
	o.Bus, _ = rialto.ParseARN(bus)
	o.Rule, _ = rialto.ParseARN(rule)
	return o
}

// maxRedrives is as far as redrives of one event are counted.
const maxRedrives = 1 << 20
