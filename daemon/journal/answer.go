package journal

import "sync"

// answers calls back, from a goroutine of its own and in the order of add, so that what
// is called can't hold up the next commit.
type answers struct {
	more  chan struct{} // has one element when there is something to do
	ended chan struct{} // closed when all has been answered

	mu      sync.Mutex
	pending []answer
	closed  bool
}

type answer struct {
	done func(error)
	err  error
}

func newAnswers() answers { return answers{more: make(chan struct{}, 1), ended: make(chan struct{})} }

// add has done called. After close a goroutine of its own does that.
func (a *answers) add(done func(error), err error) {
	if done == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		go done(err)
		return
	}
	a.pending = append(a.pending, answer{done, err})
	a.signal()
}

func (a *answers) signal() {
	select {
	case a.more <- struct{}{}:
	default:
	}
}

// close ends run once all has been answered.
func (a *answers) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.signal()
}

func (a *answers) take() (all []answer, closed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all, a.pending = a.pending, nil
	return all, a.closed
}

func (a *answers) run() {
	defer close(a.ended)
	for range a.more {
		all, closed := a.take()
		for _, x := range all {
			x.done(x.err)
		}
		if closed {
			return
		}
	}
}
