package ipc

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

func (s *Server) getTasks(w http.ResponseWriter, r *http.Request) {
	f, p, err := selection(r, "limit", "after", "order")
	if err != nil {
		s.fail(w, err)
		return
	}
	h := s.hold(r)
	defer h.end()
	if err := h.wait(r.Context(), pageBytes); err != nil {
		s.fail(w, err)
		return
	}
	list := &listing{w: w}
	next, err := s.engine.List(r.Context(), peer(r), f, p, list.add)
	switch {
	case errors.Is(err, api.ErrBadCursor):
		s.fail(w, &requestError{code: codeBadQuery, field: "after", detail: fmt.Sprintf("after: %.64q is not the \"next\" of a list", p.After)})
	case err != nil:
		s.fail(w, err)
	default:
		list.end(next)
	}
}

// pageBytes is about what the engine gives of a list at a time: the values of tasks, which
// may be forgotten while they are written.
const pageBytes = 512 << 10

// listing writes an api.Listing, of which it has a few tasks at a time.
type listing struct {
	w   http.ResponseWriter
	pen *pen // nil before the first task: an error can still be the answer
}

func (l *listing) begin() {
	l.w.Header().Set("Content-Type", "application/json")
	l.pen = &pen{w: l.w}
	l.pen.raw(`{"tasks":[`)
}

// add reports whether there is still somebody to write to.
func (l *listing) add(v task.View) bool {
	if l.pen == nil {
		l.begin()
	} else {
		l.pen.raw(",")
	}
	l.pen.view(&v)
	return l.pen.err == nil
}

func (l *listing) end(next string) {
	if l.pen == nil {
		l.begin()
	}
	l.pen.raw("]")
	if next != "" {
		l.pen.raw(`,"next":`)
		l.pen.str(next)
	}
	l.pen.raw("}\n")
	l.pen.flush() // an error: the client has gone
}

// The orders in which tasks are listed.
const (
	oldestFirst = "oldest"
	newestFirst = "newest"
)

// deleteTasks cancels the tasks that the filters select. Without filters it requires
// all=true, so that a slip of the hand does not cancel everything.
func (s *Server) deleteTasks(w http.ResponseWriter, r *http.Request) {
	f, _, err := selection(r, "all")
	if err == nil {
		err = deliberate(r.URL.Query(), &f)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	n, err := s.engine.CancelAll(r.Context(), peer(r), f)
	s.answer(w, http.StatusAccepted, map[string]int{"cancelled": n}, err)
}

func deliberate(q url.Values, f *api.Filter) error {
	none := len(f.Statuses) == 0 && len(f.Labels) == 0 && f.Batch == (task.ID{}) && f.Since.IsZero()
	if all := q.Get("all"); all != "true" && (none || all != "") {
		return &requestError{code: codeBadQuery, field: "all", allowed: []string{"true"},
			detail: "this would cancel all your tasks; select some by status, label, batch or since, or give all=true"}
	}
	return nil
}

// selection reads the filters of a list and the additional parameters that the caller
// names.
func selection(r *http.Request, more ...string) (f api.Filter, p api.Page, err error) {
	if err = query(r, append(more, "status", "label", "batch", "since")...); err != nil {
		return f, p, err
	}
	q := r.URL.Query()
	if f.Statuses, err = statuses(q["status"]); err != nil {
		return f, p, err
	}
	if f.Labels, err = labels(q["label"]); err != nil {
		return f, p, err
	}
	if text := q.Get("batch"); text != "" {
		if f.Batch, err = task.ParseID(text); err != nil {
			return f, p, &requestError{code: codeBadQuery, field: "batch", detail: fmt.Sprintf("batch: %.64q is not a UUID", text)}
		}
	}
	if text := q.Get("since"); text != "" {
		if f.Since, err = time.Parse(time.RFC3339, text); err != nil {
			return f, p, &requestError{code: codeBadQuery, field: "since", detail: fmt.Sprintf("since: %.64q is not a time such as 2026-01-02T03:04:05Z", text)}
		}
	}
	if text := q.Get("limit"); text != "" {
		if p.Limit, err = strconv.Atoi(text); err != nil || p.Limit < 1 || p.Limit > api.MaxPage {
			return f, p, &requestError{code: codeBadQuery, field: "limit",
				detail: fmt.Sprintf("limit: %.64q is not a number from 1 to %d", text, api.MaxPage)}
		}
	}
	switch order := q.Get("order"); order {
	case "", oldestFirst:
	case newestFirst:
		p.Newest = true
	default:
		return f, p, &requestError{code: codeBadQuery, field: "order", allowed: []string{oldestFirst, newestFirst},
			detail: fmt.Sprintf("order: %.64q is not an order", order)}
	}
	p.After = q.Get("after")
	return f, p, nil
}

// statuses reads ?status=, which may be repeated and may list several names.
func statuses(values []string) ([]task.Status, error) {
	var all []task.Status
	for _, value := range values {
		for name := range strings.SplitSeq(value, ",") {
			var status task.Status
			if err := status.UnmarshalText([]byte(name)); err != nil {
				var names []string
				for _, s := range task.Statuses() {
					names = append(names, s.String())
				}
				return nil, &requestError{code: codeBadQuery, field: "status", allowed: names,
					detail: fmt.Sprintf("status: %.64q is not a state", name)}
			}
			if !slices.Contains(all, status) {
				all = append(all, status)
			}
		}
	}
	return all, nil
}

// labels reads ?label=name=value, which may be repeated.
func labels(values []string) (map[string]string, error) {
	if len(values) == 0 {
		return nil, nil
	}
	all := map[string]string{}
	for _, text := range values {
		name, value, ok := strings.Cut(text, "=")
		if before, again := all[name]; !ok || name == "" || again && before != value {
			return nil, &requestError{code: codeBadQuery, field: "label",
				detail: fmt.Sprintf("label: %.64q is not name=value, or contradicts another label", text)}
		}
		all[name] = value
	}
	return all, nil
}
