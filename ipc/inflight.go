package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"cpulb/internal/share"
)

const (
	// roomTimeout is about how long a request waits, all in all, for room in its caller's
	// share. Bodies of one caller that are half read may wait for each other: they give up
	// one after the other, and the rest go on. So some wait for half as long, some for half
	// as much again, in steps of a part.
	roomTimeout = 10 * time.Second
	roomSteps   = 16
	// taskBytes is about what a task takes beside what its sender decides, until the
	// engine has answered.
	taskBytes = 1 << 10
)

// roomFor is what a line takes until the engine has answered, beside itself: a copy when it
// is decoded, and another one on its way into the journal.
func roomFor(line []byte) int64 { return 2*int64(len(line)) + taskBytes }

// hold is what one request, or one stream, has of its caller's share of the bytes in flight.
type hold struct {
	pool   *share.Pool
	caller share.Caller
	// patience is for how long it may wait, left what is left of that.
	patience, left time.Duration
	bytes          atomic.Int64
	// turn is left while it waits; nil: there is none.
	turn *turn
}

func (s *Server) hold(r *http.Request) *hold {
	if n := s.options.InFlight(); n != s.inFlight.Capacity() { // there was a reload
		s.inFlight.Resize(n)
	}
	who := peer(r)
	caller := share.Caller{UID: who.UID, Whole: s.engine.Administers(who)}
	patience := min(roomTimeout, s.options.StallTimeout)
	patience = patience/2 + patience*time.Duration(s.holds.Add(1)%roomSteps)/roomSteps
	return &hold{pool: s.inFlight, caller: caller, patience: patience, left: patience}
}

// take takes n bytes if there is room now.
func (h *hold) take(n int64) bool {
	if !h.pool.Take(h.caller, n) {
		return false
	}
	h.bytes.Add(n)
	return true
}

// renew lets it wait anew, for a further line or a further piece of an answer.
func (h *hold) renew() { h.left = h.patience }

// wait takes n bytes, which it waits for. The error is for the client.
func (h *hold) wait(ctx context.Context, n int64) error {
	if n == 0 || h.take(n) {
		return nil
	}
	h.turn.leave()
	begun := time.Now()
	patient, cancel := context.WithTimeout(ctx, h.left)
	defer cancel()
	err := h.pool.Wait(patient, h.caller, n)
	h.left -= time.Since(begun)
	switch {
	case err == nil:
		h.bytes.Add(n)
		return nil
	case ctx.Err() != nil: // the client has gone
		return ctx.Err()
	}
	return h.noRoom(n, err)
}

func (h *hold) noRoom(n int64, err error) error {
	_, own := h.pool.Used(h.caller.UID)
	why := "your other requests and streams hold the rest"
	if errors.Is(err, share.ErrTooLarge) {
		why = "it never will fit; send less at a time"
	}
	return &requestError{code: codeTooManyInFlight,
		detail: fmt.Sprintf("there is no room for %d bytes more: of the %d of limits.in_flight you have %d, and %s", n, h.pool.Capacity(), own, why)}
}

// await is wait for as long as it takes, or until ctx is done.
func (h *hold) await(ctx context.Context, n int64) error {
	err := h.pool.Wait(ctx, h.caller, n)
	if err == nil {
		h.bytes.Add(n)
	}
	return err
}

// force takes n bytes that are there in any case.
func (h *hold) force(n int64) {
	h.pool.Force(h.caller, n)
	h.bytes.Add(n)
}

// give gives n bytes back.
func (h *hold) give(n int64) {
	if n != 0 {
		h.bytes.Add(-n)
		h.pool.Give(h.caller.UID, n)
	}
}

// end gives back whatever it still has.
func (h *hold) end() {
	if n := h.bytes.Swap(0); n != 0 {
		h.pool.Give(h.caller.UID, n)
	}
}

// buffer is text that grows as bytes arrive. It is counted before it grows, and while it
// is moved it is there twice.
type buffer struct {
	hold *hold
	// most is how large it may get, expected how large its sender says that it will be:
	// so much is made only when the half of it has come. -1: unknown.
	most, expected int64
	text           []byte
}

// firstBytes is how much room is made for what may be short.
const firstBytes = 4 << 10

// grow makes room for more. The error is for the client.
func (b *buffer) grow(ctx context.Context) error {
	old := int64(cap(b.text))
	next := min(max(2*old, firstBytes), b.most)
	if b.expected >= int64(len(b.text)) && b.expected < next {
		next = b.expected + 1 // one more, by which its end is seen
	}
	if err := b.hold.wait(ctx, next); err != nil {
		return err
	}
	b.text = append(make([]byte, 0, next), b.text...)
	b.hold.give(old)
	return nil
}

// readFrom reads all of r, whose errors are for the client.
func (b *buffer) readFrom(ctx context.Context, r io.Reader) error {
	for {
		if len(b.text) == cap(b.text) {
			if err := b.grow(ctx); err != nil {
				return err
			}
		}
		n, err := r.Read(b.text[len(b.text):cap(b.text)])
		b.text = b.text[:len(b.text)+n]
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
