// Package tracing says which spans the life of a task makes, and where in which trace: ids, their
// places in each other, and what is sampled, as W3C Trace Context has them.
//
// Guarantees: all of it follows from what the journal keeps of a task, so a span has the same
// ids whichever daemon makes it, and nothing has to be remembered between two spans of a task.
// A traceparent that is not one is ignored, as W3C says: the task's trace then begins with it.
//
// It does not send spans anywhere; a Sink does, such as that of package tracing/otlp.
package tracing

import (
	"encoding/hex"
	"strings"
)

// TraceID and SpanID are W3C's trace-id and parent-id.
type (
	TraceID [16]byte
	SpanID  [8]byte
)

const sampledFlag = 1

// Context is the place of a span. The zero Context is none.
type Context struct {
	Trace TraceID
	Span  SpanID
	Flags byte
}

// Sampled reports whether its span is to be sent.
func (c Context) Sampled() bool { return c.Flags&sampledFlag != 0 }

// Valid reports whether it is one.
func (c Context) Valid() bool { return c.Trace != TraceID{} && c.Span != SpanID{} }

// String returns it as a traceparent of version 00.
func (c Context) String() string {
	b := make([]byte, 0, size)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, c.Trace[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, c.Span[:])
	b = append(b, '-')
	return string(hex.AppendEncode(b, []byte{c.Flags}))
}

// size is the length of a traceparent of version 00. Later versions may be longer.
const size = 55

// known are the flags that have a meaning: sampled, and that the trace-id is random.
const known = 3

// Parse reads a traceparent; false: it is not one, by the rules of W3C Trace Context,
// section 3.2.2, as OpenTelemetry's SDK reads them: version 00 has no other flags.
func Parse(text string) (c Context, ok bool) {
	if len(text) < size || text[2] != '-' || text[35] != '-' || text[52] != '-' || strings.ToLower(text[:size]) != text[:size] {
		return Context{}, false
	}
	var version, flags [1]byte
	for _, part := range []struct {
		to   []byte
		from string
	}{{version[:], text[:2]}, {c.Trace[:], text[3:35]}, {c.Span[:], text[36:52]}, {flags[:], text[53:55]}} {
		if _, err := hex.Decode(part.to, []byte(part.from)); err != nil {
			return Context{}, false
		}
	}
	switch {
	case version[0] == 0xff, version[0] == 0 && (len(text) != size || flags[0]&^known != 0), len(text) > size && text[size] != '-', !c.Valid():
		return Context{}, false
	}
	c.Flags = flags[0] & known
	return c, true
}
