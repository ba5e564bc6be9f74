package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// DefaultInFlight is how many tasks Map has in flight unless it is told otherwise.
const DefaultInFlight = 64

// MapOptions are for Map; the zero value is what most want.
type MapOptions struct {
	// InFlight is how many tasks are at most taken from the sequence whose Results have not
	// been yielded; 0: DefaultInFlight.
	InFlight int
	// AsCompleted yields the Results as tasks end, instead of in the order of the tasks.
	AsCompleted bool
}

// TaskError is the error that Map yields for a task of which there is no Result.
type TaskError struct {
	Task *task.Task
	Err  error
}

func (e *TaskError) Error() string {
	if e.Task == nil {
		return e.Err.Error()
	}
	return fmt.Sprintf("task %s: %v", e.Task.ID, e.Err)
}

// Unwrap returns why there is no Result.
func (e *TaskError) Unwrap() error { return e.Err }

// Map runs tasks, each with an ID, and yields their Results in the order of the tasks. It is
// lazy: it takes the next task once there is room for it, and on another goroutine, so that a
// sequence that waits for something holds up no Result.
//
// Where the daemon has no room for a task at the moment (queue_full, journal_full and the
// codes that begin with too_many) Map waits until it has, or ctx ends, and tries about once a
// second, however many tasks wait. A daemon that drains (draining, not_ready), like one that
// has gone, is waited for as WithPatience says.
//
// A task that the daemon refuses for good yields a *TaskError in its place, and the others go
// on. After the end of ctx, or an error that says that the daemon did not come back, or hangs, Map
// yields nothing more: that is not what became of a task.
//
// When ctx ends, or the loop is left, also by a panic or runtime.Goexit, the tasks in flight are
// cancelled. A sequence that panics, or calls runtime.Goexit, does so in the loop, behind the
// Results of the tasks before.
func (c *Client) Map(ctx context.Context, tasks iter.Seq[*task.Task], o MapOptions) iter.Seq2[*task.Result, error] {
	if o.InFlight <= 0 {
		o.InFlight = DefaultInFlight
	}
	return func(yield func(*task.Result, error) bool) {
		m := newMapping(ctx, c, o)
		go m.feed(tasks)
		defer m.leave() // also if the loop panics, or calls runtime.Goexit as t.Fatal does
		m.deliver(ctx, yield)
	}
}

// mapping is one Map.
type mapping struct {
	client      *Client
	asCompleted bool
	// running bounds the calls, which go on while tasks are being cancelled.
	running context.Context
	end     context.CancelFunc
	// waits ends when nobody wants more, and with it the waiting for room.
	waits    context.Context
	noLonger context.CancelFunc
	// room has one entry for each task that has been taken and not been yielded.
	room chan struct{}
	// out is what deliver yields next: as they began, or as they end.
	out  chan *mapped
	left chan struct{} // closed when nobody wants more
	// broken is how the sequence ended if it did not return. It is set before out is closed.
	broken *broken

	mu      sync.Mutex
	over    bool // left is closed
	calls   sync.WaitGroup
	flights map[*mapped]struct{}
}

// mapped is one of its tasks.
type mapped struct {
	sending
	done   chan struct{}
	result *task.Result
	err    error
}

func newMapping(ctx context.Context, c *Client, o MapOptions) *mapping {
	m := &mapping{client: c, asCompleted: o.AsCompleted, room: make(chan struct{}, o.InFlight), out: make(chan *mapped, o.InFlight),
		left: make(chan struct{}), flights: map[*mapped]struct{}{}}
	m.running, m.end = context.WithCancel(context.WithoutCancel(ctx))
	m.waits, m.noLonger = context.WithCancel(m.running)
	return m
}

// broken is how a sequence of tasks ended that panicked, or called runtime.Goexit. It does so
// where Map is called: nobody could recover from it on a goroutine of Map's own.
type broken struct{ panicked any }

func (b *broken) end() {
	if b.panicked != nil {
		panic(b.panicked)
	}
	runtime.Goexit()
}

// feed takes tasks as there is room for them.
func (m *mapping) feed(tasks iter.Seq[*task.Task]) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if m.broken = (&broken{recover()}); m.wanted() {
			m.calls.Wait()
			close(m.out)
		} else if m.broken.panicked != nil { // nobody else would hear of it
			panic(m.broken.panicked)
		}
	}()
	m.take(tasks)
	returned = true
}

// take is feed as long as the sequence is in order.
func (m *mapping) take(tasks iter.Seq[*task.Task]) {
	next, stop := iter.Pull(tasks)
	defer stop()
	for {
		select {
		case m.room <- struct{}{}:
		case <-m.left:
			return
		}
		t, more := next()
		if !more {
			m.calls.Wait()
			close(m.out)
			return
		}
		if !m.begin(&mapped{sending: sending{client: m.client, task: t}, done: make(chan struct{})}) {
			return
		}
	}
}

// begin has x run, unless nobody wants its Result any more.
func (m *mapping) begin(x *mapped) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return false
	}
	m.flights[x] = struct{}{}
	if !m.asCompleted {
		m.out <- x // there is room for as many as are in flight
	}
	m.calls.Go(func() { m.run(x) })
	return true
}

func (m *mapping) run(x *mapped) {
	passes := func(err error) bool { return m.wanted() && m.client.passes(err) && !api.IsTemporary(err) }
	x.err = m.client.room.through(m.waits, func(accepted func()) (err error) {
		x.result, err = x.run(m.running, passes, accepted)
		return err
	})
	close(x.done)
	if m.asCompleted {
		m.out <- x
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.flights, x)
}

// wanted reports whether anybody wants a Result.
func (m *mapping) wanted() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.over
}

// deliver yields to the last Result, or until nobody wants more.
func (m *mapping) deliver(ctx context.Context, yield func(*task.Result, error) bool) {
	for {
		var x *mapped
		select {
		case x = <-m.out:
		case <-ctx.Done():
		}
		if ctx.Err() == nil && x != nil {
			select {
			case <-x.done:
			case <-ctx.Done():
			}
		}
		switch {
		case ctx.Err() != nil:
			yield(nil, ended(ctx))
			return
		case x == nil && m.broken != nil:
			m.broken.end()
		case x == nil: // that was the last
			return
		case x.err != nil:
			if !yield(nil, &TaskError{x.task, x.err}) || gone(x.err) || errors.Is(x.err, ErrNoAnswer) || api.IsTemporary(x.err) {
				return
			}
		case !yield(x.result, nil):
			return
		}
		<-m.room
	}
}

// leaveTimeout is how long tasks that are cancelled have to end before Map returns. They
// are asked to in any case.
const leaveTimeout = 2 * time.Second

// leave cancels what is in flight, and again what was only about to be sent.
func (m *mapping) leave() {
	m.mu.Lock()
	m.over = true
	close(m.left)
	m.noLonger()
	m.mu.Unlock()
	defer m.end()
	ctx, cancel := context.WithTimeout(m.running, leaveTimeout)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		m.calls.Wait()
		close(ended)
	}()
	for pause := minAway; ; pause = min(2*pause, maxAway) {
		for _, x := range m.open() {
			_ = x.cancel(ctx) // an error: the next time, if there is one
		}
		select {
		case <-ended:
			return
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// open returns the tasks in flight.
func (m *mapping) open() []*mapped {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.flights))
}
