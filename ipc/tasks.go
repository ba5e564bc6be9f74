package ipc

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
	"unicode/utf8"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// maxWait bounds ?wait= and ?timeout=.
const maxWait = 24 * time.Hour

func (s *Server) postTask(w http.ResponseWriter, r *http.Request) {
	wait, err := duration(r, "wait")
	if err != nil {
		s.fail(w, err)
		return
	}
	h := s.hold(r)
	h.turn = s.turnFor(r, h)
	defer h.turn.leave()
	t, err := s.readTask(w, r, h)
	if err != nil {
		h.turn.leave()
		h.end()
		s.failBody(w, r, err)
		return
	}
	var end *waiter
	var watcher task.Watcher // nil, unless the result is waited for
	if wait > 0 {
		end = &waiter{result: make(chan *task.Result, 1)}
		watcher = end
	}
	view, err := await(r.Context(), func(done func(task.View, error)) {
		s.engine.Submit(r.Context(), peer(r), t, watcher, func(v task.View, err error) {
			h.end() // also when nobody waits for the answer any more
			done(v, err)
		})
		h.turn.leave()
	}, func(late task.View) { s.unwatch(r, late.ID, watcher) })
	if err != nil || wait == 0 {
		s.answerView(w, r, http.StatusAccepted, view, err)
		return
	}
	s.answerEnd(w, r, end, view.ID, wait)
}

// unwatch takes the watcher of a request, which may be nil, off its task.
func (s *Server) unwatch(r *http.Request, id task.ID, w task.Watcher) {
	if w != nil {
		s.engine.Unwatch(peer(r), id, w)
	}
}

// waiter gets the Result of a task from its end itself: it may be kept for a moment only,
// or not at all.
type waiter struct {
	task.Heard
	result chan *task.Result
}

// Verbose implements task.Watcher.
func (*waiter) Verbose() bool { return false }

// Outlet implements task.Watcher.
func (*waiter) Outlet() task.Outlet { return nil }

// PassOn implements task.Watcher.
func (w *waiter) PassOn() {
	w.Each(func(ev *task.Event) {
		if ev.Kind == task.EventResult {
			w.result <- ev.Result
		}
	})
}

// answerEnd answers with the Result that end gets, with the task's view when it has not
// ended within wait, or that the daemon drains when it will not.
func (s *Server) answerEnd(w http.ResponseWriter, r *http.Request, end *waiter, id task.ID, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case result := <-end.result:
		s.writeResult(w, r, result)
		return
	case <-s.settled: // no task ends any more, and those that have were told before
		select {
		case result := <-end.result:
			s.writeResult(w, r, result)
		default:
			s.fail(w, api.ErrDraining)
		}
		return
	case <-timer.C:
	case <-r.Context().Done():
	}
	s.unwatch(r, id, end)
	select {
	case result := <-end.result: // it ended just now
		s.writeResult(w, r, result)
	default:
		if r.Context().Err() != nil {
			panic(http.ErrAbortHandler) // the client has gone
		}
		s.answerResult(w, r, id, 0)
	}
}

func (s *Server) postRerun(w http.ResponseWriter, r *http.Request) {
	s.withTask(w, r, func(id task.ID) {
		h := s.hold(r)
		defer h.end()
		room := func(bytes int64) error { return h.wait(r.Context(), bytes+taskBytes) }
		view, err := await(r.Context(), func(done func(task.View, error)) { s.engine.Rerun(r.Context(), peer(r), id, room, done) }, nil)
		s.answerView(w, r, http.StatusAccepted, view, err)
	})
}

// await waits for an answer that the engine gives later, or until ctx is done, when
// nobody needs it any more: late, which may be nil, is called with the task that is accepted
// then.
func await(ctx context.Context, ask func(done func(task.View, error)), late func(task.View)) (task.View, error) {
	type answer struct {
		view task.View
		err  error
	}
	answered := make(chan answer, 1) // it may come when nobody waits any more
	ask(func(v task.View, err error) { answered <- answer{v, err} })
	select {
	case a := <-answered:
		return a.view, a.err
	case <-ctx.Done():
	}
	if late != nil {
		go func() {
			if a := <-answered; a.err == nil {
				late(a.view)
			}
		}()
	}
	return task.View{}, ctx.Err()
}

// readTask reads the only task of a body. h then has what the task takes.
func (s *Server) readTask(w http.ResponseWriter, r *http.Request, h *hold) (*task.Task, error) {
	in, err := s.body(w, r)
	if err != nil {
		return nil, err
	}
	text := buffer{hold: h, most: in.limit + 1, expected: r.ContentLength}
	if err := text.readFrom(r.Context(), in); err != nil {
		return nil, err
	}
	n := int64(len(text.text))
	if err := h.wait(r.Context(), n+taskBytes); err != nil { // decoding may copy it
		return nil, err
	}
	if err := h.turn.take(r.Context()); err != nil {
		return nil, err
	}
	t, err := task.Take(text.text)
	h.give(int64(cap(text.text)) - n) // the journal's copy takes the place of the text
	return t, err
}

func tooLarge(limit int64) error {
	return &requestError{code: codeBodyTooLarge, detail: fmt.Sprintf("larger than limits.body_size, which is %d bytes", limit)}
}

func (s *Server) getTask(w http.ResponseWriter, r *http.Request) {
	s.withTask(w, r, func(id task.ID) {
		view, err := s.engine.View(r.Context(), peer(r), id)
		s.answerView(w, r, http.StatusOK, view, err)
	})
}

