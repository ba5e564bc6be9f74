package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"cpulb/daemon/task"
	"cpulb/plugins/outbox"
)

// ErrStreamEnded is matched by what a Stream returns after its connection has
// ended. Tasks that were accepted go on and are found by id.
var ErrStreamEnded = errors.New("the stream has ended")

// Stream submits many tasks over one connection without waiting for each. It is
// safe for concurrent use.
type Stream struct {
	conn net.Conn
	out  *outbox.Outbox

	mu      sync.Mutex
	waiting map[string]chan answer
	err     error
}

// answer is how a task's wait on a Stream ends.
type answer struct {
	result *task.Result
	err    error
}

// line is one line from the daemon.
type line struct {
	Event   string       `json:"event"`
	TaskID  string       `json:"task_id"`
	Result  *task.Result `json:"result"`
	Problem *Problem     `json:"problem"`
}

// OpenStream connects and upgrades. ctx bounds the opening, not the Stream.
func (c *Client) OpenStream(ctx context.Context) (*Stream, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	_, err = conn.Write([]byte("POST /v1/stream HTTP/1.1\r\nHost: cpulb\r\nConnection: Upgrade\r\nUpgrade: cpulb\r\n\r\n"))
	r := bufio.NewReaderSize(conn, 64<<10)
	var resp *http.Response
	if err == nil {
		resp, err = http.ReadResponse(r, nil)
	}
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("the daemon did not upgrade: %s", resp.Status)
	}
	var out *outbox.Outbox
	if err == nil {
		out, err = outbox.New(conn, 0)
	}
	if err != nil {
		conn.Close()
		return nil, errors.Join(err, ctx.Err())
	}
	s := &Stream{conn: conn, out: out, waiting: map[string]chan answer{}}
	go s.read(r)
	return s, nil
}

// Close ends the connection; whoever waits gets ErrStreamEnded.
func (s *Stream) Close() error { return s.conn.Close() }

// Do runs t and returns its Result. When ctx ends first the task goes on.
func (s *Stream) Do(ctx context.Context, t *task.Task) (*task.Result, error) {
	text, err := json.Marshal(struct {
		Op   string     `json:"op"`
		Task *task.Task `json:"task"`
	}{"submit", t})
	if err != nil {
		return nil, fmt.Errorf("task: %w", err)
	}
	id := t.ID.String()
	ended := make(chan answer, 1)
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return nil, s.err
	}
	if _, taken := s.waiting[id]; taken {
		s.mu.Unlock()
		return nil, fmt.Errorf("task %s is under way on this stream", id)
	}
	s.waiting[id] = ended
	s.mu.Unlock()
	if err := s.out.Write(append(text, '\n')); err != nil {
		s.forget(id)
		return nil, fmt.Errorf("%w: %w", ErrStreamEnded, err)
	}
	select {
	case a := <-ended:
		return a.result, a.err
	case <-ctx.Done():
		s.forget(id)
		return nil, ctx.Err()
	}
}

func (s *Stream) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, id)
}

func (s *Stream) read(r *bufio.Reader) {
	dec := json.NewDecoder(r)
	for {
		var l line
		if err := dec.Decode(&l); err != nil {
			s.fail(fmt.Errorf("%w: %w", ErrStreamEnded, err))
			return
		}
		switch l.Event {
		case "result":
			s.answer(l.TaskID, answer{result: l.Result})
		case "rejected":
			if l.Problem == nil {
				l.Problem = &Problem{Detail: "rejected without a reason"}
			}
			s.answer(l.TaskID, answer{err: l.Problem})
		}
	}
}

func (s *Stream) answer(id string, a answer) {
	s.mu.Lock()
	ended := s.waiting[id]
	delete(s.waiting, id)
	s.mu.Unlock()
	if ended != nil {
		ended <- a
	}
}

func (s *Stream) fail(err error) {
	s.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	for id, ended := range s.waiting {
		ended <- answer{err: err}
		delete(s.waiting, id)
	}
}
