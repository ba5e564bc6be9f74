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

// The stable codes. docs/output_interpretation.md explains each, and a test holds it to this list.
const (
	codeInvalidJSON        = "invalid_json"
	codeInvalidTask        = "invalid_task"
	codeScriptNotFound     = "script_not_found"
	codeScriptIsDirectory  = "script_is_directory"
	codeScriptNotReadable  = "script_not_readable"
	codeNoSuchPool         = "no_such_pool"
	codeNotSupported       = "not_supported"
	codeBadQuery           = "bad_query"
	codeNotAllowed         = "not_allowed"
	codeTaskNotFound       = "task_not_found"
	codeBatchNotFound      = "batch_not_found"
	codeWorkerNotFound     = "worker_not_found"
	codeExecutorNotFound   = "executor_not_found"
	codeSwapConflict       = "swap_conflict"
	codeSwapFailed         = "swap_failed"
	codeInvalidSwap        = "invalid_swap"
	codeNoStacks           = "no_stacks"
	codeNoSuchRoute        = "no_such_route"
	codeMethodNotAllowed   = "method_not_allowed"
	codeTaskConflict       = "task_conflict"
	codeResultEvicted      = "result_evicted"
	codeBodyTooLarge       = "body_too_large"
	codeReloadFailed       = "reload_failed"
	codeUpgradeRequired    = "upgrade_required"
	codeQueueFull          = "queue_full"
	codeTooManyWatches     = "too_many_watches"
	codeDraining           = "draining"
	codeRestartFailed      = "restart_failed"
	codeNotReady           = "not_ready"
	codeTooManyInFlight    = "too_many_in_flight"
	codeTooManyConnections = "too_many_connections"
	codeJournalFull        = "journal_full"
	codeInternal           = "internal"
)

const problemType = "application/problem+json"

// kind describes all problems with one code.
type kind struct {
	// sentinel is matched by the errors of this kind; nil: a requestError or a
	// FieldError names the code.
	sentinel error
	code     string
	status   int
	title    string
}

// kinds is the only authority on which problems there are. An error is of the
// first kind whose sentinel it matches: ErrInvalid, which others match too, is last.
func kinds() []kind {
	return []kind{
		{nil, codeInvalidJSON, http.StatusBadRequest, "Not JSON"},
		{nil, codeScriptNotFound, http.StatusBadRequest, "No such script"},
		{nil, codeScriptIsDirectory, http.StatusBadRequest, "The script is a folder"},
		{nil, codeScriptNotReadable, http.StatusBadRequest, "The script can't be read"},
		{nil, codeNoSuchPool, http.StatusBadRequest, "No pool for the task"},
		{nil, codeNotSupported, http.StatusBadRequest, "The executor does not take that"},
		{api.ErrSwapFailed, codeSwapFailed, http.StatusUnprocessableEntity, "The program was not swapped"},
		{api.ErrSwapInvalid, codeInvalidSwap, http.StatusBadRequest, "No such swap is possible"},
		{api.ErrBadCursor, codeBadQuery, http.StatusBadRequest, "Bad query parameter"},
		{access.ErrDenied, codeNotAllowed, http.StatusForbidden, "Not allowed"},
		{task.ErrNotFound, codeTaskNotFound, http.StatusNotFound, "No such task"},
		{api.ErrBatchNotFound, codeBatchNotFound, http.StatusNotFound, "No such batch"},
		{api.ErrNoWorker, codeWorkerNotFound, http.StatusNotFound, "No such worker"},
		{api.ErrNoExecutor, codeExecutorNotFound, http.StatusNotFound, "No such executor"},
		{nil, codeNoSuchRoute, http.StatusNotFound, "No such route"},
		{nil, codeMethodNotAllowed, http.StatusMethodNotAllowed, "Method not allowed"},
		{task.ErrConflict, codeTaskConflict, http.StatusConflict, "Task id is taken"},
		{api.ErrSwapConflict, codeSwapConflict, http.StatusConflict, "Not now"},
		{task.ErrEvicted, codeResultEvicted, http.StatusGone, "Result no longer kept"},
		{nil, codeBodyTooLarge, http.StatusRequestEntityTooLarge, "Too large"},
		{api.ErrReload, codeReloadFailed, http.StatusUnprocessableEntity, "The configuration was not reloaded"},
		{nil, codeUpgradeRequired, http.StatusUpgradeRequired, "Upgrade required"},
		{task.ErrQueueFull, codeQueueFull, http.StatusTooManyRequests, "Queue is full"},
		{nil, codeTooManyInFlight, http.StatusTooManyRequests, "Too much in flight"},
		{api.ErrTooManyWatches, codeTooManyWatches, http.StatusTooManyRequests, "Too many watches"},
		{api.ErrNoStacks, codeNoStacks, http.StatusServiceUnavailable, "No stacks"},
		{nil, codeRestartFailed, http.StatusServiceUnavailable, "The worker was not restarted"},
		{api.ErrDraining, codeDraining, http.StatusServiceUnavailable, "Not accepting tasks"},
		{nil, codeNotReady, http.StatusServiceUnavailable, "Not ready"},
		{nil, codeTooManyConnections, http.StatusServiceUnavailable, "Too many connections"},
		{task.ErrNoSpace, codeJournalFull, http.StatusInsufficientStorage, "No room for the task"},
		{task.ErrInvalid, codeInvalidTask, http.StatusBadRequest, "The task can't be accepted"},
		{nil, codeInternal, http.StatusInternalServerError, "Internal error"},
	}
}

// requestError is an error of a request rather than of its task.
type requestError struct {
	code, field, detail string
	allowed             []string
}

func (e *requestError) Error() string { return e.detail }

// problemFor describes err for the client who caused it.
func problemFor(err error) *api.Problem {
	if errors.Is(err, access.ErrHidden) { // reported as if there were no such task
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
	if p.Code == codeInternal { // it may tell of other callers, and of the daemon's files
		p.Detail = "a fault of the daemon's; its log has more"
	}
	p.Status, p.Title = http.StatusBadRequest, "Bad request" // a FieldError's code that is not in the list
	for _, k := range kinds() {
		if k.code == p.Code {
			p.Status, p.Title = k.status, k.title
		}
	}
	return p
}

// codeFor returns the code that err names, or that of its kind.
func codeFor(err error) string {
	var field *task.FieldError
	var request *requestError
	switch {
	case errors.As(err, &field) && field.Code != "":
		return field.Code
	case errors.As(err, &request):
		return request.code
	}
	for _, k := range kinds() {
		if k.sentinel != nil && errors.Is(err, k.sentinel) {
			return k.code
		}
	}
	return codeInternal
}

// problem is problemFor, and logs errors of the daemon's own.
func (s *Server) problem(err error) *api.Problem {
	p := problemFor(err)
	if p.Code == codeInternal {
		s.options.Logger.Error("request failed", "error", err)
	}
	return p
}

// fail answers with err as a problem. If the caller has gone, there is nobody to
// answer and nothing to log.
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
