package shard

import "github.com/rialto-events/rialto/internal/record"

// A Freezer is a Machine whose state may be so large that proposers would notice the time that it takes to write it down. Its state is
// frozen between two frames, which costs next to nothing, and written beside the owner while the machine goes on.
type Freezer interface {
	Machine
	// Freeze returns the state as it is now. The machine goes on, and copies what it changes. Several may be frozen at a time.
	Freeze() Frozen
	// RestoreParts is like Restore, for a snapshot that is too large to be in memory at once.
	RestoreParts(r *record.Reader) error
}

// Frozen is the state of a machine at one moment. Any goroutine may use it, one at a time.
type Frozen interface {
	// Write calls yield with the parts, one after the other, of what [Machine.Snapshot] would have appended. A part is valid only
	// during the call. It ends with the first error of yield.
	Write(yield func(part []byte) error) error
	// Live is that of [Machine].
	Live(before uint64, yield func(key []byte, ref Ref) bool)
	// Thaw ends the use of this state. The owner of the shard calls it.
	Thaw()
}

// A view is what is kept of a machine at one moment: its frozen state, or none if the machine cannot be frozen.
type view struct {
	machine Kind // the first kind of the machine
	name    string
	frozen  Frozen
}

// freeze returns views of all machines. Those that cannot be frozen are for the caller to deal with at once.
func (c *core) freeze() []view {
	views := make([]view, len(c.machines))
	for i, h := range c.machines {
		first, _ := h.Machine.Kinds()
		views[i] = view{machine: first, name: h.Machine.Name()}
		if f, ok := h.Machine.(Freezer); ok {
			views[i].frozen = f.Freeze()
		}
	}
	return views
}

// thaw ends the use of views. The owner calls it.
func thaw(views []view) {
	for _, v := range views {
		if v.frozen != nil {
			v.frozen.Thaw()
		}
	}
}
