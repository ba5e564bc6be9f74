package queue

// ring is those who take turns.
type ring[E any] struct {
	turn *seat[E] // nil: nobody does
	size int
}

// seat is one's place in at most one ring.
type seat[E any] struct {
	prev, next *seat[E] // nil: it is in none
	of         E
}

// join takes s in, as the last whose turn it is.
func (r *ring[E]) join(s *seat[E]) {
	r.size++
	if r.turn == nil {
		s.prev, s.next, r.turn = s, s, s
		return
	}
	s.prev, s.next = r.turn.prev, r.turn
	s.prev.next, s.next.prev = s, s
}

func (r *ring[E]) part(s *seat[E]) {
	r.size--
	switch {
	case s.next == s:
		r.turn = nil
	case r.turn == s:
		r.turn = s.next
	}
	s.prev.next, s.next.prev = s.next, s.prev
	s.prev, s.next = nil, nil
}

// pass makes s the last whose turn it is.
func (r *ring[E]) pass(s *seat[E]) {
	if r.turn == s {
		r.turn = s.next
		return
	}
	r.part(s)
	r.join(s)
}
