package explain

import (
	"time"

	"github.com/rialto-events/rialto"
	"github.com/rialto-events/rialto/internal/deliver"
	binary "github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/target"
)

// The payload of a frame of the log: version, then items, each a kind and a body with its length in front. docs/formats.md has
// the layout.
const (
	version     = 1
	kindRecord  = 1        // an event with everything so far
	kindTry     = 2        // an attempt for an event that came before
	maxStored   = 16 << 10 // bytes of an event that is written
	payloadNone = 0
	payloadSame = 1 // the payload is the event
	payloadOwn  = 2
)

// appendRecord writes all of a record. The lock of its shelf is held.
func appendRecord(b []byte, r *record) []byte {
	b = binary.AppendString(b, r.id)
	b = append(b, bit(r.partial))
	b = binary.AppendUint(b, uint64(len(r.passages)))
	for i := range r.passages {
		p := &r.passages[i]
		b = binary.AppendString(b, p.bus.String())
		b = binary.AppendTime(b, p.accepted)
		b = binary.AppendString(b, p.trace)
		b = append(b, p.hops.SameRegion, p.hops.CrossRegion)
		b = binary.AppendTime(b, p.expires)
		b = binary.AppendString(b, p.duplicateOf)
		b = binary.AppendUint(b, uint64(p.duplicates))
		b = binary.AppendUint(b, uint64(p.size))
		if len(p.event) > maxStored {
			b = binary.AppendUint(b, 0)
		} else {
			b = binary.AppendBytes(b, p.event)
		}
		b = binary.AppendUint(b, uint64(len(p.deliveries)))
		for j := range p.deliveries {
			b = appendDelivery(b, &p.deliveries[j])
		}
	}
	return b
}

func appendDelivery(b []byte, d *delivery) []byte {
	b = appendTarget(b, d.def)
	switch {
	case d.bytes == 0:
		b = append(b, payloadNone)
	case d.shaped:
		b = append(b, payloadOwn)
	default:
		b = append(b, payloadSame)
	}
	b = binary.AppendUint(b, uint64(d.bytes))
	b = binary.AppendBytes(b, d.payload)
	b = binary.AppendUint(b, uint64(len(d.tries)))
	for i := range d.tries {
		b = appendTry(b, &d.tries[i])
	}
	return b
}

// appendTarget writes what an answer says of a target.
func appendTarget(b []byte, def *target.Definition) []byte {
	b = binary.AppendString(b, def.Rule.String())
	b = binary.AppendString(b, string(def.RuleName))
	b = binary.AppendString(b, def.ID)
	b = binary.AppendString(b, def.ARN)
	return binary.AppendString(b, def.DeadLetter)
}

func appendTry(b []byte, t *try) []byte {
	b = binary.AppendUint(b, uint64(t.number))
	b = append(b, bit(t.letter)|bit(t.failed)<<1|bit(t.redrive > 0)<<2, byte(t.action))
	b = binary.AppendUint(b, uint64(t.batch))
	b = binary.AppendTime(b, t.began)
	b = binary.AppendUint(b, uint64(max(0, t.took)))
	b = binary.AppendUint(b, uint64(max(0, t.status)))
	b = binary.AppendString(b, t.head)
	b = binary.AppendString(b, t.code)
	b = binary.AppendString(b, t.message)
	b = binary.AppendString(b, t.exhausted)
	b = binary.AppendTime(b, t.at)
	if t.redrive > 0 {
		b = binary.AppendUint(b, uint64(t.redrive))
	}
	return b
}

func bit(set bool) byte {
	if set {
		return 1
	}
	return 0
}

func readRecord(body []byte) (*record, error) {
	r := binary.NewReader(body)
	rec := &record{id: r.String(), partial: r.Byte() == 1, stored: true}
	for range min(r.Count(), maxPassages) {
		p := passage{bus: readARN(r), accepted: r.Time(), trace: r.String()}
		p.hops = target.Hops{SameRegion: r.Byte(), CrossRegion: r.Byte()}
		p.expires, p.duplicateOf, p.duplicates, p.size = r.Time(), r.String(), int(r.Uint()), int(r.Uint())
		if event := r.Bytes(); len(event) > 0 {
			p.event = append([]byte(nil), event...)
		}
		for range r.Count() {
			p.deliveries = append(p.deliveries, readDelivery(r))
			if r.Err() != nil {
				return nil, r.Err()
			}
		}
		rec.passages = append(rec.passages, p)
	}
	return rec, r.Err()
}

func readDelivery(r *binary.Reader) delivery {
	d := delivery{def: readTarget(r), state: Waiting}
	d.shaped = r.Byte() == payloadOwn
	d.bytes = int(r.Uint())
	if payload := r.Bytes(); len(payload) > 0 {
		d.payload = append([]byte(nil), payload...)
	}
	for range r.Count() {
		d.add(readTry(r))
		if r.Err() != nil {
			break
		}
	}
	return d
}

func readTarget(r *binary.Reader) *target.Definition {
	return &target.Definition{Rule: readARN(r), RuleName: rialto.RuleName(r.String()), ID: r.String(), ARN: r.String(), DeadLetter: r.String()}
}

func readTry(r *binary.Reader) try {
	t := try{number: int(r.Uint())}
	flags := r.Byte()
	t.letter, t.failed, t.action = flags&1 != 0, flags&2 != 0, deliver.Action(r.Byte())
	t.batch, t.began, t.took, t.status = int(r.Uint()), r.Time(), time.Duration(r.Uint()), int(r.Uint())
	t.head, t.code, t.message, t.exhausted, t.at = r.String(), r.String(), r.String(), r.String(), r.Time()
	if flags&4 != 0 {
		t.redrive = int(r.Uint())
	}
	return t
}

func readARN(r *binary.Reader) rialto.ARN {
	arn, _ := rialto.ParseARN(r.String()) // what cannot be read is shown as nothing
	return arn
}
