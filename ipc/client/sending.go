package client

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"cpulb/daemon/task"
)

// sending is one task on its way to its Result, as often as it has to be sent for that.
type sending struct {
	client *Client
	task   *task.Task
	// sent: it may have been accepted.
	sent bool
	// on is the Stream that it was sent on last; nil: on none yet.
	on atomic.Pointer[Stream]
}

// run tries until there is a Result, or an error that passing does not report. accepted, if
// it is not nil, is called once the task is the daemon's.
func (s *sending) run(ctx context.Context, passing func(error) bool, accepted func()) (r *task.Result, err error) {
	if s.task == nil {
		return nil, errNoTask
	}
	err = s.client.retry(ctx, passing, func() (err error) {
		r, err = s.try(ctx, accepted)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (s *sending) try(ctx context.Context, accepted func()) (*task.Result, error) {
	if s.sent && once(s.task) {
		r, err := s.client.Wait(ctx, s.task.ID)
		return r, lost(err)
	}
	var stream *Stream
	err := s.client.promptly(ctx, 0, func(ctx context.Context) (err error) {
		stream, err = s.client.stream(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.on.Store(stream)
	p := &Pending{ID: s.task.ID, key: s.task.ID, stream: stream, attended: true, accepted: accepted}
	r, err := s.do(ctx, p)
	// Only the end of the connection ends what is still being written.
	s.sent = err == nil || !refused(err) && (errors.Is(err, ErrNoAnswer) || ctx.Err() != nil || stream.wrote(p))
	return r, err
}

// do sends the task and waits for its end; for its acceptance only as long as the daemon lives.
func (s *sending) do(ctx context.Context, p *Pending) (r *task.Result, err error) {
	if s.client.prompt == 0 {
		return p.stream.do(ctx, s.task, p)
	}
	taken, accepted := new(atomic.Bool), p.accepted
	p.accepted = func() {
		taken.Store(true)
		if accepted != nil {
			accepted()
		}
	}
	err = s.client.whileAlive(ctx, func(int) bool { return taken.Load() }, func(ctx context.Context) (err error) {
		r, err = p.stream.do(ctx, s.task, p)
		return err
	})
	return r, err
}

// cancel cancels the task if it has been sent: on its Stream, so that the cancel does not
// overtake it, and which may be that of a daemon that takes no more tasks; by its id after
// the end of that. An error: there is no daemon, or it does not know the task.
func (s *sending) cancel(ctx context.Context) error {
	on := s.on.Load()
	if on == nil || on.Cancel(ctx, s.task.ID) == nil {
		return nil
	}
	return s.client.call(ctx, http.MethodDelete, "/v1/tasks/"+s.task.ID.String(), nil, new(task.View))
}
