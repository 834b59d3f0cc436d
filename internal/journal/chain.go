package journal

import "fmt"

// A Chain checks that successive records of a log follow one another. Its errors are [*DamageError]s.
type Chain struct {
	log    string
	next   uint64 // the sequence number that must come next
	prev   Hash   // of the record before
	epoch  uint64 // of the record before
	linked bool   // whether there was a record before
}

// NewChain checks the log of that name from the sequence number from on, which is at least 1.
func NewChain(log string, from uint64) *Chain { return &Chain{log: log, next: from} }

// Next checks the next record and decodes it. The payload points into record.
func (c *Chain) Next(record []byte) (Frame, error) {
	var shard []byte
	f, err := parseFrame(record, &shard)
	if err == nil && hashOf(record[:len(record)-hashSize]) != HashOf(record) {
		err = errFlipped
	}
	if err != nil {
		return Frame{}, c.damage(c.next, c.next, "record %d cannot be trusted: %v", c.next, err)
	}
	switch {
	case string(shard) != c.log:
		return Frame{}, c.damage(c.next, c.next, "record %d belongs to log %s", c.next, shard)
	case f.Seq > c.next:
		return Frame{}, c.damage(c.next, f.Seq-1, "%s", missing(c.next, f.Seq-1))
	case f.Seq < c.next:
		return Frame{}, c.damage(f.Seq, c.next, "in the place of record %d stands number %d once more", c.next, f.Seq)
	case f.Seq == 1 && f.Prev != Hash{}:
		return Frame{}, c.damage(1, 1, "record 1 claims to follow another")
	case c.linked && f.Prev != c.prev:
		return Frame{}, c.damage(f.Seq-1, f.Seq, "record %d was not written after this record %d, but after another one", f.Seq, f.Seq-1)
	case c.linked && f.Epoch < c.epoch:
		return Frame{}, c.damage(f.Seq, f.Seq, "record %d was written by the owner of epoch %d after one of epoch %d", f.Seq, f.Epoch, c.epoch)
	}
	f.Shard = c.log
	c.next, c.prev, c.epoch, c.linked = f.Seq+1, HashOf(record), f.Epoch, true
	return f, nil
}

func missing(first, last uint64) string {
	if first == last {
		return fmt.Sprintf("record %d is missing", first)
	}
	return fmt.Sprintf("records %d to %d are missing", first, last)
}

func (c *Chain) damage(first, last uint64, format string, args ...any) error {
	return &DamageError{Log: "log " + c.log, First: first, Last: last, Reason: fmt.Sprintf(format, args...)}
}
