package ipc

import (
	"bytes"
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
	out := s.flow(w, kind)
	for ev, err := range events {
		if err != nil {
			out.cut() // the client has gone, or the daemon ends: the client goes on from its cursor
		}
		line := encodeEvent(ev)
		if sse {
			line = serverSent(ev, line)
		}
		if !out.write(line...) {
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

// serverSent frames one line as an event (HTML, section 9.2).
func serverSent(ev *task.Event, line [][]byte) [][]byte {
	at, err := ev.Cursor.MarshalText()
	if err != nil {
		at = nil // a cursor always has a text
	}
	head := fmt.Appendf(nil, "id: %s\nevent: %s\ndata: ", at, ev.Kind)
	return append(append([][]byte{head}, bytes.TrimSuffix(bytes.Join(line, nil), []byte("\n"))), []byte("\n\n"))
}
