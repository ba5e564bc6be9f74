package daemon

import (
	"context"
	"errors"

	"cpulb/daemon/effects"
	"cpulb/daemon/task"
)

// asker waits for the answer for one task.
type asker struct {
	answer func(task.View, error)
	// waits is what for; nil once it has been answered.
	waits *admission
	// outlet is where the answer goes; nil: nowhere that is known.
	outlet task.Outlet
	// client may go before; nil: that is not watched.
	client *client
}

// blocked reports whether it waits for room in the queue.
func (q *asker) blocked() bool { return q.waits != nil && q.waits.stage == blocked }

// tell answers q.
func (q *asker) tell(view task.View, err error, fx *effects.List) {
	q.waits = nil
	fx.Tell(q.outlet, q.answer, view, err)
	if q.client != nil {
		q.client.answered(fx)
	}
}

// client is who waits for room for some tasks, and may go before there is any.
type client struct {
	waiting int
	// stop ends the watch over it.
	stop func() bool
}

func (c *client) answered(fx *effects.List) {
	if c.waiting--; c.waiting == 0 {
		fx.Answer(func() { c.stop() })
	}
}

// errClientGone is what a withdrawn submission ends with. Nobody reads it.
var errClientGone = errors.New("the client has gone before there was room")

// watchClient withdraws those of a client's tasks that still wait for room when ctx ends,
// which says that the client has gone.
func (e *Engine) watchClient(ctx context.Context, askers []*asker) {
	c := &client{stop: context.AfterFunc(ctx, func() { e.leave(askers) })}
	e.do(func(fx *effects.List) {
		c.waiting = 1
		for _, q := range askers {
			if q.waits != nil {
				q.client = c
				c.waiting++
			}
		}
		c.answered(fx) // the one more
	})
}

// leave withdraws what waits for room and that nobody else has asked for. What is being
// committed is accepted as usual.
func (e *Engine) leave(askers []*asker) {
	e.do(func(fx *effects.List) {
		for _, q := range askers {
			if !q.blocked() {
				continue
			}
			a := q.waits
			a.drop(q)
			q.tell(task.View{}, errClientGone, fx)
			if len(a.askers) == 0 {
				e.turnAway(a, errClientGone, fx)
			}
		}
	})
}

func (a *admission) drop(q *asker) {
	for i, other := range a.askers {
		if other == q {
			a.askers = append(a.askers[:i], a.askers[i+1:]...)
			return
		}
	}
}