func (s *Server) deleteTask(w http.ResponseWriter, r *http.Request) {
	s.withTask(w, r, func(id task.ID) {
		view, err := await(r.Context(), func(done func(task.View, error)) { s.engine.Cancel(peer(r), id, done) }, nil)
		s.answerView(w, r, http.StatusAccepted, view, err)
	})
}

// withTask calls f with the id in the path, for a call that takes no query.
func (s *Server) withTask(w http.ResponseWriter, r *http.Request, f func(task.ID)) {
	id, err := idFrom(r.PathValue("task_id"))
	if err == nil {
		err = query(r)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	f(id)
}

func (s *Server) getResult(w http.ResponseWriter, r *http.Request) {
	id, err := idFrom(r.PathValue("task_id"))
	if err != nil {
		s.fail(w, err)
		return
	}
	wait, err := duration(r, "timeout")
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answerResult(w, r, id, wait)
}

// idFrom reads a task's id. Text that is not an id is answered like an unknown id.
func idFrom(text string) (task.ID, error) {
	id, err := task.ParseID(text)
	if err != nil {
		return id, fmt.Errorf("%w: %.64q is not a UUID", task.ErrNotFound, text)
	}
	return id, nil
}

// answerResult answers with the Result, or with the task's view when it has not
// ended within wait.
func (s *Server) answerResult(w http.ResponseWriter, r *http.Request, id task.ID, wait time.Duration) {
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	result, err := s.engine.Result(ctx, peer(r), id)
	if err == nil {
		s.writeResult(w, r, result)
		return
	}
	if ctx.Err() == nil {
		s.fail(w, err)
		return
	}
	view, err := s.engine.View(r.Context(), peer(r), id)
	if err == nil && view.Status.Terminal() { // it ended just now
		if result, err = s.engine.Result(r.Context(), peer(r), id); err == nil {
			s.writeResult(w, r, result)
			return
		}
	}
	s.answerView(w, r, http.StatusAccepted, view, err)
}

// writeResult answers with result, which is counted while it is written: it may be kept no
// longer meanwhile. Where there is no room it is let go and asked for again.
func (s *Server) writeResult(w http.ResponseWriter, r *http.Request, result *task.Result) {
	h := s.hold(r)
	defer h.end()
	if size := result.Size(); !h.take(size) {
		id := result.ID
		result = nil
		err := h.wait(r.Context(), size)
		if err == nil {
			result, err = s.engine.Result(r.Context(), peer(r), id)
		}
		if err != nil {
			s.fail(w, err)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	p := &pen{w: w}
	p.result(result)
	p.raw("\n")
	p.flush() // an error: the client has gone
}

// answerView answers with view, or the problem that err is. What a view shows is the
// task's, which is counted as long as the task is known.
func (s *Server) answerView(w http.ResponseWriter, r *http.Request, status int, view task.View, err error) {
	if err != nil {
		s.fail(w, err)
		return
	}
	h := s.hold(r)
	defer h.end()
	h.force(viewSize(&view))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	p := &pen{w: w}
	p.view(&view)
	p.raw("\n")
	p.flush() // an error: the client has gone
}

// viewSize is about what the task's values in v take.
func viewSize(v *task.View) int64 {
	size := int64(len(v.ScriptPath) + len(v.Function))
	for name, value := range v.Labels {
		size += int64(len(name) + len(value))
	}
	return size
}

// answer writes v as JSON, or the problem that err is.
func (s *Server) answer(w http.ResponseWriter, status int, v any, err error) {
	var text []byte
	if err == nil {
		text, err = json.Marshal(v)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // an error: the client has gone
}

// query rejects parameters that are unknown, since a misspelt one would otherwise count as
// absent, and those that contradict themselves.
func query(r *http.Request, allowed ...string) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &requestError{code: codeBadQuery, detail: "the query is malformed: " + err.Error()}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(allowed, name) {
			return &requestError{code: codeBadQuery, field: name, detail: fmt.Sprintf("unknown query parameter %.64q", name), allowed: allowed}
		}
		problem := ""
		switch all := values[name]; {
		case slices.ContainsFunc(all, func(value string) bool { return !utf8.ValidString(value) }):
			problem = "is not UTF-8"
		case slices.Contains(lists(), name):
		case slices.ContainsFunc(all, func(value string) bool { return value != all[0] }):
			problem = "is given several times, with different values"
		case all[0] == "" && !slices.Contains(mayBeEmpty(), name):
			problem = "is empty; leave it out instead"
		}
		if problem != "" {
			return &requestError{code: codeBadQuery, field: name, detail: name + " " + problem}
		}
	}
	return nil
}

// lists are the parameters that take several values.
func lists() []string { return []string{"label", "status"} }

// mayBeEmpty are the parameters of which an empty one harms nobody: it counts as absent.
// An empty filter, most likely a variable that was not set, would select too much.
func mayBeEmpty() []string { return []string{"wait", "timeout", "after"} }

// duration reads the only parameter of a call; absent means 0.
func duration(r *http.Request, name string) (time.Duration, error) {
	if err := query(r, name); err != nil {
		return 0, err
	}
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWait {
		return 0, &requestError{code: codeBadQuery, field: name,
			detail: fmt.Sprintf("%s: %.64q is not a duration such as \"30s\", from 0 to %s", name, text, maxWait)}
	}
	return d, nil
}
