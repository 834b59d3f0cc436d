package deliver

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/rialto-events/rialto/internal/record"
	"github.com/rialto-events/rialto/internal/shard"
	"github.com/rialto-events/rialto/internal/slab"
	"github.com/rialto-events/rialto/target"
)

// Kinds 0x10 to 0x1f belong to deliveries.
const (
	kindFirst shard.Kind = 0x10
	kindLast  shard.Kind = 0x1f

	kindDefine  shard.Kind = 0x10 // a target's definition
	kindAccept  shard.Kind = 0x11 // an event, and the keys of its targets
	kindSettled shard.Kind = 0x12 // deliveries that have arrived, at the target or at the dead-letter queue
	kindAgain   shard.Kind = 0x13 // deliveries that are attempted again at a time
	kindDead    shard.Kind = 0x14 // deliveries that have failed for good and go to the dead-letter queue
	kindDropped shard.Kind = 0x15 // deliveries that have failed for good and go nowhere
	kindForget  shard.Kind = 0x16 // definitions that nobody uses

	kindAcceptTerms shard.Kind = 0x17 // an event that is ordered, deduped or lives for some time, and the keys of its targets
	kindRelease     shard.Kind = 0x18 // keys of events that nobody will accept again
)

const (
	maxMade     = 1 << 30
	maxCodes    = math.MaxUint8                // different error codes that a machine tells apart
	tick        = 100_000                      // microseconds; timers ring at multiples of it
	latest      = math.MaxInt64 / 2            // microseconds; nothing is due later, whatever the log holds
	forgetAfter = int64(24 * 3600 * 1_000_000) // microseconds that a definition stays after its last use
)

// A delivery is an event on its way to one target: 32 bytes. Its states:
//
//	accept ──► (held) ──► ready ───► ended          settled, or dropped where there is no dead-letter queue
//	            ▲ │ again               ▲
//	            │ ▼                     │
//	          waiting (due)             │
//	              │ dead                │
//	              ▼                     │
//	           letter: ready ⇄ waiting ─┘           settled, or dropped if the dead-letter queue does not take it
//
// Whether it is ready or waits is a question of the time alone; whether it is held, of its place in a [group]. That an attempt is
// being made is not in the state: after a restart the delivery is ready, and the attempt is made again without having been counted.
type delivery struct {
	event  uint32
	target uint32
	due    int64  // when it is to be attempted, in microseconds; 0 is at once
	made   uint32 // attempts that failed; of its letter, if it has one
	dead   bool   // it has failed for good, and its letter stands in the machine's letters
	code   uint8  // why the last attempt failed: index of the machine's codes, plus 1
	queued bool   // it was handed out to be attempted, and nothing was heard since; not part of the state that survives
	group  uint32 // slot of the group that it is in, plus 1; 0 if its order does not matter
	next   uint32 // slot of the delivery behind it in its group, plus 1; 0 if it is the last
}

// An event is the payload that its deliveries share.
type event struct {
	ref  shard.Ref
	key  uint64 // unique within the machine, growing
	left uint32 // deliveries that have not ended
	from uint32 // when it was accepted, in seconds since 1970; 0 is unknown, from a snapshot of version 1
}

// A definition is a target's, with what is known of its use.
type definition struct {
	*target.Sealed
	slot       uint32
	used       int64 // when a delivery was last accepted or ended, in microseconds
	deliveries int   // that have not ended
	letters    int   // of these, that are on their way to the dead-letter queue
	held       int   // of these, that wait for another one by their order
	pulse      pulse // of those that arrived
}

// An attempt is what the machine asks for: bring this delivery to its target, or its letter to the dead-letter queue.
type attempt struct {
	handle
	made    uint32 // how many failed before
	ordered bool   // others may wait for it to end
	held    bool   // it has waited for another to end
	from    uint32 // when the event was accepted, in seconds since 1970, or 0
	until   uint32 // when it ends, likewise; 0 is never

	def    *definition
	ref    shard.Ref  // the event's payload
	letter *shard.Ref // the letter, if it is the letter that has to be brought
}

