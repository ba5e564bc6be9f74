package ipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// ndjson is the media type of one JSON value per line.
const ndjson = "application/x-ndjson"

// batchBody is a decoded body: for each task, the task or its error, and its line.
type batchBody struct {
	tasks []*task.Task
	errs  []error
	lines []int
}

func (b *batchBody) add(t *task.Task, err error, line int) {
	b.tasks, b.errs, b.lines = append(b.tasks, t), append(b.errs, err), append(b.lines, line)
}

func (s *Server) postBatch(w http.ResponseWriter, r *http.Request) {
	err := query(r)
	var body *batchBody
	if err == nil {
		body, err = s.readBatch(w, r)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	id := task.NewID()
	var good []*task.Task
	for _, t := range body.tasks {
		if t != nil {
			good = append(good, t)
		}
	}
	type answer struct {
		id   task.ID
		ids  []task.ID
		errs []error
	}
	answered := make(chan answer, 1)
	s.engine.SubmitBatch(r.Context(), peer(r), id, good, func(id task.ID, ids []task.ID, errs []error) { answered <- answer{id, ids, errs} })
	select {
	case a := <-answered:
		s.answer(w, http.StatusAccepted, s.batchAnswer(a.id, body, a.ids, a.errs), nil)
	case <-r.Context().Done():
		panic(http.ErrAbortHandler) // the client has gone
	}
}

// batchAnswer merges the errors of the lines with those of the tasks.
func (s *Server) batchAnswer(id task.ID, body *batchBody, ids []task.ID, errs []error) *api.Batch {
	answer := &api.Batch{ID: id, TaskIDs: make([]*task.ID, len(body.tasks)), Errors: []api.BatchError{}}
	for i, t := range body.tasks {
		err := body.errs[i]
		if t != nil {
			if err, errs = errs[0], errs[1:]; err == nil {
				answer.TaskIDs[i] = &ids[0]
			}
			ids = ids[1:]
		}
		if err == nil {
			continue
		}
		failed := api.BatchError{Line: body.lines[i], Problem: *s.problem(err)}
		if t != nil {
			failed.TaskID = &t.ID
		}
		answer.Errors = append(answer.Errors, failed)
	}
	return answer
}

// readBatch reads {"tasks":[…]}, or one task per line if the media type or the body's
// first bytes suggest it: curl --data-binary sends another type.
func (s *Server) readBatch(w http.ResponseWriter, r *http.Request) (*batchBody, error) {
	text, err := io.ReadAll(s.body(w, r))
	if err != nil {
		return nil, err
	}
	body := &batchBody{}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case isLines(kind), kind != "application/json" && looksLikeLines(text):
		body.readLines(text)
	default:
		err = body.readWhole(text)
	}
	if err == nil && len(body.lines) == 0 {
		err = &task.FieldError{Field: "tasks", Problem: "is empty: there is nothing to submit"}
	}
	return body, err
}

func isLines(kind string) bool {
	return slices.Contains([]string{ndjson, "application/ndjson", "application/jsonl", "application/x-jsonlines"}, kind)
}

// looksLikeLines reports whether text begins with an object other than {"tasks":[…]}.
func looksLikeLines(text []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(text))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return false
	}
	name, err := dec.Token()
	return err != nil || name != "tasks"
}

// readWhole reads {"tasks":[…]}.
func (b *batchBody) readWhole(text []byte) error {
	for t, err := range task.ReadBatch(bytes.NewReader(text)) {
		var whole *task.BatchError
		if errors.As(err, &whole) {
			return whole.Unwrap()
		}
		b.add(t, err, len(b.lines)+1)
	}
	return nil
}

// readLines reads one task per line. Blank lines are counted and skipped.
func (b *batchBody) readLines(text []byte) {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.Trim(line, task.WhiteSpace); len(line) > 0 {
			t, err := task.Decode(line)
			b.add(t, err, number)
		}
	}
}

func batchID(r *http.Request) (task.ID, error) {
	if err := query(r); err != nil {
		return task.ID{}, err
	}
	id, err := task.ParseID(r.PathValue("batch_id"))
	if err != nil {
		return id, fmt.Errorf("%w: %.64q is not a UUID", api.ErrBatchNotFound, r.PathValue("batch_id"))
	}
	return id, nil
}

func (s *Server) getBatch(w http.ResponseWriter, r *http.Request) {
	id, err := batchID(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	view, err := s.engine.Batch(peer(r), id)
	s.answer(w, http.StatusOK, view, err)
}

func (s *Server) getBatchResults(w http.ResponseWriter, r *http.Request) {
	id, err := batchID(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	results, err := s.engine.BatchResults(r.Context(), peer(r), id)
	if err != nil {
		s.fail(w, err)
		return
	}
	out := s.flow(w, r, ndjson)
	if out == nil {
		return
	}
	for result, err := range results {
		if err != nil {
			out.cut() // the client has gone, or the daemon ends: the results can be asked for again
		}
		head, data, tail := encodeResult(nil, result)
		if !out.write(head, data, append(tail, '\n')) {
			return
		}
	}
}
