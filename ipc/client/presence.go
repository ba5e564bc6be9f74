package client

import (
	"sync"
	"time"
)

// stay is for how long a daemon is there that has come back: one that dies before has not.
const stay = time.Second

// presence is when the daemon was there, as far as the calls of one Client know.
type presence struct {
	enough time.Duration // stay, unless the Client is less patient than that

	mu  sync.Mutex
	now func() time.Time
	// since is when it answered first after it was lost last; zero: not since.
	since time.Time
	// stayed is until when it is known to have been there for enough.
	stayed time.Time
}

func newPresence(patience time.Duration) *presence {
	return &presence{enough: min(stay, patience), now: time.Now}
}

// heard notes that the daemon has answered.
func (p *presence) heard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() {
		p.since = p.now()
	}
}

// lost notes that a call has lost the daemon, or has not found it, which is now.
func (p *presence) lost() (now, stayed time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now = p.now()
	if !p.since.IsZero() && now.Sub(p.since) >= p.enough {
		p.stayed = now
	}
	p.since = time.Time{}
	return now, p.stayed
}

// outage is one for one call. It is over when the daemon is there again, and stays.
type outage struct {
	presence *presence
	began    time.Time // by the first failure
}

// lasts notes a failure, and returns for how long there has been nothing else.
func (o *outage) lasts() time.Duration {
	now, stayed := o.presence.lost()
	if o.began.IsZero() || stayed.After(o.began) {
		o.began = now
	}
	return now.Sub(o.began)
}
