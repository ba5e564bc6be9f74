package ipc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"cpulb/daemon/task"
)

// eventStream is the media type of server-sent events.
const eventStream = "text/event-stream"

// getEvents sends a task's events as NDJSON, or as server-sent events if the request
// accepts these; a browser that reconnects sends its last cursor by itself. With
// follow=false they are those that are kept.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) {
	id, err := idFrom(r.PathValue("task_id"))
	if err == nil {
		err = query(r, "after", "follow")
	}
	var after task.Cursor
	if err == nil {
		after, err = cursor(r)
	}
	toCome := true
	if err == nil {
		toCome, err = follows(r)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	ctx, noMore := context.WithCancel(r.Context())
	defer noMore()
	events, err := s.engine.Events(ctx, peer(r), id, after)
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
	if !toCome {
		noMore() // who would wait for more ends instead
	}
	for some, err := range events {
		if err != nil && !toCome && errors.Is(err, context.Canceled) && r.Context().Err() == nil {
			return
		}
		if err != nil {
			out.cut() // the client has gone, or the daemon ends: the client goes on from its cursor
		}
		size := int64(0)
		for _, ev := range some {
			size += eventSize(ev)
		}
		sent := out.piece(size, func(p *pen) {
			for _, ev := range some {
				if sse {
					p.serverSent(ev)
				} else {
					p.event(ev)
				}
			}
		})
		if !sent {
			return
		}
	}
}

// follows reads whether events to come are wanted, too.
func follows(r *http.Request) (bool, error) {
	text := r.URL.Query().Get("follow")
	if text == "" || text == "true" {
		return true, nil
	}
	if text != "false" {
		return false, &requestError{code: codeBadQuery, field: "follow", allowed: []string{"true", "false"},
			detail: fmt.Sprintf("follow: %.64q is neither true nor false", text)}
	}
	return false, nil
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

// eventSize is about what ev takes.
func eventSize(ev *task.Event) int64 {
	size := int64(len(ev.Value) + len(ev.Message) + len(ev.Text))
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