// Effects.
type (
	ready     []attempt  // attempts to be made
	alarm     int64      // deliveries are due: the argument of Machine.due
	forgotten target.Key // a definition is not there any more
	held      int        // so many deliveries are held, now that another one is, or none any more
	resumed   []waiter   // deliveries to these have waited since before the start
)

// A Machine holds the deliveries of one shard.
type Machine struct {
	events     slab.Slab[event]
	deliveries slab.Slab[delivery]
	letters    map[uint32]shard.Ref // by slot of the delivery
	targets    slab.Slab[*definition]
	byKey      map[target.Key]*definition
	codes      []string
	nextKey    uint64
	orders     orders
	once       once
	mortal     map[uint32]uint32 // when events end, in seconds since 1970, by their slot; nil if none does
	last       int64             // when the newest command was applied, in microseconds

	alarms map[int64][]uint32 // what is due, by the time of its alarm; made anew by Resume
	found  []*definition      // reused
	hashes []uint64           // reused
}

var _ shard.Machine = (*Machine)(nil)

func newMachine() *Machine {
	return &Machine{letters: make(map[uint32]shard.Ref), byKey: make(map[target.Key]*definition), alarms: make(map[int64][]uint32)}
}

// Name is that of the machine in snapshots.
func (m *Machine) Name() string { return "deliver" }

// Kinds is the range of the machine's commands.
func (m *Machine) Kinds() (first, last shard.Kind) { return kindFirst, kindLast }

// Apply carries out a command. The result is nil, an error, or how many deliveries the command has ended.
func (m *Machine) Apply(tx *shard.Tx, kind shard.Kind, body []byte) any {
	a := &apply{Machine: m, tx: tx, now: tx.Now().UnixMicro(), body: body, r: record.NewReader(body)}
	result := a.command(kind)
	if err := a.r.Err(); err != nil {
		return err
	}
	return result
}

// An apply is the application of one command.
type apply struct {
	*Machine
	tx   *shard.Tx
	now  int64 // microseconds
	body []byte
	r    *record.Reader
}

func (a *apply) command(kind shard.Kind) any {
	a.once.expire(a.now)
	a.last = a.now
	switch kind {
	case kindDefine:
		return a.define()
	case kindAccept:
		return a.accept(0, false)
	case kindAcceptTerms:
		return a.accept(a.r.Byte(), true)
	case kindSettled, kindDropped:
		return a.end(kind == kindSettled)
	case kindAgain:
		return a.again()
	case kindDead:
		return a.dead()
	case kindForget:
		return a.forget()
	case kindRelease:
		return a.release()
	}
	return errUnknown
}

func (a *apply) define() any {
	encoded := a.r.Rest()
	if _, ok := a.byKey[target.KeyOf(encoded)]; ok {
		return nil // most come along with events, and are there
	}
	sealed, err := target.Unseal(slices.Clone(encoded))
	if err != nil {
		return err
	}
	slot, at := a.targets.Add()
	def := &definition{Sealed: sealed, slot: slot, used: a.now}
	*at, a.byKey[sealed.Key] = def, def
	return nil
}

// accept takes an event with all of its deliveries, or nothing of it. Only one that may be mortal is looked at.
func (a *apply) accept(terms byte, mortal bool) any {
	if terms&^termsKnown != 0 {
		return errUnknown
	}
	var key onceKey
	var until int64
	if terms&termDedupe != 0 {
		var ok bool
		if key, until, ok = a.dedupe(); !ok {
			return errUnknown
		}
		if id, ok := a.once.find(key, a.now); ok {
			return duplicate(id)
		}
	}
	if err := a.targetsOf(terms); err != nil {
		return err
	}
	payload := a.body[len(a.body)-a.r.Len():]
	if len(a.found) == 0 && terms&termDedupe == 0 || len(payload) == 0 {
		return errEmpty
	}
	var e Accepted
	if mortal {
		if err := readHead(a.r, payload, &e); err != nil {
			return err
		}
	}
	if terms&termDedupe != 0 {
		a.once.add(a.now, key, e.EventID, until)
	}
	if len(a.found) == 0 {
		return nil // only to be known again
	}
	a.take(a.tx.Ref(len(a.body)-len(payload), len(a.body)), e.Expires)
	return nil
}

