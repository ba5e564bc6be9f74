package lifecycle

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrPolicy is matched by a Policy that makes no sense.
var ErrPolicy = errors.New("bad restart policy")

// Policy says how a place for a worker is filled again when its worker dies. A
// worker that has lived for Stable, or has Proved itself, clears what was before it.
type Policy struct {
	// First is the wait before the second restart in a row: the first is at once, for
	// a lone death says nothing. Each further wait is twice the last, up to Most.
	First, Most time.Duration
	Stable      time.Duration
	// Loop is how many deaths in a row are a crash loop.
	Loop int
}

// DefaultPolicy waits 0, 50 ms, 100 ms … 10 s.
func DefaultPolicy() Policy {
	return Policy{First: 50 * time.Millisecond, Most: 10 * time.Second, Stable: 10 * time.Second, Loop: 5}
}

func (p Policy) check() error {
	if p.First <= 0 || p.Most < p.First || p.Stable <= 0 || p.Loop < 1 {
		return fmt.Errorf("%w: %+v", ErrPolicy, p)
	}
	return nil
}

// wait is the wait before the restart after so many deaths in a row.
func (p Policy) wait(deaths int) time.Duration {
	if deaths <= 1 {
		return 0
	}
	wait := p.First
	for range deaths - 2 {
		if wait *= 2; wait >= p.Most {
			return p.Most
		}
	}
	return wait
}

// Death is how a worker ended that nobody asked to, or why it could not start.
type Death struct {
	// How is the exit, e.g. "signal: killed", or the error of the start.
	How string
	// LastWords are the last lines that it wrote to stderr.
	LastWords []string
}

// String says it on one line.
func (d Death) String() string {
	if len(d.LastWords) == 0 {
		return d.How
	}
	return d.How + "; its last words: " + strings.Join(d.LastWords, " | ")
}

// Restarts counts the lives and deaths of the workers of one place. It is not safe
// for concurrent use.
type Restarts struct {
	policy Policy
	clock  func() time.Duration
	lives  bool
	born   time.Duration // when the one that lives was
	deaths int           // in a row
	last   Death
}

// NewRestarts returns the Restarts of a place that has never had a worker. clock
// returns for how long something has been going on, whatever is done to the time of
// day.
func NewRestarts(p Policy, clock func() time.Duration) (*Restarts, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return &Restarts{policy: p, clock: clock}, nil
}

// Born notes that a worker is ready.
func (r *Restarts) Born() { r.lives, r.born = true, r.clock() }

// Proved notes that the worker has done what it is for, which clears the row of
// deaths as a long life does.
func (r *Restarts) Proved() { r.deaths = 0 }

// Died notes that the worker has died, or has failed to start, and returns how long
// to wait before the next start.
func (r *Restarts) Died(how string, lastWords []string) (wait time.Duration) {
	r.forget()
	r.lives = false
	r.deaths++
	r.last = Death{How: how, LastWords: lastWords}
	return r.policy.wait(r.deaths)
}

// Ended notes an end that was asked for: it is not a death, and the next start need not
// wait.
func (r *Restarts) Ended() {
	r.forget()
	r.lives = false
}

// forget clears the row of deaths once the worker of now has lived long enough.
func (r *Restarts) forget() {
	if r.lives && r.clock()-r.born >= r.policy.Stable {
		r.deaths = 0
	}
}

// CrashLoop returns the last death while there are too many in a row.
func (r *Restarts) CrashLoop() (last Death, looping bool) {
	r.forget()
	return r.last, r.deaths >= r.policy.Loop
}
