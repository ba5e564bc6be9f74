package ipc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

const (
	// maxBad is how many tasks of a batch may be wrong: a body of which hardly anything is
	// a task is refused as a whole.
	maxBad = 10_000
	// badBytes is about what the problem of one of them takes.
	badBytes = 1 << 10
	// namedBad is how many of them a refused batch is told.
	namedBad = 3
)

// batchBody is what a body has brought so far: nothing is submitted before its end. All of
// it is counted in hold before it is there.
type batchBody struct {
	hold *hold
	ctx  context.Context // of the waits for room
	// places has, in order, where each task came from; that of a bad one has no task.
	places []place
	bad    []badTask
}

// badTask is a task that is not submitted. Mostly many are wrong in the same way.
type badTask struct {
	line    int
	problem *api.Problem
}

type place struct {
	task *task.Task
	line int
}

// readBatch reads {"tasks":[…]}, or one task per line if the media type or the body's
// first bytes suggest it: curl --data-binary sends another type.
func (s *Server) readBatch(w http.ResponseWriter, r *http.Request, h *hold) (*batchBody, error) {
	in, err := s.body(w, r)
	if err == nil {
		err = h.wait(r.Context(), lineBuffer)
	}
	if err != nil {
		return nil, err
	}
	defer h.give(lineBuffer)
	b := &batchBody{hold: h, ctx: r.Context()}
	from := bufio.NewReaderSize(byTurns{in, h.turn, r.Context()}, lineBuffer)
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case isLines(kind):
		err = b.readLines(from, in.limit)
	case kind == "application/json":
		err = b.readWhole(from)
	default:
		var lines bool
		if lines, err = looksLikeLines(from); lines && err == nil {
			err = b.readLines(from, in.limit)
		} else if err == nil {
			err = b.readWhole(from)
		}
	}
	if err == nil && len(b.places) == 0 {
		err = &task.FieldError{Field: "tasks", Problem: "is empty: there is nothing to submit"}
	}
	return b, err
}

func isLines(kind string) bool {
	return slices.Contains([]string{ndjson, "application/ndjson", "application/jsonl", "application/x-jsonlines"}, kind)
}

// looksLikeLines reports whether what comes begins with an object other than {"tasks":[…]}.
func looksLikeLines(r *bufio.Reader) (bool, error) {
	text, err := r.Peek(lineBuffer)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return false, nil
	}
	name, err := dec.Token()
	return err != nil || name != "tasks", nil
}

// readLines reads one task per line. Blank lines are counted and skipped.
func (b *batchBody) readLines(r *bufio.Reader, limit int64) error {
	in := &lines{r: r, limit: limit, hold: b.hold, ctx: b.ctx, unended: true}
	defer in.long.free()
	for {
		text, err := in.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		room := roomFor(text)
		if err := b.hold.wait(b.ctx, room); err != nil {
			return err
		}
		decode := task.Decode
		if in.holds() {
			decode = task.Take
		}
		t, err := decode(text)
		if err != nil {
			b.hold.give(room)
		}
		if err := b.add(t, err, in.number); err != nil {
			return err
		}
	}
}

// add notes what came next. It returns an error if the batch is refused as a whole.
func (b *batchBody) add(t *task.Task, err error, line int) error {
	if err == nil {
		b.places = append(b.places, place{t, line})
		return nil
	}
	if len(b.bad) == maxBad {
		return b.tooBad()
	}
	if err := b.hold.wait(b.ctx, badBytes); err != nil {
		return err
	}
	b.places = append(b.places, place{nil, line})
	problem := problemFor(err)
	if n := len(b.bad); n > 0 && reflect.DeepEqual(b.bad[n-1].problem, problem) {
		problem = b.bad[n-1].problem
	}
	b.bad = append(b.bad, badTask{line, problem})
	return nil
}

func (b *batchBody) tooBad() error {
	var named []string
	for _, bad := range b.bad[:namedBad] {
		named = append(named, fmt.Sprintf("%d: %s", bad.line, bad.problem.Detail))
	}
	return &requestError{code: codeInvalidTask, field: "tasks",
		detail: fmt.Sprintf("more than %d of the tasks are wrong, and none was submitted; the first are %s", maxBad, strings.Join(named, "; "))}
}

// readWhole reads {"tasks":[…]}.
func (b *batchBody) readWhole(r io.Reader) error {
	text := &counted{r: r, body: b}
	defer text.end()
	for t, err := range task.ReadBatch(text) {
		var whole *task.BatchError
		if errors.As(err, &whole) {
			return whole.Unwrap()
		}
		text.next()
		if err == nil {
			if err := b.hold.wait(b.ctx, 2*t.Size()+taskBytes); err != nil {
				return err
			}
		}
		if err := b.add(t, err, len(b.places)+1); err != nil {
			return err
		}
	}
	return nil
}

// counted counts what is read of one task after the other, each of which is held as a
// whole: twice, for its text grows, and is copied when it is decoded. The room for the
// largest is kept for those that follow.
type counted struct {
	r          io.Reader
	body       *batchBody
	has, taken int64
}

// Read implements io.Reader. Its errors are for the client.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.has += 2 * int64(n)
	if more := c.has - c.taken; more > 0 {
		if wrong := c.body.hold.wait(c.body.ctx, more); wrong != nil {
			return 0, wrong
		}
		c.taken += more
	}
	return n, err
}

// next begins the next task.
func (c *counted) next() { c.has = 0 }

func (c *counted) end() { c.body.hold.give(c.taken) }

// lines returns where each task came from.
func (b *batchBody) lines() []int {
	all := make([]int, len(b.places))
	for i, p := range b.places {
		all[i] = p.line
	}
	return all
}

// good takes the tasks that are good, in order, and leaves their ids.
func (b *batchBody) good() (tasks []*task.Task, ids []task.ID) {
	n := len(b.places) - len(b.bad)
	tasks, ids = make([]*task.Task, 0, n), make([]task.ID, 0, n)
	for i, p := range b.places {
		if p.task != nil {
			tasks, ids = append(tasks, p.task), append(ids, p.task.ID)
			b.places[i].task = nil
		}
	}
	return tasks, ids
}