// dedupe reads the key of an event and until when it is remembered.
func (a *apply) dedupe() (key onceKey, until int64, ok bool) {
	read, ok := readKey(a.r)
	window := int64(min(a.r.Uint(), latest))
	return onceKey(read), min(a.now+window, latest), ok && window > 0 && a.r.Err() == nil
}

// release forgets keys before their time.
func (a *apply) release() any {
	for a.r.Len() > 0 {
		key, ok := readKey(a.r)
		if a.r.Err() != nil {
			break
		}
		if ok {
			a.once.release(onceKey(key), a.now)
		}
	}
	return nil
}

// targetsOf reads the definitions that an event goes to, and the hashes of what its deliveries are ordered by, into found and hashes.
func (a *apply) targetsOf(terms byte) error {
	a.found, a.hashes = a.found[:0], a.hashes[:0]
	for range a.r.Count() {
		key, ok := readKey(a.r)
		hash := uint64(0)
		if terms&termOrder != 0 {
			hash = a.r.Uint()
		}
		if err := a.r.Err(); err != nil {
			return err
		}
		def := a.byKey[key]
		if !ok || def == nil {
			return errUndefined
		}
		a.found, a.hashes = append(a.found, def), append(a.hashes, hash)
	}
	return a.r.Err()
}

// take makes the deliveries of an event, and hands out those that need not wait for others.
func (a *apply) take(payload shard.Ref, expires time.Time) {
	a.tx.Retain(payload)
	place, e := a.events.Add()
	*e = event{ref: payload, key: a.nextKey, left: uint32(len(a.found)), from: uint32(a.now / 1_000_000)}
	a.nextKey++
	if !expires.IsZero() {
		a.live(place, expires.UnixMicro())
	}
	attempts := make(ready, 0, len(a.found))
	for i, def := range a.found {
		slot, d := a.deliveries.Add()
		*d = delivery{event: place, target: def.slot}
		def.deliveries++
		def.used = a.now
		if hash := a.hashes[i]; hash != 0 {
			a.join(slot, d, hash)
		}
		if a.turn(slot, d) {
			attempts = append(attempts, a.handOut(slot, d))
		}
	}
	a.emit(attempts)
	if len(attempts) < len(a.found) {
		a.tx.Emit(held(a.orders.held))
	}
}

// handOut hands a delivery out to be attempted.
func (m *Machine) handOut(slot uint32, d *delivery) attempt {
	d.queued = true
	e := m.events.Get(d.event)
	at := attempt{
		handle: handle{slot, e.key}, made: d.made, ordered: d.group != 0, from: e.from, until: m.mortal[d.event],
		def: *m.targets.Get(d.target), ref: e.ref,
	}
	if d.dead {
		ref := m.letters[slot]
		at.letter = &ref
	}
	return at
}

// find returns the delivery of a handle, if it has not ended.
func (m *Machine) find(h handle) (*delivery, bool) {
	if !m.deliveries.InUse(h.slot) {
		return nil, false
	}
	d := m.deliveries.Get(h.slot)
	return d, m.events.Get(d.event).key == h.key
}

