package ipc

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"cpulb/daemon/task"
)

// ndjson is the media type of one JSON value a line.
const ndjson = "application/x-ndjson"

// batchError is one task of a batch that was not accepted.
type batchError struct {
	// Line counts the tasks of the body from 1; with NDJSON it is the line.
	Line    int      `json:"line"`
	TaskID  *task.ID `json:"task_id"`
	Problem *Problem `json:"problem"`
}

// batchAnswer tells what became of a batch. TaskIDs has, in order, the id of each
// task that was accepted, and null for the others.
type batchAnswer struct {
	ID      task.ID      `json:"batch_id"`
	TaskIDs []*task.ID   `json:"task_ids"`
	Errors  []batchError `json:"errors"`
}

// batchBody is a body that has been read: of each task there is the task or what
// is wrong with it, and where it stood.
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
		body, err = s.readBatch(r)
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
	answered := make(chan *batchAnswer, 1)
	s.engine.SubmitBatch(peer(r), id, good, func(ids []task.ID, errs []error) {
		answered <- s.batchAnswer(id, body, ids, errs)
	})
	select {
	case answer := <-answered:
		s.answer(w, http.StatusAccepted, answer, nil)
	case <-r.Context().Done():
	}
}

// batchAnswer joins what was wrong with the lines and with the tasks.
func (s *Server) batchAnswer(id task.ID, body *batchBody, ids []task.ID, errs []error) *batchAnswer {
	answer := &batchAnswer{ID: id, TaskIDs: make([]*task.ID, len(body.tasks)), Errors: []batchError{}}
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
		failed := batchError{Line: body.lines[i], Problem: s.problem(err)}
		if t != nil {
			failed.TaskID = &t.ID
		}
		answer.Errors = append(answer.Errors, failed)
	}
	return answer
}

// readBatch reads NDJSON if the request says so, else {"tasks":[…]}.
func (s *Server) readBatch(r *http.Request) (*batchBody, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == ndjson || kind == "application/ndjson" || kind == "application/jsonl" {
		return s.readLines(r.Body)
	}
	text, err := s.readBody(r)
	if err != nil {
		return nil, err
	}
	if first := bytes.IndexByte(bytes.TrimSpace(text), '\n'); first >= 0 && !looksWhole(text) {
		return s.readLines(bytes.NewReader(text)) // curl --data-binary sends no such header
	}
	body := &batchBody{}
	for t, err := range task.DecodeBatch(text) {
		var whole *task.BatchError
		if errors.As(err, &whole) {
			return nil, whole.Unwrap()
		}
		body.add(t, err, len(body.tasks)+1)
	}
	return body, nil
}

// looksWhole reports whether text begins as {"tasks":[…]} does.
func looksWhole(text []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(text))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return false
	}
	name, err := dec.Token()
	return err == nil && name == "tasks"
}

// readLines reads a task a line. The whole body is bounded as any other.
func (s *Server) readLines(r io.Reader) (*batchBody, error) {
	limit := s.options.BodyBytes
	in := &lines{r: bufio.NewReaderSize(io.MultiReader(io.LimitReader(r, limit+1), bytes.NewReader([]byte("\n"))), lineBuffer), limit: limit}
	body := &batchBody{}
	for read := int64(0); ; {
		text, err := in.next()
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if read += int64(len(text)) + 1; read > limit+1 || tooLong(err) {
			return nil, tooLarge(limit)
		}
		if err != nil {
			return nil, &task.FieldError{Field: "body", Code: codeInvalidJSON, Problem: "could not be read: " + err.Error()}
		}
		t, err := task.Decode(text)
		body.add(t, err, in.number)
	}
}

func batchID(r *http.Request) (task.ID, error) {
	if err := query(r); err != nil {
		return task.ID{}, err
	}
	id, err := task.ParseID(r.PathValue("batch_id"))
	if err != nil {
		return id, fmt.Errorf("%w: %.64q is not a UUID", task.ErrBatchNotFound, r.PathValue("batch_id"))
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
	out := s.flow(w, ndjson)
	for result, err := range results {
		if err != nil {
			return // the client has gone, or the daemon ends: what is missing can be asked for again
		}
		head, data, tail := encodeResult(nil, result)
		if !out.write(head, data, append(tail, '\n')) {
			return
		}
	}
}
