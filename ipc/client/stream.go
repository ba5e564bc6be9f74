package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"

	"cpulb/daemon/task"
	"cpulb/internal/outbox"
	"cpulb/internal/rawio"
)

// ErrStreamEnded is matched by what a Stream returns after its connection has
// ended. Tasks that were accepted go on and are found by id.
var ErrStreamEnded = errors.New("the stream has ended")

// ErrUnderWay is returned for a task that this Stream is already waiting for.
var ErrUnderWay = errors.New("the task is under way on this stream")

// ErrTooLarge is returned for a task that no Stream sends.
var ErrTooLarge = errors.New("the task is too large")

// MaxTaskBytes is the most that a Stream sends of one task, as JSON; what a daemon takes, its
// limits.body_size, may be less. It bounds, too, what is queued before the daemon is waited for.
const MaxTaskBytes = 256 << 20

const (
	// crowd is how many lines one after the other, with no answer in between, show that
	// more will follow.
	crowd   = 4
	upgrade = "POST /v1/stream HTTP/1.1\r\nHost: cpulb\r\nConnection: Upgrade\r\nUpgrade: cpulb\r\n\r\n"
)

// Stream submits many tasks over one connection without waiting for each. It is
// safe for concurrent use.
type Stream struct {
	conn *rawio.Conn
	out  *outbox.Outbox
	// texts has the *[]byte of lines that have been queued.
	texts sync.Pool
	hearing

	mu      sync.Mutex
	lines   int   // that have been queued
	bytes   int64 // which these have
	waiting map[task.ID]*Pending
	// forgotten counts those for which nobody waits any more and that have not ended.
	forgotten int
	// unheard counts the lines that were sent since the last were heard. together: those
	// came together, so that who sends next is not alone. gathers: what is sent is held back
	// until flush has its turn.
	unheard           int
	together, gathers bool
	// reads: somebody reads the connection, or has found its end. stays: also when nobody
	// waits, because Submit is likely to be called again.
	reads, stays bool
	goaway       string
	// broken: the daemon reads no more. What it has written may still be read.
	broken bool
	err    error
}

// OpenStream connects and upgrades. ctx bounds the opening, not the Stream.
func (c *Client) OpenStream(ctx context.Context) (*Stream, error) {
	if err := c.shared.open(); err != nil {
		return nil, err
	}
	dialled, err := c.dial(ctx)
	if err != nil {
		return nil, because(ctx, err)
	}
	conn, err := rawio.New(dialled)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	s, err := open(conn)
	if !stop() {
		err = ended(ctx) // the cause of whatever else went wrong
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	c.presence.heard()
	return s, nil
}

func open(conn *rawio.Conn) (*Stream, error) {
	if _, err := conn.Write([]byte(upgrade)); err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body) // as much as there is
		return nil, problemIn(resp, text)
	}
	ahead, _ := r.Peek(r.Buffered()) // a daemon that stops says so at once
	s := &Stream{conn: conn, out: outbox.New(conn, MaxTaskBytes), waiting: map[task.ID]*Pending{}}
	if s.in.r = conn; len(ahead) > 0 {
		s.in.r = io.MultiReader(bytes.NewReader(ahead), conn)
	}
	return s, nil
}

// Close ends the connection; waiting calls return ErrStreamEnded.
func (s *Stream) Close() error { return s.conn.Close() }

// takesTasks reports whether it makes sense to submit another task, as far as is known.
func (s *Stream) takesTasks() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err == nil && !s.broken && s.goaway == ""
}

// Do runs t and returns its Result. When ctx ends first the task goes on.
func (s *Stream) Do(ctx context.Context, t *task.Task) (*task.Result, error) {
	if t == nil {
		return nil, errNoTask
	}
	return s.do(ctx, t, &Pending{ID: t.ID, key: t.ID, stream: s, attended: true})
}

