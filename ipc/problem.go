package ipc

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// The stable codes. docs/api.md explains each, and a test holds it to this list.
const (
	codeInvalidJSON        = "invalid_json"
	codeInvalidTask        = "invalid_task"
	codeScriptNotFound     = "script_not_found"
	codeScriptIsDirectory  = "script_is_directory"
	codeScriptNotReadable  = "script_not_readable"
	codeNoSuchPool         = "no_such_pool"
	codeBadQuery           = "bad_query"
	codeNotAllowed         = "not_allowed"
	codeTaskNotFound       = "task_not_found"
	codeBatchNotFound      = "batch_not_found"
	codeWorkerNotFound     = "worker_not_found"
	codeNoStacks           = "no_stacks"
	codeNoSuchRoute        = "no_such_route"
	codeMethodNotAllowed   = "method_not_allowed"
	codeTaskConflict       = "task_conflict"
	codeResultEvicted      = "result_evicted"
	codeBodyTooLarge       = "body_too_large"
	codeReloadFailed       = "reload_failed"
	codeUpgradeRequired    = "upgrade_required"
	codeQueueFull          = "queue_full"
	codeDraining           = "draining"
	codeRestartFailed      = "restart_failed"
	codeNotReady           = "not_ready"
	codeTooManyConnections = "too_many_connections"
	codeJournalFull        = "journal_full"
	codeInternal           = "internal"
)

const problemType = "application/problem+json"

// kind is what all problems of one code have in common.
type kind struct {
	code   string
	status int
	title  string
}

// kinds is the only authority on which problems there are.
func kinds() []kind {
	return []kind{
		{codeInvalidJSON, http.StatusBadRequest, "Not JSON"},
		{codeInvalidTask, http.StatusBadRequest, "The task can't be accepted"},
		{codeScriptNotFound, http.StatusBadRequest, "No such script"},
		{codeScriptIsDirectory, http.StatusBadRequest, "The script is a folder"},
		{codeScriptNotReadable, http.StatusBadRequest, "The script can't be read"},
		{codeNoSuchPool, http.StatusBadRequest, "No pool for the task"},
		{codeBadQuery, http.StatusBadRequest, "Bad query parameter"},
		{codeNotAllowed, http.StatusForbidden, "Not allowed"},
		{codeTaskNotFound, http.StatusNotFound, "No such task"},
		{codeBatchNotFound, http.StatusNotFound, "No such batch"},
		{codeWorkerNotFound, http.StatusNotFound, "No such worker"},
		{codeNoSuchRoute, http.StatusNotFound, "No such route"},
		{codeMethodNotAllowed, http.StatusMethodNotAllowed, "Method not allowed"},
		{codeTaskConflict, http.StatusConflict, "Task id is taken"},
		{codeResultEvicted, http.StatusGone, "Result no longer kept"},
		{codeBodyTooLarge, http.StatusRequestEntityTooLarge, "Too large"},
		{codeReloadFailed, http.StatusUnprocessableEntity, "The configuration was not reloaded"},
		{codeUpgradeRequired, http.StatusUpgradeRequired, "Upgrade required"},
		{codeQueueFull, http.StatusTooManyRequests, "Queue is full"},
		{codeNoStacks, http.StatusServiceUnavailable, "No stacks"},
		{codeRestartFailed, http.StatusServiceUnavailable, "The worker was not restarted"},
		{codeDraining, http.StatusServiceUnavailable, "Not accepting tasks"},
		{codeNotReady, http.StatusServiceUnavailable, "Not ready"},
		{codeTooManyConnections, http.StatusServiceUnavailable, "Too many connections"},
		{codeJournalFull, http.StatusInsufficientStorage, "No room for the task"},
		{codeInternal, http.StatusInternalServerError, "Internal error"},
	}
}

// requestError is something wrong with a request rather than with its task.
type requestError struct {
	code, field, detail string
	allowed             []string
}

func (e *requestError) Error() string { return e.detail }

// problemFor words err for the client who caused it.
func problemFor(err error) *api.Problem {
	if errors.Is(err, access.ErrHidden) { // which is told as if there were no such task
		err = task.ErrNotFound
	}
	p := &api.Problem{Type: "about:blank", Detail: err.Error(), Code: codeFor(err)}
	var field *task.FieldError
	var request *requestError
	var denied *access.Denied
	switch {
	case errors.As(err, &denied):
		p.Field = denied.Field
	case errors.As(err, &field):
		p.Field, p.Allowed = field.Field, field.Allowed
	case errors.As(err, &request):
		p.Field, p.Allowed = request.field, request.allowed
	}
	p.Status, p.Title = http.StatusBadRequest, "Bad request" // a FieldError's code that is not in the list
	for _, k := range kinds() {
		if k.code == p.Code {
			p.Status, p.Title = k.status, k.title
		}
	}
	return p
}

func codeFor(err error) string {
	var field *task.FieldError
	var request *requestError
	switch {
	case errors.As(err, &field) && field.Code != "":
		return field.Code
	case errors.As(err, &request):
		return request.code
	case errors.Is(err, access.ErrDenied):
		return codeNotAllowed
	case errors.Is(err, api.ErrBatchNotFound):
		return codeBatchNotFound
	case errors.Is(err, api.ErrReload):
		return codeReloadFailed
	case errors.Is(err, task.ErrNoSpace):
		return codeJournalFull
	case errors.Is(err, api.ErrBadCursor):
		return codeBadQuery
	case errors.Is(err, task.ErrInvalid):
		return codeInvalidTask
	case errors.Is(err, task.ErrNotFound):
		return codeTaskNotFound
	case errors.Is(err, task.ErrEvicted):
		return codeResultEvicted
	case errors.Is(err, task.ErrConflict):
		return codeTaskConflict
	case errors.Is(err, task.ErrQueueFull):
		return codeQueueFull
	case errors.Is(err, api.ErrNoWorker):
		return codeWorkerNotFound
	case errors.Is(err, api.ErrNoStacks):
		return codeNoStacks
	case errors.Is(err, api.ErrDraining):
		return codeDraining
	default:
		return codeInternal
	}
}

// problem is problemFor; one of our own is also logged.
func (s *Server) problem(err error) *api.Problem {
	p := problemFor(err)
	if p.Code == codeInternal {
		s.options.Logger.Error("request failed", "error", err)
	}
	return p
}

// fail answers with the problem that err is. A caller who has gone is not told,
// and is no fault of ours.
func (s *Server) fail(w http.ResponseWriter, err error) {
	if errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler)
	}
	p := s.problem(err)
	text, err := json.Marshal(p)
	if err != nil {
		text = nil // a struct of strings is always JSON
	}
	w.Header().Set("Content-Type", problemType)
	switch p.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		w.Header().Set("Retry-After", "1")
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", strings.Join(p.Allowed, ", "))
	case http.StatusUpgradeRequired:
		w.Header().Set("Upgrade", upgradeName)
		w.Header().Set("Connection", "Upgrade")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(text, '\n')) // an error: the client has gone
}
