package daemontest

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"testing/synctest"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/task"
)

// Who is root, who may do everything.
func Who() access.Identity { return access.Identity{} }

// Option changes a task before it is submitted.
type Option func(*task.Task)

// Within gives it a timeout.
func Within(d time.Duration) Option { return func(t *task.Task) { t.Timeout = task.Duration(d) } }

// Params gives it params.
func Params(text string) Option { return func(t *task.Task) { t.Params = []byte(text) } }

// OnceOnly has it fail with its worker.
func OnceOnly(t *task.Task) { t.Extra.OnWorkerLost = task.Fail }

// Retries has it tried again so often, after a second at first.
func Retries(n int) Option {
	return func(t *task.Task) { t.Extra.MaxRetries, t.Extra.RetryBackoff = n, task.Duration(time.Second) }
}

// Submit hands in a task of this script, and returns once all has come to rest.
func (f *Farm) Submit(script string, options ...Option) task.ID {
	f.Helper()
	return f.SubmitAs(Who().UID, script, options...)
}

// SubmitAs is Submit by another user.
func (f *Farm) SubmitAs(uid uint32, script string, options ...Option) task.ID {
	f.Helper()
	k := &task.Task{
		ID: task.NewID(), ScriptPath: filepath.Join(f.Dir, script), Function: "main", Params: []byte("1h"),
		Type: task.IOBound, Priority: task.DefaultPriority, Extra: &task.Extras{},
	}
	for _, change := range options {
		change(k)
	}
	if !json.Valid(k.Params) { // which a client's always are, and the journal relies on it
		k.Params = strconv.AppendQuote(nil, string(k.Params))
	}
	var answer error
	f.Engine.Submit(f.Context(), access.Identity{UID: uid}, k, nil, func(_ task.View, err error) { answer = err })
	synctest.Wait()
	if answer != nil {
		f.Fatal(answer)
	}
	return k.ID
}

// Many hands in n tasks.
func (f *Farm) Many(n int, script string, options ...Option) (ids []task.ID) {
	f.Helper()
	for range n {
		ids = append(ids, f.Submit(script, options...))
	}
	return ids
}
