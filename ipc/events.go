package ipc

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
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
	if out == nil {
		return
	}
	for some, err := range events {
		if err != nil {
			out.cut() // the client has gone, or the daemon ends: the client goes on from its cursor
		}
		var text [][]byte
		for _, ev := range some {
			line := encodeEvent(ev)
			if sse {
				line = serverSent(ev, line)
			}
			text = bundle(text, line)
		}
		if !out.write(text...) {
			return
		}
	}
}

// ownPiece is from what size on a piece of a line is not copied.
const ownPiece = 32 << 10

// bundle appends the pieces of a line to text, small ones to the piece before: one event of many
// does not take a write of its own.
func bundle(text, line [][]byte) [][]byte {
	for _, piece := range line {
		last := len(text) - 1
		if last < 0 || len(piece) >= ownPiece || len(text[last]) >= ownPiece {
			text = append(text, slices.Clip(piece))
			continue
		}
		text[last] = append(text[last], piece...)
	}
	return text
}

// cursor reads the cursor after which events are wanted: the latest that is given. A
// browser that reconnects sends the address it began with, and how far it came.
func cursor(r *http.Request) (latest task.Cursor, err error) {
	for _, given := range []struct {
		field  string
		values []string
	}{{"after", r.URL.Query()["after"]}, {"Last-Event-ID", r.Header.Values("Last-Event-ID")}} {
		for _, text := range given.values {
			var c task.Cursor
			if text == "" {
				continue
			}
			if err := c.UnmarshalText([]byte(text)); err != nil {
				return c, &requestError{code: codeBadQuery, field: given.field,
					detail: fmt.Sprintf("%s: %.64q is not a cursor such as \"1.12\"", given.field, text)}
			}
			if c.Compare(latest) > 0 {
				latest = c
			}
		}
	}
	return latest, nil
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
