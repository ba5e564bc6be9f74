package ipc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"cpulb/daemon/task"
	"cpulb/plugins/outbox"
)

// streamBytes bounds what waits for a client that reads slower than its tasks
// end, beyond one line of the largest size. A client over it is cut off; its
// results are found by id.
const streamBytes = 64 << 20

// stream is one upgraded connection; it watches the tasks submitted on it.
type stream struct {
	server *Server
	conn   net.Conn
	out    *outbox.Outbox
	once   sync.Once
	gone   chan struct{} // closed when reading has ended
}

// verbose is a stream as the watcher of a task of which every event is wanted.
type verbose struct{ *stream }

func (verbose) Verbose() bool { return true }

// command is one line from the client.
type command struct {
	Op     string          `json:"op"`
	Task   json.RawMessage `json:"task"`
	TaskID string          `json:"task_id"`
	Events bool            `json:"events"`
}

// notice is one line to the client that is not a task.Event.
type notice struct {
	Event   string   `json:"event"`
	TaskID  *string  `json:"task_id,omitempty"`
	Status  string   `json:"status,omitempty"`
	Line    int      `json:"line,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
}

func (s *Server) postStream(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "cpulb") || !strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") {
		writeProblem(w, Problem{Title: "Upgrade required", Status: http.StatusUpgradeRequired, Code: "upgrade_required",
			Detail: "POST /v1/stream needs the headers \"Connection: Upgrade\" and \"Upgrade: cpulb\""})
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		writeProblem(w, problemFor(err))
		return
	}
	defer conn.Close()
	out, err := outbox.New(conn, int(s.options.BodyBytes)+streamBytes)
	if err != nil {
		s.options.Logger.Error("stream refused", "error", err)
		return
	}
	st := &stream{server: s, conn: conn, out: out, gone: make(chan struct{})}
	if err := out.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: cpulb\r\n\r\n")); err != nil {
		return
	}
	if !s.track(st) {
		st.goAway("the daemon is stopping")
		return
	}
	defer s.forget(st)
	defer close(st.gone)
	st.serve(rw.Reader)
}

// track remembers st for Shutdown; false when that has begun.
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

// serve reads lines until the client ends. The tasks go on without it.
func (st *stream) serve(r *bufio.Reader) {
	for line := 1; ; line++ {
		text, err := readLine(r, st.server.options.BodyBytes)
		var size sizeError
		switch {
		case errors.As(err, &size):
			st.reject(nil, line, err)
		case err != nil:
			return
		case len(bytes.TrimSpace(text)) > 0:
			st.command(text, line)
		}
	}
}

// readLine returns the next line, valid until the next call. One over limit is
// read to its end in bounded memory and answered by a sizeError.
func readLine(r *bufio.Reader, limit int64) ([]byte, error) {
	text, err := r.ReadSlice('\n')
	if err == nil {
		return text, nil // the usual line: within the buffer, and not copied
	}
	line := bytes.Clone(text)
	for err == bufio.ErrBufferFull {
		text, err = r.ReadSlice('\n')
		if int64(len(line)+len(text)) > limit+1 { // the newline is not counted
			return nil, skipLine(r, err, limit)
		}
		line = append(line, text...)
	}
	return line, err
}

func skipLine(r *bufio.Reader, err error, limit int64) error {
	for err == bufio.ErrBufferFull {
		_, err = r.ReadSlice('\n')
	}
	if err == io.EOF {
		return err
	}
	return errors.Join(sizeError{limit}, err)
}

func (st *stream) command(text []byte, line int) {
	var c command
	if err := json.Unmarshal(text, &c); err != nil {
		st.reject(nil, line, &task.FieldError{Field: "line", Code: "invalid_json", Problem: err.Error()})
		return
	}
	switch c.Op {
	case "submit":
		st.submit(&c, line)
	case "cancel":
		id, err := task.ParseID(c.TaskID)
		if err != nil {
			err = fmt.Errorf("%w: %.64q is not a UUID", task.ErrNotFound, c.TaskID)
		} else {
			_, err = st.server.engine.Cancel(id)
		}
		if err != nil {
			st.reject(&c.TaskID, line, err)
		}
	default:
		st.reject(nil, line, &task.FieldError{Field: "op", Problem: fmt.Sprintf("unknown op %.64q", c.Op), Allowed: []string{"submit", "cancel"}})
	}
}

// submit dispatches the task before it writes anything, so that the worker runs
// while the client is answered; the cork keeps accepted before the result.
func (st *stream) submit(c *command, line int) {
	t, err := task.Decode(c.Task)
	if err != nil {
		st.reject(idIn(c.Task), line, err)
		return
	}
	id := t.ID.String()
	var w task.Watcher = st
	if c.Events {
		w = verbose{st}
	}
	first := &gate{Watcher: w}
	view, err := st.server.engine.Submit(t, first)
	if err != nil {
		st.reject(&id, line, err)
		return
	}
	st.send(notice{Event: "accepted", TaskID: &id, Status: view.Status.String()})
	first.open()
}

// gate holds a task's events back until its acceptance has been written.
type gate struct {
	task.Watcher
	mu   sync.Mutex
	wide bool
	held []*task.Event
}

// TaskEvent implements task.Watcher.
func (g *gate) TaskEvent(ev *task.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.wide {
		g.held = append(g.held, ev)
		return
	}
	g.Watcher.TaskEvent(ev)
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wide = true
	for _, ev := range g.held {
		g.Watcher.TaskEvent(ev)
	}
	g.held = nil
}

// idIn finds the id that a refused task named, for its sender to know it by.
func idIn(text []byte) *string {
	var named struct {
		ID *string `json:"task_id"`
	}
	_ = json.Unmarshal(text, &named) // a text that is no JSON names none
	return named.ID
}

// Verbose implements task.Watcher.
func (st *stream) Verbose() bool { return false }

// TaskEvent implements task.Watcher; it queues and does not block.
func (st *stream) TaskEvent(ev *task.Event) { st.send(ev) }

func (st *stream) reject(id *string, line int, err error) {
	p := problemFor(err)
	st.send(notice{Event: "rejected", TaskID: id, Line: line, Problem: &p})
}

// send queues one line. encoding/json compacts raw data, so it is one line. A
// client that lets too much gather is cut off.
func (st *stream) send(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		st.server.options.Logger.Error("line not encoded", "error", err)
		return
	}
	if err := st.out.Write(append(text, '\n')); errors.Is(err, outbox.ErrFull) {
		st.once.Do(func() {
			st.server.options.Logger.Warn("stream cut off: the client does not read", "bytes", streamBytes)
			st.conn.Close()
		})
	}
}

// goAway tells the client that the connection will end.
func (st *stream) goAway(reason string) { st.send(notice{Event: "goaway", Reason: reason}) }

// end closes the connection once what is queued has been written or ctx is done.
func (st *stream) end(ctx context.Context) {
	_ = st.out.Flush(ctx) // too late or the client has gone: closed all the same
	st.conn.Close()
	<-st.gone
}
