package ipc

import (
	"context"
	"time"

	"cpulb/internal/share"
)

// What a stream waits for before it reads its next line.

// room takes n bytes for the line that in has read last; false: it goes no further. A line
// that is held itself does not wait for ever: those of one caller could wait for each other.
func (st *stream) room(in *lines, n int64) bool {
	if st.held.take(n) {
		return true
	}
	wait := st.held.await
	if in.holds() {
		wait = st.held.wait
	}
	var err error
	if st.await(func(ctx context.Context) error { err = wait(ctx, n); return err }) {
		return true
	}
	if skipped(err) { // await has joined what was before
		st.reject(nil, in.number, err)
	}
	return false
}

// open waits until one submission or cancel more of its caller may be without an answer,
// which answered ends; false: the connection is to end. Administrators are no exception:
// what they have there may wait for room for ever.
func (st *stream) open() bool {
	caller := share.Caller{UID: st.who.UID}
	return st.server.unanswered.Take(caller, 1) ||
		st.await(func(ctx context.Context) error { return st.server.unanswered.Wait(ctx, caller, 1) })
}

// answered notes that the engine has answered one.
func (st *stream) answered() { st.server.unanswered.Give(st.who.UID, 1) }

// patience is for how long no line is read before it is looked whether the client is
// still there.
const patience = 100 * time.Millisecond

// await calls wait, whose context ends when the connection is to end; false: it does. A
// client that goes meanwhile is noticed, although nothing is read: what it has waiting for
// room in the queue is withdrawn then, and the lines that it has left are carried out.
func (st *stream) await(wait func(context.Context) error) bool {
	st.join()
	st.turn.leave()
	ctx, cancel := context.WithCancel(context.WithoutCancel(st.client))
	defer cancel()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-time.After(patience):
		case <-st.over:
			cancel()
			return
		case <-ctx.Done():
			return
		}
		if st.conn.AwaitHangup() != nil { // it is cut off or ended, or the wait is over
			cancel()
			return
		}
		st.leave()
		select {
		case <-st.over:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := wait(ctx)
	cancel()
	_ = st.conn.SetReadDeadline(time.Unix(1, 0))
	<-watched
	_ = st.conn.SetReadDeadline(time.Time{}) // serve looks at cut, which wanted it to stay
	return err == nil
}
