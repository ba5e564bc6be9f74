package daemon

import (
	"sync"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/effects"
)

// readersAtOnce is how many readers of one caller are at the engine's lock at a time.
const readersAtOnce = 2

// turnstile is what those pass who only read, before they wait for the engine's lock: a few
// of each caller's at a time, in the order in which they came. So what is in line for the
// lock is bounded by how many callers there are, and not by their connections: who submits,
// and the engine itself, never wait behind a thousand readers of somebody else.
type turnstile struct {
	elapsed func() time.Duration

	mu      sync.Mutex
	callers map[uint32]*passing
	paces   map[uint32]*pace
}

func newTurnstile(elapsed func() time.Duration) *turnstile {
	return &turnstile{elapsed: elapsed, callers: map[uint32]*passing{}, paces: map[uint32]*pace{}}
}

// passing are the readers of one caller.
type passing struct {
	inside  int
	waiting []chan struct{} // each is closed when its turn has come
}

// enter waits until a reader of the caller may pass; leave has to follow.
func (t *turnstile) enter(uid uint32) {
	if turn := t.join(uid); turn != nil {
		<-turn
	}
}

// join returns nil when the reader may pass at once.
func (t *turnstile) join(uid uint32) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.callers[uid]
	if p == nil {
		p = &passing{}
		t.callers[uid] = p
	}
	if p.inside < readersAtOnce {
		p.inside++
		return nil
	}
	turn := make(chan struct{})
	p.waiting = append(p.waiting, turn)
	return turn
}

// leave lets the next one pass.
func (t *turnstile) leave(uid uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.callers[uid]
	if len(p.waiting) > 0 {
		close(p.waiting[0])
		p.waiting = p.waiting[1:]
		return
	}
	if p.inside--; p.inside == 0 {
		delete(t.callers, uid)
	}
}

// read is do for what only reads on behalf of a caller, or is as short.
func (e *Engine) read(who access.Identity, f func(fx *effects.List)) {
	e.turnstile.enter(who.UID)
	defer e.turnstile.leave(who.UID)
	e.do(f)
}
