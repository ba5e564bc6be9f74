package ipc

import (
	"context"
	"time"
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
	if skipped(err) {
		st.reject(nil, in.number, err)
	}
	return false
}

// mayOpen notes that one submission more is without an answer, if that may be.
func (st *stream) mayOpen() bool {
	select {
	case st.unanswered <- struct{}{}:
		return true
	default:
		return false
	}
}

// open waits until mayOpen; false: the connection is to end.
func (st *stream) open() bool {
	return st.mayOpen() || st.await(func(ctx context.Context) error {
		select {
		case st.unanswered <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// patience is for how long no line is read before it is looked whether the client is
// still there.
const patience = 100 * time.Millisecond

// await calls wait, whose context ends when the connection is to end; false: it does. A
// client that goes meanwhile is noticed, although nothing is read: what it has waiting for
// room in the queue is withdrawn then, and the lines that it has left are carried out.
func (st *stream) await(wait func(context.Context) error) bool {
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
