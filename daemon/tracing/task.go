package tracing

import (
	"crypto/sha256"
	"encoding/binary"
)

// Task is where the spans of one task are: submit, beneath the caller's span if there is one,
// and beneath submit a queue and a run for each attempt.
type Task struct {
	seed   [32]byte // of its ids
	parent Context  // the caller's span; zero: its trace begins here
	trace  TraceID
	flags  byte
}

// Of returns that of a task by its id and by what distinguishes it from others that had the same
// before. sample is which part of the traces is sent that begin here, from 0 to 1; of others the
// caller decides.
func Of(traceparent string, id [16]byte, stamp int64, sample float64) Task {
	var text [24]byte
	copy(text[:], id[:])
	binary.BigEndian.PutUint64(text[16:], uint64(stamp))
	t := Task{seed: sha256.Sum256(text[:])}
	if parent, ok := Parse(traceparent); ok {
		t.parent, t.trace, t.flags = parent, parent.Trace, parent.Flags
		return t
	}
	copy(t.trace[:], t.seed[:])
	if t.flags = known &^ sampledFlag; drawn(t.trace, sample) {
		t.flags = known
	}
	return t
}

// drawn decides by the trace-id, as OpenTelemetry's TraceIDRatioBased does: whoever asks the
// same of a trace decides the same.
func drawn(trace TraceID, sample float64) bool {
	switch {
	case sample >= 1:
		return true
	case sample <= 0:
		return false
	}
	return binary.BigEndian.Uint64(trace[8:])>>1 < uint64(sample*(1<<63))
}

// Sampled reports whether its spans are to be sent.
func (t *Task) Sampled() bool { return t.flags&sampledFlag != 0 }

// Parent is the caller's span; zero: there is none.
func (t *Task) Parent() Context { return t.parent }

// Submit is from the time at which the task is submitted until it is accepted or refused.
func (t *Task) Submit() Context { return t.span(0, 0) }

// Queue is until an attempt begins, and Run that attempt, which the script is told.
func (t *Task) Queue(attempt uint32) Context { return t.span(1, attempt) }

// Run is explained at Queue.
func (t *Task) Run(attempt uint32) Context { return t.span(2, attempt) }

func (t *Task) span(kind byte, attempt uint32) Context {
	var text [37]byte
	copy(text[:], t.seed[:])
	text[32] = kind
	binary.BigEndian.PutUint32(text[33:], attempt)
	sum := sha256.Sum256(text[:])
	c := Context{Trace: t.trace, Flags: t.flags}
	if copy(c.Span[:], sum[:]); c.Span == (SpanID{}) {
		c.Span[7] = 1 // zero is not an id
	}
	return c
}
