package daemon

import (
	"context"
	"time"
)

// What following costs the daemon, roughly: each look at what is new, each item that is
// found and each byte of it. Looks that come together for paceBurst are not held up.
const (
	lookCost  = 100 * time.Microsecond
	itemCost  = 2 * time.Microsecond
	byteCost  = time.Nanosecond
	paceBurst = 20 * time.Millisecond
)

// pace divides the time of the daemon that those take who follow what happens. All readers
// of one caller look one after the other, as if a single one followed: each for itself as
// soon as something happens while there are few, and later, with more to find, when a
// thousand follow a task that reports ten thousand events a second.
type pace struct {
	followers int
	// due is until when what was found has been paid for.
	due time.Duration
}

// charge has the followers pay for what one of them takes, and returns for how long it has
// to wait: what comes together within burst is not held up.
func (p *pace) charge(now, cost, burst time.Duration) time.Duration {
	p.due = max(p.due, now) + cost
	return p.due - now - burst
}

// follows counts a follower of the caller until the function that it returns is called.
func (t *turnstile) follows(uid uint32) (end func()) {
	change := func(n int) {
		t.mu.Lock()
		defer t.mu.Unlock()
		p := t.paces[uid]
		if p == nil {
			p = &pace{}
			t.paces[uid] = p
		}
		if p.followers += n; p.followers == 0 {
			delete(t.paces, uid)
		}
	}
	change(1)
	return func() { change(-1) }
}

// charge is explained at pace.charge.
func (t *turnstile) charge(uid uint32, cost time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.paces[uid].charge(t.elapsed(), cost, paceBurst)
}

// pause waits until a follower of the caller may look again, or ctx is done.
func (t *turnstile) pause(ctx context.Context, uid uint32) {
	wait := t.charge(uid, lookCost)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
