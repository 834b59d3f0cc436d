package queue

// A list is a chain of messages along one axis.
type list struct {
	by         axis
	head, tail uint32
	n          int
}

func newList(by axis) list { return list{by: by, head: none, tail: none} }

func (l *list) push(s *slab, slot uint32) {
	s.get(slot).link[l.by] = link{prev: l.tail, next: none}
	if l.tail == none {
		l.head = slot
	} else {
		s.get(l.tail).link[l.by].next = slot
	}
	l.tail = slot
	l.n++
}

func (l *list) remove(s *slab, slot uint32) {
	k := s.get(slot).link[l.by]
	if k.prev == none {
		l.head = k.next
	} else {
		s.get(k.prev).link[l.by].next = k.next
	}
	if k.next == none {
		l.tail = k.prev
	} else {
		s.get(k.next).link[l.by].prev = k.prev
	}
	l.n--
}

// each calls f for every message of the list, in order. f may remove the message that it is called for.
func (l *list) each(s *slab, f func(slot uint32)) {
	for slot := l.head; slot != none; {
		next := s.get(slot).link[l.by].next
		f(slot)
		slot = next
	}
}

// A heap has the message with the least time along one axis on top; of equal ones, the least key. Every message knows its
// index, so that any of them can be taken out.
type heap struct {
	by    axis
	slots []uint32
}

func (h *heap) less(s *slab, a, b uint32) bool {
	x, y := s.get(a), s.get(b)
	if x.at[h.by] != y.at[h.by] {
		return x.at[h.by] < y.at[h.by]
	}
	return x.key < y.key
}

func (h *heap) place(s *slab, i int, slot uint32) {
	h.slots[i] = slot
	s.get(slot).link[h.by] = link{prev: uint32(i), next: none}
}

func (h *heap) push(s *slab, slot uint32) {
	h.slots = append(h.slots, slot)
	h.up(s, len(h.slots)-1)
}

func (h *heap) remove(s *slab, slot uint32) {
	i := int(s.get(slot).link[h.by].prev)
	last := len(h.slots) - 1
	moved := h.slots[last]
	h.slots = h.slots[:last]
	if cap(h.slots) > 1024 && last < cap(h.slots)/4 {
		h.slots = append(make([]uint32, 0, 2*last), h.slots...) // a backlog that is gone gives its memory back
	}
	if i == last {
		return
	}
	h.slots[i] = moved
	if h.down(s, i) == i {
		h.up(s, i)
	}
}

func (h *heap) up(s *slab, i int) {
	slot := h.slots[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(s, slot, h.slots[parent]) {
			break
		}
		h.place(s, i, h.slots[parent])
		i = parent
	}
	h.place(s, i, slot)
}

func (h *heap) down(s *slab, i int) int {
	slot := h.slots[i]
	for {
		child := 2*i + 1
		if child >= len(h.slots) {
			break
		}
		if child+1 < len(h.slots) && h.less(s, h.slots[child+1], h.slots[child]) {
			child++
		}
		if !h.less(s, h.slots[child], slot) {
			break
		}
		h.place(s, i, h.slots[child])
		i = child
	}
	h.place(s, i, slot)
	return i
}
