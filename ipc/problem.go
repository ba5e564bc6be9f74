package ipc

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"cpulb/daemon/task"
)

// Problem is the body of every error (RFC 9457), as application/problem+json.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Code is stable; programs decide by it.
	Code string `json:"code"`
	// Field names what of the request is wrong, Allowed what it may be.
	Field   string   `json:"field,omitempty"`
	Allowed []string `json:"allowed,omitempty"`
}

// routeError is a path that the API does not have.
type routeError string

func (e routeError) Error() string {
	return fmt.Sprintf("there is nothing at %q; see docs/api.md", string(e))
}

// methodError is a method that a path does not take.
type methodError struct {
	method, path string
	handlers     map[string]http.HandlerFunc
}

func (e methodError) Error() string {
	return fmt.Sprintf("%s does not take %s, but %s", e.path, e.method, strings.Join(e.allowed(), ", "))
}

func (e methodError) allowed() []string { return slices.Sorted(maps.Keys(e.handlers)) }

// sizeError is a body or a line over its bound.
type sizeError struct{ limit int64 }

func (e sizeError) Error() string {
	return fmt.Sprintf("larger than limits.body_size, which is %d bytes", e.limit)
}

// queryError is a bad parameter in the URL.
type queryError struct{ name, problem string }

func (e queryError) Error() string { return e.name + ": " + e.problem }

// problemFor words err for the client who caused it.
func problemFor(err error) Problem {
	p := Problem{Type: "about:blank", Detail: err.Error()}
	set := func(status int, code, title string) Problem {
		p.Status, p.Code, p.Title = status, code, title
		return p
	}
	var field *task.FieldError
	var route routeError
	var method methodError
	var size sizeError
	var query queryError
	switch {
	case errors.As(err, &field):
		p.Field, p.Allowed = field.Field, field.Allowed
		if field.Code == "" {
			return set(http.StatusBadRequest, "invalid_task", "The task can't be accepted")
		}
		return set(http.StatusBadRequest, field.Code, "The task can't be accepted")
	case errors.As(err, &size):
		return set(http.StatusRequestEntityTooLarge, "body_too_large", "Too large")
	case errors.As(err, &query):
		p.Field = query.name
		return set(http.StatusBadRequest, "bad_query", "Bad query parameter")
	case errors.As(err, &route):
		return set(http.StatusNotFound, "no_such_route", "No such route")
	case errors.As(err, &method):
		p.Allowed = method.allowed()
		return set(http.StatusMethodNotAllowed, "method_not_allowed", "Method not allowed")
	case errors.Is(err, task.ErrNotFound):
		return set(http.StatusNotFound, "task_not_found", "No such task")
	case errors.Is(err, task.ErrEvicted):
		return set(http.StatusGone, "result_evicted", "Result no longer kept")
	case errors.Is(err, task.ErrConflict):
		return set(http.StatusConflict, "task_conflict", "Task id is taken")
	case errors.Is(err, task.ErrQueueFull):
		return set(http.StatusTooManyRequests, "queue_full", "Queue is full")
	case errors.Is(err, task.ErrDraining):
		return set(http.StatusServiceUnavailable, "draining", "Not accepting tasks")
	default:
		return set(http.StatusInternalServerError, "internal", "Internal error")
	}
}

func writeProblem(w http.ResponseWriter, p Problem) {
	if p.Type == "" {
		p.Type = "about:blank"
	}
	text, err := json.Marshal(p)
	if err != nil {
		text = nil // a struct of strings is always JSON
	}
	w.Header().Set("Content-Type", "application/problem+json")
	switch p.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", strings.Join(p.Allowed, ", "))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(text, '\n')) // an error: the client has gone
}