// end forgets deliveries that have ended and returns how many. Those that waited for them are handed out.
func (a *apply) end(arrived bool) any {
	n := 0
	var attempts ready
	for a.r.Len() > 0 {
		h := readHandle(a.r)
		if a.r.Err() != nil {
			break
		}
		if d, ok := a.find(h); ok {
			if arrived && !d.dead {
				(*a.targets.Get(d.target)).pulse.beat(a.now)
			}
			attempts = a.pass(attempts, h.slot, d)
			a.remove(h.slot, d)
			n++
		}
	}
	a.emit(attempts)
	return n
}

func (a *apply) emit(attempts ready) {
	if len(attempts) > 0 {
		a.tx.Emit(attempts)
	}
}

func (a *apply) remove(slot uint32, d *delivery) {
	def := *a.targets.Get(d.target)
	def.deliveries--
	def.used = a.now
	if d.dead {
		def.letters--
		a.tx.Release(a.letters[slot])
		delete(a.letters, slot)
	}
	e := a.events.Get(d.event)
	if e.left--; e.left == 0 {
		a.tx.Release(e.ref)
		a.events.Free(d.event)
		a.dies(d.event)
	}
	a.deliveries.Free(slot)
}

// again lets deliveries wait for their next attempt. What is said twice, or after the delivery has gone on, changes nothing; nor
// does what is said of one that is held, of which no attempt was made.
func (a *apply) again() any {
	for a.r.Len() > 0 {
		p := readPostponed(a.r)
		if a.r.Err() != nil {
			break
		}
		d, ok := a.find(p.handle)
		if !ok || p.letter != d.dead || p.made <= int(d.made) || !a.turn(p.slot, d) {
			continue
		}
		d.made, d.code, d.queued = uint32(p.made), a.codeIndex(p.code), false
		d.due = 0
		if !p.until.IsZero() {
			d.due = min(max(p.until.UnixMicro(), 0), latest)
		}
		a.wait(a.tx, p.slot, d)
	}
	return nil
}

// wait sets the alarm for a delivery that is due some time.
func (m *Machine) wait(tx *shard.Tx, slot uint32, d *delivery) {
	at := alarmAt(d.due)
	slots, set := m.alarms[at]
	m.alarms[at] = append(slots, slot)
	if !set {
		tx.EmitAt(microTime(at), alarm(at))
	}
}

// alarmAt is when the alarm rings for something that is due at a time.
func alarmAt(due int64) int64 { return (due + tick - 1) / tick * tick }

// due takes the deliveries off that an alarm rings for. The handler of effects calls it.
func (m *Machine) due(at alarm) ready {
	slots := m.alarms[int64(at)]
	delete(m.alarms, int64(at))
	attempts := make(ready, 0, len(slots))
	for _, slot := range slots {
		if !m.deliveries.InUse(slot) {
			continue // it ended meanwhile
		}
		if d := m.deliveries.Get(slot); !d.queued && alarmAt(d.due) == int64(at) && m.turn(slot, d) {
			attempts = append(attempts, m.handOut(slot, d))
		}
	}
	return attempts
}

// dead sends deliveries that have failed for good to the dead-letter queue. They hold nobody back any more.
func (a *apply) dead() any {
	var attempts ready
	for a.r.Len() > 0 {
		h, payload := readHandle(a.r), a.r.Bytes()
		if a.r.Err() != nil {
			break
		}
		d, ok := a.find(h)
		if !ok || d.dead {
			continue // said twice
		}
		attempts = a.pass(attempts, h.slot, d)
		def := *a.targets.Get(d.target)
		if def.DeadLetter == "" {
			a.remove(h.slot, d)
			continue
		}
		ref := payloadRef(a.tx, a.body, a.r, len(payload))
		a.tx.Retain(ref)
		a.letters[h.slot] = ref
		def.letters++
		d.dead, d.made, d.due = true, 0, 0
		if l, err := readLetter(payload); err == nil {
			d.code = a.codeIndex(l.code)
		}
		attempts = append(attempts, a.handOut(h.slot, d))
	}
	a.emit(attempts)
	return nil
}

