package ipc

import (
	"context"
	"io"
	"net/http"
	"runtime"

	"cpulb/internal/share"
)

// shortText is how much takes no turn to be looked through: it takes less time than the turn
// is worth.
const shortText = 16 << 10

// turns is how many texts are looked through at a time: half of the processor's cores are left
// for all that is short.
func turns() int64 { return max(1, int64(runtime.GOMAXPROCS(0))/2) }

// turn is a request's, or a stream's, to decode what it has been sent, and to have it
// compared, which takes milliseconds for each megabyte: many of one caller would hold up
// everybody, since Go gives each of them as much of the processor as anybody else. It is taken
// to compute, and left to wait. It is for one goroutine; nil is that of a request that needs
// none.
type turn struct {
	pool   *share.Pool
	caller share.Caller
	has    bool
}

// turnFor returns that of a request.
func (s *Server) turnFor(r *http.Request, h *hold) *turn {
	if r.ContentLength >= 0 && r.ContentLength <= shortText {
		return nil
	}
	return &turn{pool: s.turns, caller: h.caller}
}

// try takes the turn if that needs no waiting.
func (t *turn) try() bool {
	if t != nil && !t.has {
		t.has = t.pool.Take(t.caller, 1)
	}
	return t == nil || t.has
}

// take waits for the turn; those of one caller come in order, and callers by chance. The
// error is the context's.
func (t *turn) take(ctx context.Context) error {
	if t.try() {
		return nil
	}
	err := t.pool.Wait(ctx, t.caller, 1)
	t.has = err == nil
	return err
}

// leave gives it back if it has it.
func (t *turn) leave() {
	if t != nil && t.has {
		t.has = false
		t.pool.Give(t.caller.UID, 1)
	}
}

// byTurns reads text that is looked through piece by piece, each in a turn.
type byTurns struct {
	io.Reader
	turn *turn
	ctx  context.Context
}

// Read implements io.Reader.
func (b byTurns) Read(p []byte) (int, error) {
	b.turn.leave()
	n, err := b.Reader.Read(p)
	if n > 0 {
		if wrong := b.turn.take(b.ctx); wrong != nil {
			return 0, wrong
		}
	}
	return n, err
}

// streamTurn is that of a stream, whose lines are mostly short: it is taken when there are
// many of them, or one is long.
type streamTurn struct {
	turn
	many bool
}

// streamReader is what a stream reads: before it waits for more, the lines that have come are
// carried out, and the turn is left.
type streamReader struct {
	io.Reader
	stream *stream
}

// Read implements io.Reader.
func (s streamReader) Read(p []byte) (int, error) {
	s.stream.join()
	t := &s.stream.turn
	t.leave()
	n, err := s.Reader.Read(p)
	t.many = n > shortText
	return n, err
}

// takeTurn takes the turn that a line of so many bytes needs, if it does; false: the
// connection is to end.
func (st *stream) takeTurn(length int) bool {
	return length <= shortText && !st.turn.many || st.turn.try() || st.await(st.turn.take)
}