func (s *Stream) do(ctx context.Context, t *task.Task, p *Pending) (*task.Result, error) {
	reads, err := s.submit(ctx, t, p)
	if err != nil {
		return nil, err
	}
	if reads {
		s.readFor(ctx, p)
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
	if t == nil {
		return nil, errNoTask
	}
	p := &Pending{ID: t.ID, key: t.ID, stream: s}
	if _, err := s.submit(ctx, t, p); err != nil {
		return nil, err
	}
	return p, nil
}

// submit sends t. reads: the caller, who attends to p, is to call readFor.
func (s *Stream) submit(ctx context.Context, t *task.Task, p *Pending) (reads bool, err error) {
	room, _ := s.texts.Get().(*[]byte)
	if room == nil {
		room = new([]byte)
	}
	begin := `{"op":"submit","ack":false,"task":` // nobody waits for the accepted line
	if p.accepted != nil {
		begin = `{"op":"submit","task":`
	}
	text := append((*room)[:0], begin...)
	if text, err = appendTask(text, t); err != nil {
		return false, err
	}
	text = append(text, "}\n"...)
	reads, err = s.send(ctx, text, p)
	if len(text) < outbox.TakenOver { // else it is the outbox's
		*room = text
		s.texts.Put(room)
	}
	return reads, err
}

// Cancel asks the daemon to stop a task; its Pending reports the end.
func (s *Stream) Cancel(ctx context.Context, id task.ID) error {
	_, err := s.send(ctx, fmt.Appendf(nil, `{"op":"cancel","task_id":"%s"}`+"\n", id), nil)
	return err
}

// send queues one line. p, which may be nil, waits for the answer.
func (s *Stream) send(ctx context.Context, text []byte, p *Pending) (reads bool, err error) {
	if len(text) > MaxTaskBytes {
		return false, fmt.Errorf("%w: it has %d bytes as JSON, and at most %d are sent", ErrTooLarge, len(text), MaxTaskBytes)
	}
	for {
		reads, err = s.queue(text, p)
		if !errors.Is(err, outbox.ErrFull) {
			return reads, err
		}
		_ = s.out.Flush(ctx) // what ended the connection is what queue returns
		if ctx.Err() != nil {
			return false, ended(ctx) // also if all was written meanwhile: text was not
		}
	}
}

// queue takes text as the next line, unless too much is unsent.
func (s *Stream) queue(text []byte, p *Pending) (reads bool, err error) {
	s.out.Cork() // s.mu keeps the order of the lines; they are written without it
	defer s.out.Uncork()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return false, s.err
	}
	if p != nil && s.waiting[p.ID] != nil {
		return false, fmt.Errorf("%w: %s", ErrUnderWay, p.ID)
	}
	if err := s.out.Write(text); errors.Is(err, outbox.ErrFull) {
		return false, err
	} else if err != nil {
		s.broken = true
		return false, fmt.Errorf("%w: %w", ErrStreamEnded, err)
	}
	if s.unheard++; !s.gathers && (s.unheard >= crowd || s.together && len(s.waiting) > 0) {
		s.gathers = true
		s.out.Cork()
		go s.flush()
	}
	s.lines++
	s.bytes += int64(len(text))
	if p != nil {
		p.line, p.end = s.lines, s.bytes
		s.waiting[p.ID] = p
	}
	return s.ensureReader(p != nil && p.attended), nil
}

// wrote reports whether the daemon may have the line of p, after the end of the connection:
// it was queued, and written as a whole.
func (s *Stream) wrote(p *Pending) bool {
	_ = s.out.Flush(context.Background()) // no writing goes on for long after that end
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.line > 0 && s.out.Written() >= p.end
}

// flush writes what is sent at about the same time in one piece: whoever can send now has
// its turn first. Where many goroutines run for long a line waits for these, as it would
// for its answer to be read.
func (s *Stream) flush() {
	runtime.Gosched()
	s.out.Uncork()
	// Who has sent meanwhile has written it, too.
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gathers = false
}
