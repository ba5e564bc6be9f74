package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"cpulb/daemon/task"
)

// maxWait bounds ?wait= and ?timeout=.
const maxWait = 24 * time.Hour

func (s *Server) postTask(w http.ResponseWriter, r *http.Request) {
	wait, err := durationOf(r, "wait")
	if err != nil {
		writeProblem(w, problemFor(err))
		return
	}
	t, err := s.readTask(r)
	if err != nil {
		writeProblem(w, problemFor(err))
		return
	}
	view, err := s.engine.Submit(t, nil)
	if err != nil {
		writeProblem(w, problemFor(err))
		return
	}
	if wait <= 0 {
		writeJSON(w, http.StatusAccepted, view)
		return
	}
	s.answerResult(w, r, t.ID, wait)
}

func (s *Server) readTask(r *http.Request) (*task.Task, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, s.options.BodyBytes+1))
	if err != nil {
		return nil, &task.FieldError{Field: "body", Code: "invalid_json", Problem: "could not be read: " + err.Error()}
	}
	if int64(len(body)) > s.options.BodyBytes {
		return nil, sizeError{s.options.BodyBytes}
	}
	return task.Decode(body)
}

func (s *Server) getTask(w http.ResponseWriter, r *http.Request) {
	s.withTask(w, r, func(id task.ID) {
		view, err := s.engine.View(id)
		answer(w, http.StatusOK, view, err)
	})
}

func (s *Server) deleteTask(w http.ResponseWriter, r *http.Request) {
	s.withTask(w, r, func(id task.ID) {
		view, err := s.engine.Cancel(id)
		answer(w, http.StatusAccepted, view, err)
	})
}

func (s *Server) getResult(w http.ResponseWriter, r *http.Request) {
	s.withTask(w, r, func(id task.ID) {
		wait, err := durationOf(r, "timeout")
		if err != nil {
			writeProblem(w, problemFor(err))
			return
		}
		s.answerResult(w, r, id, wait)
	})
}

// withTask calls f with the id in the path. One that is no id is no task's.
func (s *Server) withTask(w http.ResponseWriter, r *http.Request, f func(task.ID)) {
	id, err := task.ParseID(r.PathValue("task_id"))
	if err != nil {
		writeProblem(w, problemFor(fmt.Errorf("%w: %.64q is not a UUID", task.ErrNotFound, r.PathValue("task_id"))))
		return
	}
	f(id)
}

// answerResult answers with the Result, or with the task's view when it has not
// ended within wait.
func (s *Server) answerResult(w http.ResponseWriter, r *http.Request, id task.ID, wait time.Duration) {
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	result, err := s.engine.Result(ctx, id)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		view, err := s.engine.View(id)
		answer(w, http.StatusAccepted, view, err)
		return
	}
	answer(w, http.StatusOK, result, err)
}

func answer(w http.ResponseWriter, status int, v any, err error) {
	if err != nil {
		writeProblem(w, problemFor(err))
		return
	}
	writeJSON(w, status, v)
}

// durationOf reads a duration from the URL; absent means 0.
func durationOf(r *http.Request, name string) (time.Duration, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWait {
		return 0, queryError{name, fmt.Sprintf("%.64q is not a duration such as \"30s\", from 0 to %s", text, maxWait)}
	}
	return d, nil
}
