package journal

import (
	"math"
	"sync"
)

// answers calls back, in the order of add. Whoever has something to answer does that
// himself, unless somebody else is at it or it would take long: a goroutine does it then, so
// that what is called can't hold up the next commit.
type answers struct {
	more  chan struct{} // has one element when there is something for the goroutine
	ended chan struct{} // closed when all has been answered
	// after, which may be nil, is called after some have been.
	after func()

	mu      sync.Mutex
	pending []answer
	spare   []answer
	// giving: somebody calls back. held: nobody may.
	giving, held, closed bool
}

type answer struct {
	done func(error)
	err  error
}

const (
	// fewAnswers are given by who has them.
	fewAnswers = 256
	// fewRounds are how often who gives answers looks whether these have led to more.
	fewRounds = 3
)

func newAnswers(after func()) answers {
	return answers{more: make(chan struct{}, 1), ended: make(chan struct{}), after: after}
}

// add has done called by the next give. After close a goroutine of its own does that.
func (a *answers) add(done func(error), err error) {
	if done == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending = append(a.pending, answer{done, err})
	if a.closed {
		go a.give()
	}
}

// give calls back.
func (a *answers) give() {
	for range fewRounds {
		some := a.take(fewAnswers)
		if some == nil {
			return
		}
		a.call(some)
	}
	a.leave()
}

// leave has the goroutine call back, if there is something to call.
func (a *answers) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case len(a.pending) == 0:
	case a.closed: // and the goroutine may have ended
		go a.give()
	default:
		signal(a.more)
	}
}

// take takes all that is to be called back, unless somebody else is at it: he looks again. If
// it is more than most it is left to the goroutine.
func (a *answers) take(most int) (some []answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.giving || a.held || len(a.pending) == 0:
		return nil
	case len(a.pending) > most && !a.closed:
		signal(a.more)
		return nil
	}
	some, a.pending, a.spare = a.pending, a.spare, nil
	a.giving = true
	return some
}

// call calls back those that take has returned.
func (a *answers) call(some []answer) {
	for _, x := range some {
		x.done(x.err)
	}
	if a.after != nil {
		a.after()
	}
	clear(some)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.giving, a.spare = false, some[:0]; a.closed {
		signal(a.more)
	}
}

// HoldAnswers withholds all answers until release is called, as a slow disk does; it is for
// tests of who waits for them.
func (j *Journal) HoldAnswers() (release func()) {
	hold := func(held bool) {
		j.answers.mu.Lock()
		defer j.answers.mu.Unlock()
		j.answers.held = held
		signal(j.answers.more)
	}
	hold(true)
	return func() { hold(false) }
}

// run is the goroutine.
func (a *answers) run() {
	defer close(a.ended)
	for range a.more {
		for some := a.take(math.MaxInt); some != nil; some = a.take(math.MaxInt) {
			a.call(some)
		}
		if a.done() {
			return
		}
	}
}

// done reports whether it is closed and all has been answered.
func (a *answers) done() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closed && !a.giving && len(a.pending) == 0
}

// close ends run once all has been answered.
func (a *answers) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	signal(a.more)
}
