package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// hearing belongs to the goroutine that reads the connection. Who runs one task and waits
// for it reads itself, which spares a hand-over between goroutines; a goroutine of its own
// reads for all others.
type hearing struct {
	in      lines
	answers task.Answers
	// heard is what one read has brought.
	heard []task.Answer
}

// ensureReader sees to it that somebody reads, since somebody waits; s.mu is held. The
// caller has to if it is willing and nobody else does.
func (s *Stream) ensureReader(willing bool) (caller bool) {
	s.stays = s.stays || !willing
	if s.reads {
		return false
	}
	s.reads = true
	if !willing {
		go s.readOn()
	}
	return willing
}

// readOn reads as long as there is something to expect.
func (s *Stream) readOn() {
	for s.hear(s.in.more()) {
		if s.leave() {
			return
		}
	}
}

// leave ends the reading, unless there is something to expect.
func (s *Stream) leave() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = len(s.waiting) > 0 || s.forgotten > 0 || s.stays
	return !s.reads
}

// readFor reads until p is over or ctx is done, and has another goroutine go on if need be.
func (s *Stream) readFor(ctx context.Context, p *Pending) {
	release := s.interruptible(ctx)
	connected, over := true, false
	for connected && !over && ctx.Err() == nil {
		connected = s.hear(s.in.more())
		_, _, over = p.ended()
	}
	release()
	if connected && !s.leave() {
		go s.readOn()
	}
}

// longAgo is a deadline that interrupts a read.
var longAgo = time.Unix(1, 0)

// interruptible has the end of ctx interrupt reads, until release is called.
func (s *Stream) interruptible(ctx context.Context) (release func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = s.conn.SetReadDeadline(longAgo) // an error: it is closed, which ends reads, too
		close(interrupted)
	})
	return func() {
		if !stop() {
			<-interrupted
			_ = s.conn.SetReadDeadline(time.Time{})
		}
	}
}

// hear takes what a read has brought. It returns false once the connection has ended.
func (s *Stream) hear(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil // it was interrupted
	}
	s.heard = s.heard[:0]
	for text, given := s.in.take(); text != nil; text, given = s.in.take() {
		a, bad := s.answers.Answer(text, given)
		if bad != nil {
			err = fmt.Errorf("answer: %w", bad)
			break
		}
		s.heard = append(s.heard, a)
	}
	if err != nil {
		_ = s.conn.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heard) > 0 {
		s.unheard, s.together, s.stays = 0, len(s.heard) > 1, false
	}
	for i := range s.heard {
		s.take(&s.heard[i])
	}
	clear(s.heard) // a Result is for who waits for it
	if err != nil {
		s.fail(err)
	}
	return err == nil
}

// take handles one line; s.mu is held.
func (s *Stream) take(a *task.Answer) {
	switch a.Event {
	case string(task.EventResult):
		if p := s.waiting[a.ID]; p == nil {
			s.forgotten = max(0, s.forgotten-1)
		} else if a.Result != nil {
			s.settle(p, a.Result, nil)
		}
	case "rejected":
		if p := s.refused(a); p != nil {
			problem := &api.Problem{Detail: "refused without a reason"}
			_ = json.Unmarshal(a.Problem, problem) // without a reason that can be read
			s.settle(p, nil, problem)
		}
	case "accepted":
		s.rename(a)
		for p := s.waiting[a.ID]; p != nil; p = p.also {
			if p.accepted != nil {
				p.accepted()
			}
		}
	case "goaway":
		s.goaway = a.Reason
	}
}

// rename moves the Pendings of the task that was sent to the task that an
// idempotency_key made of it.
func (s *Stream) rename(a *task.Answer) {
	if p := s.waiting[a.SentAs]; p != nil {
		delete(s.waiting, a.SentAs)
		p.key, p.also = a.ID, s.waiting[a.ID]
		s.waiting[a.ID] = p
	}
}

// refused finds the submission that was refused, by the number of its line: a line
// that could not be read has no id, and a refused cancel has the id of a task that
// may be under way.
func (s *Stream) refused(a *task.Answer) *Pending {
	if a.ID != (task.ID{}) {
		if p := s.waiting[a.ID]; p != nil && p.line == a.Line {
			return p
		}
		return nil
	}
	for _, p := range s.waiting {
		if p.line == a.Line {
			return p
		}
	}
	return nil
}

// settle ends the wait of p; s.mu is held.
func (s *Stream) settle(p *Pending, r *task.Result, err error) {
	delete(s.waiting, p.key)
	for ; p != nil; p = p.also {
		s.stays = s.stays || !p.attended
		p.settle(r, err)
	}
}

// fail ends all waits; s.mu is held.
func (s *Stream) fail(err error) {
	s.err = fmt.Errorf("%w: %w", ErrStreamEnded, err)
	if s.goaway != "" {
		s.err = fmt.Errorf("%w: %s", ErrStreamEnded, s.goaway)
	}
	for _, p := range s.waiting {
		s.settle(p, nil, s.err)
	}
}
