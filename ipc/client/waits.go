package client

import (
	"sync"
	"time"
)

// Waits returns why calls of this Client wait at the moment, and since when one or another
// does; nil: none waits. It is an *api.Problem, of which api.IsTemporary reports that it passes,
// where the daemon has no room or drains, and another error where it has gone. Programs ask
// once a second or so, and show their users what it is that takes so long.
func (c *Client) Waits() (since time.Time, why error) { return c.waits.now() }

// sameWait is how soon after its end a wait goes on: a try has come between, which took so long
// to fail.
const sameWait = time.Second

// waits knows what the calls of one Client wait for.
type waits struct {
	mu    sync.Mutex
	count int
	since time.Time
	ended time.Time // when the last one did
	why   error     // the latest reason, also when nobody waits
}

func (w *waits) now() (since time.Time, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == 0 {
		return time.Time{}, nil
	}
	return w.since, w.why
}

// waiter is one call, which waits between begin and end.
type waiter struct {
	all *waits
	in  bool // all.mu guards it
}

// begin notes that the call waits; why may be nil where it is that of the call before in a
// line.
func (w *waiter) begin(why error) {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	if why != nil {
		w.all.why = why
	}
	if w.in {
		return
	}
	w.in = true
	if w.all.count++; w.all.count == 1 && time.Since(w.all.ended) > sameWait {
		w.all.since = time.Now()
	}
}

// end notes that it waits no longer. It may be called at any time.
func (w *waiter) end() {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	if w.in {
		w.in = false
		w.all.count--
		w.all.ended = time.Now()
	}
}
