package client

import (
	"context"

	"cpulb/daemon/task"
)

// Pending is a task submitted on a Stream.
type Pending struct {
	ID     task.ID
	stream *Stream
	// attended: who submitted it waits for it, and can read the connection meanwhile.
	attended bool
	// accepted, if it is not nil, is called once the daemon has accepted the task; it must not
	// block.
	accepted func()

	// The mu of stream guards the rest.

	// key is the id under which the task is found, which an idempotency_key may make
	// another than its own; also waits for the same task.
	key  task.ID
	also *Pending
	line int
	end  int64 // of its line, among the bytes that were queued
	// over: result or err is set, for ever. done is closed then; it is made when somebody
	// first waits for it.
	over   bool
	done   chan struct{}
	result *task.Result
	err    error
}

// Done is closed once the task has ended, was refused, or the stream has ended.
func (p *Pending) Done() <-chan struct{} {
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	if p.done == nil {
		p.done = make(chan struct{})
		if p.over {
			close(p.done)
		}
	}
	return p.done
}

// ended returns what has come of p, if it is over.
func (p *Pending) ended() (r *task.Result, err error, over bool) {
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	return p.result, p.err, p.over
}

// Result waits for the task's end. Errors: an *api.Problem when the daemon refused
// the task, ErrStreamEnded, or ctx's; after the last it can be called again.
func (p *Pending) Result(ctx context.Context) (*task.Result, error) {
	if r, err, over := p.ended(); over {
		return r, err
	}
	select {
	case <-p.Done():
		r, err, _ := p.ended()
		return r, err
	case <-ctx.Done():
		return nil, ended(ctx)
	}
}

// settle is called once, with stream.mu held.
func (p *Pending) settle(r *task.Result, err error) {
	p.over, p.result, p.err = true, r, err
	if p.done != nil {
		close(p.done)
	}
}

// Forget stops waiting for a task whose Result is not needed. The task goes on.
func (p *Pending) Forget() {
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	first := p.stream.waiting[p.key]
	at := &first
	for *at != nil && *at != p {
		at = &(*at).also
	}
	if *at == nil {
		return
	}
	p.stream.forgotten++
	if *at = p.also; first == nil {
		delete(p.stream.waiting, p.key)
	} else {
		p.stream.waiting[p.key] = first
	}
}
