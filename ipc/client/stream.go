package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/internal/outbox"
	"cpulb/internal/rawio"
)

// ErrStreamEnded is matched by what a Stream returns after its connection has
// ended. Tasks that were accepted go on and are found by id.
var ErrStreamEnded = errors.New("the stream has ended")

// ErrUnderWay is returned for a task that this Stream is already waiting for.
var ErrUnderWay = errors.New("the task is under way on this stream")

const (
	readBuffer = 64 << 10
	// unsentBytes bounds what Submit queues before it waits for the daemon to read.
	unsentBytes = 256 << 20
	upgrade     = "POST /v1/stream HTTP/1.1\r\nHost: cpulb\r\nConnection: Upgrade\r\nUpgrade: cpulb\r\n\r\n"
)

// Stream submits many tasks over one connection without waiting for each. It is
// safe for concurrent use.
type Stream struct {
	conn *rawio.Conn
	out  *outbox.Outbox
	// sending keeps the numbers of lines in the order of the lines. It is taken
	// before mu.
	sending sync.Mutex

	mu      sync.Mutex
	lines   int // that have been written
	waiting map[task.ID]*Pending
	goaway  string
	err     error
}

// Pending is a task submitted on a Stream.
type Pending struct {
	ID task.ID
	// key is the id under which the task is found, which an idempotency_key may make
	// another than its own; also waits for the same task.
	key    task.ID
	also   *Pending
	stream *Stream
	line   int
	done   chan struct{} // closed once result or err is set
	result *task.Result
	err    error
}

// line is one line from the daemon.
type line struct {
	Event   string       `json:"event"`
	TaskID  *task.ID     `json:"task_id"`
	SentAs  *task.ID     `json:"sent_as"`
	Line    int          `json:"line"`
	Result  *task.Result `json:"result"`
	Problem *api.Problem `json:"problem"`
	Reason  string       `json:"reason"`
}

