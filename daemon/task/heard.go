package task

import "sync"

// Heard is what a Watcher has heard and not passed on; it implements Watcher's Hear. The
// zero value is empty.
type Heard struct {
	mu sync.Mutex
	// first comes before more: most hear of a Result alone.
	first *Event
	more  []*Event
	// passing: somebody passes them on, and will what comes meanwhile.
	passing bool
}

// Hear implements Watcher. Who has the lock that it takes does nothing else meanwhile.
func (h *Heard) Hear(ev *Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.first == nil && len(h.more) == 0 {
		h.first = ev
	} else {
		h.more = append(h.more, ev)
	}
}

// Each calls f with each event that was heard, once and in their order, one at a time
// whoever calls Each: who finds somebody at it leaves his own to him.
func (h *Heard) Each(f func(*Event)) {
	for ev := h.next(false); ev != nil; ev = h.next(true) {
		f(ev)
	}
}

// next takes the next event; nil: there is none, or it is somebody else's to pass on. mine:
// the caller is at it.
func (h *Heard) next(mine bool) (ev *Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.passing && !mine:
		return nil
	case h.first != nil:
		ev, h.first = h.first, nil
	case len(h.more) > 0:
		ev, h.more = h.more[0], h.more[1:]
	default:
		h.more = nil
	}
	h.passing = ev != nil
	return ev
}