// forget drops definitions that nobody uses and nobody has used for long. Others stay: they were used since the command was
// proposed.
func (a *apply) forget() any {
	for a.r.Len() > 0 {
		key, ok := readKey(a.r)
		if a.r.Err() != nil {
			break
		}
		if def := a.byKey[key]; ok && def != nil && def.stale(a.now) {
			delete(a.byKey, key)
			a.targets.Free(def.slot)
			a.tx.Emit(forgotten(key))
		}
	}
	return nil
}

func (def *definition) stale(now int64) bool {
	return def.deliveries == 0 && now-def.used >= forgetAfter
}

// stale is which definitions may be forgotten.
func (m *Machine) stale(now int64) []target.Key {
	var keys []target.Key
	for _, def := range m.targets.All() {
		if (*def).stale(now) {
			keys = append(keys, (*def).Key)
		}
	}
	return keys
}

// codeIndex is what a delivery's field code holds for an error code. Should there ever be too many, the rest has none.
func (m *Machine) codeIndex(code string) uint8 {
	i := slices.Index(m.codes, code)
	if i < 0 {
		if len(m.codes) == maxCodes || len(code) > maxCode {
			return 0
		}
		i = len(m.codes)
		m.codes = append(m.codes, code)
	}
	return uint8(i + 1)
}

// Resume hands out everything that is ready, in the order in which it was accepted, and sets the alarms for the rest.
func (m *Machine) Resume(tx *shard.Tx) {
	now := tx.Now().UnixMicro()
	clear(m.alarms)
	m.once.early = 0
	if list := m.waiters(); len(list) > 0 {
		tx.Emit(resumed(list))
	}
	var attempts ready
	for slot, d := range m.deliveries.All() {
		d.queued = false
		if !m.turn(slot, d) {
			continue
		}
		if d.due <= now {
			attempts = append(attempts, m.handOut(slot, d))
			continue
		}
		at := alarmAt(d.due)
		m.alarms[at] = append(m.alarms[at], slot)
	}
	if len(attempts) > 0 {
		slices.SortFunc(attempts, func(a, b attempt) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.slot, b.slot)) })
		tx.Emit(attempts)
	}
	if m.orders.held > 0 {
		tx.Emit(held(m.orders.held))
	}
	for _, at := range slices.Sorted(maps.Keys(m.alarms)) {
		tx.EmitAt(microTime(at), alarm(at))
	}
}

// Live yields the payloads of events, once each however many deliveries they have, and letters.
func (m *Machine) Live(before uint64, yield func(key []byte, ref shard.Ref) bool) {
	var key []byte
	for slot, e := range m.events.All() {
		if e.ref.Seq >= before {
			continue
		}
		key = appendCarryKey(key[:0], carriesEvent, slot, e.key)
		if !yield(key, e.ref) {
			return
		}
	}
	for _, slot := range slices.Sorted(maps.Keys(m.letters)) {
		ref := m.letters[slot]
		if ref.Seq >= before {
			continue
		}
		key = appendCarryKey(key[:0], carriesLetter, slot, m.events.Get(m.deliveries.Get(slot).event).key)
		if !yield(key, ref) {
			return
		}
	}
}

// Carried takes the new place of a payload.
func (m *Machine) Carried(tx *shard.Tx, key []byte, ref shard.Ref) {
	r := record.NewReader(key)
	sort, h := r.Byte(), readHandle(r)
	if r.Err() != nil {
		return
	}
	switch sort {
	case carriesEvent:
		if !m.events.InUse(h.slot) {
			return
		}
		if e := m.events.Get(h.slot); e.key == h.key {
			tx.Retain(ref)
			tx.Release(e.ref)
			e.ref = ref
		}
	case carriesLetter:
		if d, ok := m.find(h); ok && d.dead {
			tx.Retain(ref)
			tx.Release(m.letters[h.slot])
			m.letters[h.slot] = ref
		}
	}
}
