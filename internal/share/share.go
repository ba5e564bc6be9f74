// Package share divides what is bounded among callers, so that each can exhaust its own
// share and nobody the whole: the dynamic threshold of A. K. Choudhury and E. L. Hahne,
// "Dynamic Queue Length Thresholds in a Shared-Memory Packet Switch", IEEE/ACM Transactions
// on Networking 6(2), 1998.
//
// A caller who has nothing may take whatever is free. One who has something may take more as
// long as what it then has is at most Multiple times what is left for all others. So one
// caller alone gets up to two thirds, each of two that want all two fifths, and there is always
// something left for one more.
//
// It is plain data under a lock of its own; nothing in it is about what is divided.
package share

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
)

// Multiple is how many times what is left one caller may have.
const Multiple = 2

// ErrTooLarge is returned for what does not fit even if nobody has anything.
var ErrTooLarge = errors.New("larger than all that there is")

// Caller is who takes. Whole: its share is all that there is, as an administrator's.
type Caller struct {
	UID   uint32
	Whole bool
}

// Fits reports whether a caller who has own of the used part of capacity may have n more.
func Fits(capacity, used, own, n int64, whole bool) bool {
	left := capacity - used - n
	switch {
	case n < 0 || left < 0:
		return false
	case whole || own == 0 || left > math.MaxInt64/Multiple:
		return true
	}
	return own+n <= Multiple*left
}

// Most returns how many one caller may have by and by while all others have so many.
func Most(capacity, others int64) int64 {
	left := max(0, capacity-others)
	return left - left/(Multiple+1) - min(1, left%(Multiple+1))
}

// Pool is something bounded that callers take and give back. Its methods are safe for
// concurrent use.
type Pool struct {
	mu       sync.Mutex
	capacity int64
	used     int64
	own      map[uint32]int64
	// waiting has who waits for room, each caller's in order.
	waiting map[uint32][]*waiter
}

type waiter struct {
	caller Caller
	n      int64
	room   chan struct{} // closed once it has n
}

// NewPool returns a Pool of capacity units.
func NewPool(capacity int64) *Pool {
	return &Pool{capacity: capacity, own: map[uint32]int64{}, waiting: map[uint32][]*waiter{}}
}

// Take takes n units if the caller may have them now. It does not go ahead of those of the
// same caller who wait.
func (p *Pool) Take(c Caller, n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting[c.UID]) > 0 || !p.fits(c, n) {
		return false
	}
	p.take(c.UID, n)
	return true
}

// TakeAhead is Take for what can't wait: it goes ahead of those who wait.
func (p *Pool) TakeAhead(c Caller, n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.fits(c, n) {
		return false
	}
	p.take(c.UID, n)
	return true
}

// Force takes n units that are held whether there is room or not, so that they are counted.
func (p *Pool) Force(c Caller, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.take(c.UID, n)
}

// Wait takes n units once the caller may have them; those of one caller wait in order.
// Errors: ErrTooLarge, and ctx's, with which it has taken nothing.
func (p *Pool) Wait(ctx context.Context, c Caller, n int64) error {
	w, err := p.join(c, n)
	if w == nil {
		return err
	}
	select {
	case <-w.room:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiting[c.UID], w)
	if i < 0 { // it had just got its room
		return nil
	}
	p.setWaiting(c.UID, slices.Delete(p.waiting[c.UID], i, i+1))
	p.admit() // whom it was in the way of
	return ctx.Err()
}

// join returns nil when it has taken n at once, or never could.
func (p *Pool) join(c Caller, n int64) (*waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case n > p.capacity:
		return nil, ErrTooLarge
	case len(p.waiting[c.UID]) == 0 && p.fits(c, n):
		p.take(c.UID, n)
		return nil, nil
	}
	w := &waiter{c, n, make(chan struct{})}
	p.waiting[c.UID] = append(p.waiting[c.UID], w)
	return w, nil
}

// Give gives n units back.
func (p *Pool) Give(uid uint32, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.take(uid, -n)
	p.admit()
}

// Used returns how much all callers have together, and how much one of them.
func (p *Pool) Used(uid uint32) (all, own int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used, p.own[uid]
}

// Capacity returns how much there is.
func (p *Pool) Capacity() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.capacity
}

// Resize changes how much there is; who has more by then keeps it.
func (p *Pool) Resize(capacity int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.capacity = capacity
	p.admit()
}

func (p *Pool) fits(c Caller, n int64) bool {
	return Fits(p.capacity, p.used, p.own[c.UID], n, c.Whole)
}

func (p *Pool) take(uid uint32, n int64) {
	p.used += n
	if p.own[uid] += n; p.own[uid] == 0 {
		delete(p.own, uid)
	}
}

// admit lets those in who wait, as far as there is room.
func (p *Pool) admit() {
	for uid, all := range p.waiting {
		in := 0
		for in < len(all) && p.fits(all[in].caller, all[in].n) {
			p.take(uid, all[in].n)
			close(all[in].room)
			in++
		}
		if in > 0 {
			p.setWaiting(uid, slices.Delete(all, 0, in))
		}
	}
}

func (p *Pool) setWaiting(uid uint32, all []*waiter) {
	if len(all) == 0 {
		delete(p.waiting, uid)
		return
	}
	p.waiting[uid] = all
}
