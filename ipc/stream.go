package ipc

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/internal/outbox"
	"cpulb/internal/rawio"
)

const (
	upgradeName = "cpulb"
	switching   = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + upgradeName + "\r\n\r\n"

	reasonStopping = "the daemon is stopping"
	reasonBacklog  = "too much waits to be read by this client; results are found by task_id"
	// farewellTimeout is how long a client that was cut off has to read what had been
	// queued for it, and the reason.
	farewellTimeout = 5 * time.Second
	// maxJoined bounds how many lines are handed to the engine at once.
	maxJoined = 64
	// maxUnanswered bounds how many submissions and cancels of all streams share a commit; one
	// caller alone has a thousand of them. Whoever else submits waits for what the engine has
	// yet to answer, so that nobody has more of it for having more streams.
	maxUnanswered = 1500
)

// stream is one upgraded connection; it watches the tasks submitted on it.
//
// Lines to the client go through the outbox, which never blocks: the engine's
// goroutine that ends a task writes the result itself when the socket has room.
type stream struct {
	server *Server
	who    access.Identity
	// held is what its lines take until the engine has answered, and what waits in out.
	held *hold
	// turn is to look through its lines.
	turn   streamTurn
	over   chan struct{} // closed to end the connection
	ending sync.Once
	conn   *rawio.Conn
	out    *outbox.Outbox
	// client ends with the connection.
	client context.Context
	leave  context.CancelFunc
	// cut is set when too much waits for the client to read: nothing more is queued.
	cut     atomic.Bool
	gone    chan struct{} // closed when the connection has ended
	watched watched
	// joined are the submissions of lines that have come together, for the engine.
	joined []api.Submission
}

func (s *Server) postStream(w http.ResponseWriter, r *http.Request) {
	if err := checkUpgrade(r); err != nil {
		s.fail(w, err)
		return
	}
	hijacked, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.fail(w, err)
		return
	}
	defer hijacked.Close()
	conn, err := rawio.New(hijacked.(*conn).UnixConn) // what bounded.Accept returns
	if err != nil {
		s.options.Logger.Error("stream refused", "error", err)
		return
	}
	held := s.hold(r)
	out := outbox.New(conn, int(s.options.BacklogBytes))
	out.Share(backlog{held})
	// What the client sent ahead of the 101 is in rw's small buffer.
	early := io.LimitReader(rw.Reader, int64(rw.Reader.Buffered()))
	client, leave := context.WithCancel(context.WithoutCancel(r.Context()))
	st := &stream{server: s, who: peer(r), held: held, over: make(chan struct{}),
		conn: conn, out: out, client: client, leave: leave, gone: make(chan struct{}),
		watched: watched{tasks: map[task.ID]*watch{}, others: map[*watch]struct{}{}}, turn: streamTurn{turn: turn{pool: s.turns, caller: held.caller}}}
	held.turn = &st.turn.turn
	st.run(streamReader{io.MultiReader(early, conn), st})
}

func checkUpgrade(r *http.Request) error {
	if err := query(r); err != nil {
		return err
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), upgradeName) || !strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") {
		return &requestError{code: codeUpgradeRequired,
			detail: `POST /v1/stream takes the headers "Connection: Upgrade" and "Upgrade: cpulb"`}
	}
	if r.ContentLength != 0 {
		return &requestError{code: codeInvalidTask, field: "body",
			detail: "the request has a body; lines are sent after its headers, without Content-Length or Transfer-Encoding"}
	}
	return nil
}

// run serves the connection until it ends. Its tasks go on without it, but for those that
// wait for room in the queue.
func (st *stream) run(r io.Reader) {
	defer close(st.gone)
	defer st.unwatch()
	defer st.leave()
	defer st.turn.leave()
	st.write([]byte(switching))
	if st.server.track(st) {
		defer st.server.forget(st)
		from := &ahead{Reader: r}
		in := &lines{r: bufio.NewReaderSize(from, lineBuffer), ahead: from, limit: st.server.options.BodyBytes, hold: st.held, ctx: context.WithoutCancel(st.client)}
		err := st.serve(in)
		st.turn.leave()
		in.long.free()
		if errors.Is(err, io.EOF) {
			st.linger()
		}
	} else {
		st.goAway(reasonStopping)
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewellTimeout)
	defer cancel()
	// Errors from here on: the client has gone, or does not read.
	if err := st.out.Flush(ctx); err == nil && st.cut.Load() {
		_ = st.out.Write(encodeGoAway(reasonBacklog))
		_ = st.out.Flush(ctx)
	}
	st.conn.Close()
}

// track registers st for Shutdown; it returns false when that has begun.
func (s *Server) track(st *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ending {
		s.streams[st] = struct{}{}
	}
	return !s.ending
}

func (s *Server) forget(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
}

// serve carries out the client's lines until the connection ends or is cut off. io.EOF:
// the client sends no more.
func (st *stream) serve(in *lines) error {
	defer st.join()
	for !st.cut.Load() {
		text, err := in.next()
		switch {
		case skipped(err):
			st.join()
			st.reject(nil, in.number, err)
		case err != nil:
			return err
		default:
			st.command(text, in)
		}
	}
	return nil
}

// linger waits until a client that has ended its own writing alone has what it asked for,
// or goes.
func (st *stream) linger() {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = st.conn.AwaitHangup() // an error: it is cut off, or over
	}()
	select {
	case <-st.watched.settle():
	case <-st.server.settled:
	case <-st.over:
	case <-gone:
	}
	_ = st.conn.SetReadDeadline(time.Unix(1, 0))
	<-gone
}

