package client

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"cpulb/daemon/api"
)

// The pauses between two tries while the daemon has no room. The first is what it says in
// its Retry-After.
const minFull, maxFull = time.Second, 5 * time.Second

// room lets the tasks of one Client's Maps in as the daemon has room for them. Where it has
// refused one, the others wait in a line, of which the first tries: after a pause, which
// grows, or in the place of a task of this Client that has ended. So however many wait, the
// daemon refuses about one try a second.
type room struct {
	// patience is how long a daemon is waited for that is about to go.
	patience time.Duration
	waits    *waits
	least    time.Duration // the first pause
	// turn is taken by the first in the line; the others have it in their order.
	turn chan struct{}
	// wake is sent to when the first has something to try for.
	wake chan struct{}

	mu sync.Mutex
	// full: the last try was refused.
	full bool
	// places counts tasks that have ended since. elsewhere: one such place was another
	// caller's already, so that a pause alone helps.
	places    int
	elsewhere bool
	// next is when the first tries in any case, pause how much later it would be after that.
	next  time.Time
	pause time.Duration
}

func newRoom(patience time.Duration, w *waits) *room {
	return &room{patience: patience, waits: w, least: minFull, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
}

// position is one in the line.
type position struct {
	room *room
	left atomic.Bool
	// inPlace: its try is for the place of a task that has ended.
	inPlace bool
}

// leave lets the next one have the turn; false: it has it already.
func (p *position) leave() bool {
	if p == nil || !p.left.CompareAndSwap(false, true) {
		return false
	}
	<-p.room.turn
	return true
}

// accepted is called when the daemon has taken the task of the first in the line. It does not
// block.
func (p *position) accepted() {
	if p != nil && !p.left.Load() {
		p.room.accepted(p.inPlace)
		p.leave()
	}
}

// through calls try until the daemon does not refuse it for now. try calls accepted as soon
// as the task is the daemon's. When waits ends it is not called again.
func (r *room) through(waits context.Context, try func(accepted func()) error) error {
	var at *position
	defer func() { _ = at.leave() }()
	call := &waiter{all: r.waits}
	defer call.end()
	var stopping time.Time // since when the daemon is about to go
	var taken atomic.Bool  // so it was not, meanwhile
	for refused := error(nil); ; {
		if r.isFull() || refused != nil {
			call.begin(refused)
			if at == nil || at.left.Load() {
				if at = r.enter(waits); at == nil {
					return cmp.Or(refused, ended(waits))
				}
			}
			if !r.await(waits, at) {
				return cmp.Or(refused, ended(waits))
			}
		}
		var accepted func() // who is not in the line need not know
		if at != nil {
			accepted = func() { taken.Store(true); at.accepted(); call.end() }
		}
		err := try(accepted)
		if err == nil {
			r.ended()
		}
		if refused = err; !api.IsTemporary(err) {
			return err
		}
		if taken.Swap(false) || !goes(err) || stopping.IsZero() {
			stopping = time.Now()
		}
		if goes(err) && time.Since(stopping) >= r.patience {
			return err
		}
		r.refused(err, at)
	}
}

// goes reports whether err says that the daemon is about to go, or is not quite there.
func goes(err error) bool {
	var p *api.Problem
	return errors.As(err, &p) && (p.Code == "draining" || p.Code == "not_ready")
}

func (r *room) isFull() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.full
}

// enter waits for the turn; nil: waits has ended.
func (r *room) enter(waits context.Context) *position {
	select {
	case r.turn <- struct{}{}:
		return &position{room: r}
	case <-waits.Done():
		return nil
	}
}

// await waits until the first in the line may try; false: waits has ended.
func (r *room) await(waits context.Context, p *position) bool {
	for waits.Err() == nil {
		wait := r.wait(p)
		if wait <= 0 {
			return true
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-r.wake:
		case <-waits.Done():
		}
		timer.Stop()
	}
	return false
}

// wait returns how long the first in the line has to wait yet.
func (r *room) wait(p *position) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch wait := time.Until(r.next); {
	case !r.full || wait <= 0:
		p.inPlace = false
		return 0
	case r.places > 0:
		r.places--
		p.inPlace = true
		return 0
	default:
		return wait
	}
}

// refused notes that there is no room. Only who is in the line shows how long that has been
// so: the others have tried at about the same time.
func (r *room) refused(err error, p *position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if first := !r.full; first || p == nil {
		r.pause = max(r.least, retryAfter(err))
		r.elsewhere = r.elsewhere && !first
	} else if p.inPlace {
		r.elsewhere = true
	} else {
		r.pause = max(min(r.pause*3/2, maxFull), retryAfter(err))
	}
	r.full, r.places = true, 0
	r.next = time.Now().Add(r.pause*3/4 + rand.N(r.pause/2)) // not all clients at a time
}

// retryAfter is what the daemon asked for.
func retryAfter(err error) time.Duration {
	var p *api.Problem
	if errors.As(err, &p) {
		return p.RetryAfter
	}
	return 0
}

// accepted notes that there was room for the first in the line.
func (r *room) accepted(inPlace bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !inPlace {
		r.full, r.places, r.elsewhere = false, 0, false
	}
}

// ended notes that a task has ended, which makes room for another one.
func (r *room) ended() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.full || r.elsewhere {
		return
	}
	r.places++
	select {
	case r.wake <- struct{}{}:
	default: // it will look
	}
}