// OpenStream connects and upgrades. ctx bounds the opening, not the Stream.
func (c *Client) OpenStream(ctx context.Context) (*Stream, error) {
	dialled, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := rawio.New(dialled)
	if err != nil {
		dialled.Close()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	s, err := open(conn)
	if !stop() {
		err = ctx.Err() // the cause of whatever else went wrong
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func open(conn *rawio.Conn) (*Stream, error) {
	if _, err := conn.Write([]byte(upgrade)); err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	r := bufio.NewReaderSize(conn, readBuffer)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body) // as much as there is
		return nil, problemIn(resp, text)
	}
	s := &Stream{conn: conn, out: outbox.New(conn, unsentBytes), waiting: map[task.ID]*Pending{}}
	go s.read(r)
	return s, nil
}

// Close ends the connection; waiting calls return ErrStreamEnded.
func (s *Stream) Close() error { return s.conn.Close() }

// Do runs t and returns its Result. When ctx ends first the task goes on.
func (s *Stream) Do(ctx context.Context, t *task.Task) (*task.Result, error) {
	p, err := s.Submit(ctx, t)
	if err != nil {
		return nil, err
	}
	r, err := p.Result(ctx)
	if err != nil && ctx.Err() != nil {
		p.Forget()
	}
	return r, err
}

// Submit sends t, which needs an ID, and returns without waiting for an answer. It
// waits, until ctx is done, only while the daemon reads slower than is sent. For a
// task that the daemon refuses, Result returns an *api.Problem.
func (s *Stream) Submit(ctx context.Context, t *task.Task) (*Pending, error) {
	// Nobody waits for the accepted line.
	text := append(make([]byte, 0, 256+len(t.Params)), `{"op":"submit","ack":false,"task":`...)
	text, err := appendTask(text, t)
	if err != nil {
		return nil, err
	}
	text = append(text, "}\n"...)
	p := &Pending{ID: t.ID, key: t.ID, stream: s, done: make(chan struct{})}
	if err := s.send(ctx, text, p); err != nil {
		return nil, err
	}
	return p, nil
}

// Cancel asks the daemon to stop a task; its Pending reports the end.
func (s *Stream) Cancel(ctx context.Context, id task.ID) error {
	return s.send(ctx, fmt.Appendf(nil, `{"op":"cancel","task_id":"%s"}`+"\n", id), nil)
}

// send queues one line. p, which may be nil, waits for the answer.
func (s *Stream) send(ctx context.Context, text []byte, p *Pending) error {
	if len(text) > unsentBytes {
		return fmt.Errorf("the task has %d bytes as JSON, a Stream sends at most %d", len(text), unsentBytes)
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	if err := s.expect(p); err != nil {
		return err
	}
	err := s.out.Write(text)
	for errors.Is(err, outbox.ErrFull) {
		if err = s.out.Flush(ctx); err == nil {
			err = s.out.Write(text)
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil:
		err = fmt.Errorf("%w: %w", ErrStreamEnded, err)
	}
	s.unexpect(p)
	return err
}

// expect counts a line and registers p for its answer.
func (s *Stream) expect(p *Pending) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if p != nil {
		if _, taken := s.waiting[p.ID]; taken {
			return fmt.Errorf("%w: %s", ErrUnderWay, p.ID)
		}
		s.waiting[p.ID] = p
		p.line = s.lines + 1
	}
	s.lines++
	return nil
}

// unexpect undoes expect for a line that was not sent.
func (s *Stream) unexpect(p *Pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines--
	if p != nil {
		delete(s.waiting, p.ID)
	}
}

// Done is closed once the task has ended, was refused, or the stream has ended.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Result waits for the task's end. Errors: an *api.Problem when the daemon refused
// the task, ErrStreamEnded, or ctx's; after the last it can be called again.
func (p *Pending) Result(ctx context.Context) (*task.Result, error) {
	select {
	case <-p.done:
		return p.result, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
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
	if *at = p.also; first == nil {
		delete(p.stream.waiting, p.key)
	} else {
		p.stream.waiting[p.key] = first
	}
}

func (s *Stream) read(r *bufio.Reader) {
	for {
		text, err := readLine(r)
		var l line
		if err == nil {
			err = json.Unmarshal(text, &l)
		}
		if err != nil {
			s.fail(err)
			return
		}
		s.mu.Lock()
		s.take(&l)
		s.mu.Unlock()
	}
}

// readLine returns the next line, valid until the next call.
func readLine(r *bufio.Reader) ([]byte, error) {
	text, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return text, err
	}
	long := bytes.Clone(text)
	for errors.Is(err, bufio.ErrBufferFull) {
		text, err = r.ReadSlice('\n')
		long = append(long, text...)
	}
	return long, err
}

// take handles one line. s.mu is held.
func (s *Stream) take(l *line) {
	switch l.Event {
	case "result":
		if l.TaskID != nil && l.Result != nil {
			s.settle(s.waiting[*l.TaskID], l.Result, nil)
		}
	case "rejected":
		if l.Problem == nil {
			l.Problem = &api.Problem{Detail: "refused without a reason"}
		}
		s.settle(s.refused(l), nil, l.Problem)
	case "accepted":
		s.rename(l)
	case "goaway":
		s.goaway = l.Reason
	}
}

// rename moves the Pendings of the task that was sent to the task that an
// idempotency_key made of it.
func (s *Stream) rename(l *line) {
	if l.TaskID == nil || l.SentAs == nil {
		return
	}
	if p := s.waiting[*l.SentAs]; p != nil {
		delete(s.waiting, *l.SentAs)
		p.key, p.also = *l.TaskID, s.waiting[*l.TaskID]
		s.waiting[*l.TaskID] = p
	}
}

// refused finds the submission that was refused, by the number of its line: a line
// that could not be read has no id, and a refused cancel has the id of a task that
// may be under way.
func (s *Stream) refused(l *line) *Pending {
	if l.TaskID != nil {
		if p := s.waiting[*l.TaskID]; p != nil && p.line == l.Line {
			return p
		}
		return nil
	}
	for _, p := range s.waiting {
		if p.line == l.Line {
			return p
		}
	}
	return nil
}

// settle ends the wait of p, which may be nil.
func (s *Stream) settle(p *Pending, r *task.Result, err error) {
	if p == nil {
		return
	}
	delete(s.waiting, p.key)
	for ; p != nil; p = p.also {
		p.result, p.err = r, err
		close(p.done)
	}
}

func (s *Stream) fail(err error) {
	s.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = fmt.Errorf("%w: %w", ErrStreamEnded, err)
	if s.goaway != "" {
		s.err = fmt.Errorf("%w: %s", ErrStreamEnded, s.goaway)
	}
	for _, p := range s.waiting {
		s.settle(p, nil, s.err)
	}
}