// command carries out the line text, which in has read last.
func (st *stream) command(text []byte, in *lines) {
	room, line := roomFor(text), in.number
	if !st.room(in, room) {
		return
	}
	if !st.takeTurn(len(text)) {
		st.held.give(room)
		return
	}
	decode := task.DecodeCommand
	if in.holds() {
		decode = task.TakeCommand
	}
	c, err := decode(text)
	if err == nil && c.Op == task.OpSubmit {
		st.submit(&c, line, len(text), room)
		return
	}
	st.join() // the answers come in the order of the lines
	if err == nil && c.Op == task.OpWatch {
		st.follow(&c, line, room)
		return
	}
	defer st.held.give(room)
	if err != nil {
		st.reject(namedID(&c), line, err)
		return
	}
	st.cancel(&c, line)
}

// maxNamedID bounds the id that is repeated to the sender of a refused line.
const maxNamedID = 64

// namedID returns the id by which the sender of a refused line knows it; nil if
// there is none.
func namedID(c *task.Command) *string {
	if c.Named {
		text := c.Task.ID.String()
		return &text
	}
	if c.ID == "" || len(c.ID) > maxNamedID {
		return nil
	}
	text := c.ID
	return &text
}

func (st *stream) cancel(c *task.Command, line int) {
	if !st.open() {
		return
	}
	st.watched.owe(1)
	answered := func(_ task.View, err error) {
		st.answered()
		if err != nil {
			st.reject(namedID(c), line, err)
		}
		st.watched.owe(-1)
	}
	id, err := idFrom(c.ID)
	if err != nil {
		answered(task.View{}, err)
		return
	}
	st.server.engine.Cancel(st.who, id, answered)
}

// submit joins the task to those of the lines before it, which the engine has when no
// further line is there: it dispatches them before anything is written, so that workers run
// while the client is answered. The engine's answer may come later: meanwhile the next lines
// are read. The line has length bytes, and room of the share.
func (st *stream) submit(c *task.Command, line, length int, room int64) {
	if !st.open() {
		st.held.give(room)
		return
	}
	s := &submission{watch: st.watch(c), sent: c.Task.ID, named: c.Named, line: line, quiet: c.Quiet, keyed: keyed(c.Task), room: room}
	if !st.takeTurn(length) { // it may have been left
		s.answered(task.View{}, api.ErrDraining)
		return
	}
	if st.joined = append(st.joined, api.Submission{Task: c.Task, Watcher: s.watch, Answer: s.answered}); len(st.joined) == maxJoined {
		st.join()
	}
}

// join hands the submissions to the engine that have come together. It comes before each
// wait, be it for the next line.
func (st *stream) join() {
	if len(st.joined) > 0 {
		st.server.engine.SubmitAll(st.client, st.who, st.joined)
		clear(st.joined)
		st.joined = st.joined[:0]
	}
}

// keyed reports whether t may turn out to be a task that was sent before.
func keyed(t *task.Task) bool { return t.Extra != nil && t.Extra.IdempotencyKey != "" }

func (st *stream) reject(id *string, line int, err error) {
	if st.client.Err() != nil {
		return // nobody reads it
	}
	p := st.server.problem(err)
	st.write(append(appendJSON(nil, struct {
		Event   string       `json:"event"`
		TaskID  *string      `json:"task_id"`
		Line    int          `json:"line"`
		Problem *api.Problem `json:"problem"`
	}{"rejected", id, line, p}), '\n'))
}

// write queues one line, in pieces, and cuts off a client for whom too much waits.
func (st *stream) write(pieces ...[]byte) {
	if st.cut.Load() {
		return
	}
	if err := st.out.Write(pieces...); errors.Is(err, outbox.ErrFull) {
		st.cutOff()
	}
}

// send queues the line x, which is not the caller's any more.
func (st *stream) send(x *encoded) {
	st.write(x.text[:x.at], x.through, x.text[x.at:])
	st.server.encoders.put(x)
}

// cutOff ends a stream whose client does not read what waits for it.
func (st *stream) cutOff() {
	if st.cut.CompareAndSwap(false, true) {
		st.server.options.Logger.Debug("stream cut off: its client does not read", "uid", st.who.UID)
		_ = st.conn.SetReadDeadline(time.Unix(1, 0)) // wakes run, which says goodbye
	}
}

// backlog has an Outbox take from its client's share. What can't wait goes ahead of what
// does.
type backlog struct{ *hold }

// Take implements outbox.Budget.
func (b backlog) Take(n int64) bool { return b.pool.TakeAhead(b.caller, n) }

// Give implements outbox.Budget.
func (b backlog) Give(n int64) { b.pool.Give(b.caller.UID, n) }

func encodeGoAway(reason string) []byte {
	return append(appendJSON(nil, struct {
		Event  string `json:"event"`
		Reason string `json:"reason"`
	}{"goaway", reason}), '\n')
}

// goAway tells the client that the connection will end.
func (st *stream) goAway(reason string) { st.write(encodeGoAway(reason)) }

// end closes the connection once the results of its tasks have been written, or
// the client has gone, or ctx is done.
func (st *stream) end(ctx context.Context) {
	select {
	case <-st.watched.settle():
	case <-st.server.settled:
	case <-st.gone:
	case <-ctx.Done():
	}
	_ = st.out.Flush(ctx) // an error: too late, or the client has gone; it is closed all the same
	st.ending.Do(func() { close(st.over) })
	st.conn.Close()
	<-st.gone
}
