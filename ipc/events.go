package ipc

import (
	"fmt"
	"net/http"
	"strings"

	"cpulb/daemon/task"
)

// eventStream is the media type of server-sent events.
const eventStream = "text/event-stream"

// getEvents sends a task's events as NDJSON, or as server-sent events if the request
// accepts these; a browser that reconnects sends its last cursor by itself.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) {
	id, err := idFrom(r.PathValue("task_id"))
	if err == nil {
		err = query(r, "after")
	}
	var after task.Cursor
	if err == nil {
		after, err = cursor(r)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	events, err := s.engine.Events(r.Context(), peer(r), id, after)
	if err != nil {
		s.fail(w, err)
		return
	}
	sse := strings.Contains(r.Header.Get("Accept"), eventStream)
	kind := ndjson
	if sse {
		kind = eventStream
	}
	out := s.flow(w, r, kind)
	for ev, err := range events {
		if err != nil {
			out.cut() // the client has gone, or the daemon ends: the client goes on from its cursor
		}
		sent := out.piece(eventSize(ev), func(p *pen) {
			if sse {
				p.serverSent(ev)
			} else {
				p.event(ev)
			}
		})
		if !sent {
			return
		}
	}
}

// cursor reads the cursor after which events are wanted.
func cursor(r *http.Request) (c task.Cursor, err error) {
	text, field := r.URL.Query().Get("after"), "after"
	if text == "" {
		text, field = r.Header.Get("Last-Event-ID"), "Last-Event-ID"
	}
	if text == "" {
		return c, nil
	}
	if err := c.UnmarshalText([]byte(text)); err != nil {
		return c, &requestError{code: codeBadQuery, field: field, detail: fmt.Sprintf("%s: %.64q is not a cursor such as \"1.12\"", field, text)}
	}
	return c, nil
}

// eventSize is about what ev takes.
func eventSize(ev *task.Event) int64 {
	size := int64(len(ev.Value) + len(ev.Message))
	if ev.Result != nil {
		size += ev.Result.Size()
	}
	return size
}

// serverSent writes ev as HTML, section 9.2, frames it.
func (p *pen) serverSent(ev *task.Event) {
	p.raw("id: ")
	p.text = appendCursor(p.text, ev.Cursor)
	p.raw("\nevent: " + string(ev.Kind) + "\ndata: ")
	p.event(ev) // with one newline
	p.raw("\n")
}
