package ipc

import (
	"bytes"
	"encoding/json"
	"strconv"
	"sync"

	"cpulb/daemon/task"
	"cpulb/internal/outbox"
)

// encoded is one line, or a value, of JSON: through passes as it is and must not be changed;
// it stands in the middle of text, in front of text[at:].
type encoded struct {
	text    []byte
	at      int
	through []byte
}

// data appends what a task gave. What is large is not copied.
func (x *encoded) data(text json.RawMessage) {
	if text = line(text); len(text) < outbox.TakenOver {
		x.text = append(x.text, text...)
		return
	}
	x.at, x.through = len(x.text), text
}

func (x *encoded) add(text string) { x.text = append(x.text, text...) }

// result appends r.
func (x *encoded) result(r *task.Result) {
	x.add(`{"task_id":`)
	x.text = task.AppendID(x.text, r.ID)
	x.add(`,"status":"`)
	x.add(r.Status.String())
	x.add(`","data":`)
	x.data(r.Data)
	x.add(`,"error":`)
	x.text = appendError(x.text, r.Error)
	x.add(`,"stdout":`)
	x.text = task.AppendString(x.text, r.Stdout)
	x.add(`,"stderr":`)
	x.text = task.AppendString(x.text, r.Stderr)
	x.text = appendEnd(x.text, r)
}

// appendEnd appends what a Result has behind its texts.
func appendEnd(b []byte, r *task.Result) []byte {
	b = strconv.AppendBool(append(b, `,"truncated":`...), r.Truncated)
	b = strconv.AppendInt(append(b, `,"attempts":`...), int64(r.Attempts), 10)
	b = appendWorker(append(b, `,"worker":`...), r.Worker)
	b = task.AppendTime(append(b, `,"submitted_at":`...), r.SubmittedAt)
	b = append(b, `,"started_at":`...)
	if r.StartedAt == nil {
		b = append(b, "null"...)
	} else {
		b = task.AppendTime(b, *r.StartedAt)
	}
	b = task.AppendTime(append(b, `,"finished_at":`...), r.FinishedAt)
	b = appendSeconds(append(b, `,"queue_seconds":`...), r.QueueSeconds)
	b = appendSeconds(append(b, `,"run_seconds":`...), r.RunSeconds)
	b = appendSeconds(append(b, `,"cpu_seconds":`...), r.CPUSeconds)
	b = appendSeconds(append(b, `,"lock_seconds":`...), r.LockSeconds)
	return append(b, '}')
}

func appendSeconds(b []byte, n float64) []byte { return strconv.AppendFloat(b, n, 'f', -1, 64) }

func appendError(b []byte, e *task.Error) []byte {
	if e == nil {
		return append(b, "null"...)
	}
	b = task.AppendString(append(b, `{"type":`...), e.Type)
	b = task.AppendString(append(b, `,"message":`...), e.Message)
	if e.Traceback != "" {
		b = task.AppendString(append(b, `,"traceback":`...), e.Traceback)
	}
	b = task.AppendString(append(b, `,"code":`...), e.Code)
	if e.ExitCode != 0 {
		b = strconv.AppendInt(append(b, `,"exit_code":`...), int64(e.ExitCode), 10)
	}
	return append(b, '}')
}

func appendWorker(b []byte, w *task.Worker) []byte {
	if w == nil {
		return append(b, "null"...)
	}
	b = task.AppendString(append(b, `{"id":`...), w.ID)
	b = task.AppendString(append(b, `,"executor":`...), w.Executor)
	b = task.AppendString(append(b, `,"pool":`...), w.Pool)
	b = strconv.AppendInt(append(b, `,"pid":`...), int64(w.PID), 10)
	b = strconv.AppendInt(append(b, `,"core":`...), int64(w.Core), 10)
	b = strconv.AppendInt(append(b, `,"slot":`...), int64(w.Slot), 10)
	return append(b, '}')
}

// event appends ev as one line with its newline.
func (x *encoded) event(ev *task.Event) {
	x.add(`{"event":"`)
	x.add(string(ev.Kind))
	x.add(`","task_id":`)
	x.text = task.AppendID(x.text, ev.ID)
	x.add(`,"cursor":"`)
	x.text = appendCursor(x.text, ev.Cursor)
	x.add(`"`)
	switch ev.Kind {
	case task.EventResult:
		x.add(`,"result":`)
		x.result(ev.Result)
	case task.EventPartial:
		x.add(`,"value":`)
		x.data(ev.Value)
	default:
		x.text = appendNote(x.text, ev)
	}
	x.add("}\n")
}

// appendNote appends what the other kinds of events have.
func appendNote(b []byte, ev *task.Event) []byte {
	if ev.Status != nil {
		b = append(append(append(b, `,"status":"`...), ev.Status.String()...), '"')
	}
	if ev.Fraction != nil {
		b = appendJSON(append(b, `,"fraction":`...), *ev.Fraction)
	}
	if ev.Level != "" {
		b = task.AppendString(append(b, `,"level":`...), ev.Level)
	}
	if ev.Message != "" {
		b = task.AppendString(append(b, `,"message":`...), ev.Message)
	}
	if ev.Stream != "" {
		b = append(append(append(b, `,"stream":"`...), ev.Stream...), '"')
	}
	if ev.Text != "" {
		b = task.AppendString(append(b, `,"text":`...), ev.Text)
	}
	if ev.Offset != nil {
		b = strconv.AppendInt(append(b, `,"offset":`...), *ev.Offset, 10)
	}
	if ev.Missed != 0 {
		b = strconv.AppendUint(append(b, `,"missed":`...), ev.Missed, 10)
	}
	return b
}

func appendCursor(b []byte, c task.Cursor) []byte {
	b = strconv.AppendInt(b, int64(c.Attempt), 10)
	return strconv.AppendUint(append(b, '.'), c.Seq, 10)
}

// accepted appends the line that says that a task has been accepted. Where its
// idempotency_key makes it another one, it is id, and was sent as sent.
func (x *encoded) accepted(id, sent task.ID, status task.Status) {
	x.add(`{"event":"accepted","task_id":`)
	x.text = task.AppendID(x.text, id)
	if id != sent {
		x.add(`,"sent_as":`)
		x.text = task.AppendID(x.text, sent)
	}
	x.add(`,"status":"`)
	x.add(status.String())
	x.add("\"}\n")
}

// line returns what a task gave, which package plugins has checked. Absent data is
// null, and a journal of an older version may have some with newlines.
func line(text json.RawMessage) []byte {
	switch {
	case len(text) == 0:
		return []byte("null")
	case bytes.IndexByte(text, '\n') < 0:
		return text
	}
	var one bytes.Buffer
	if err := json.Compact(&one, text); err != nil {
		return []byte("null")
	}
	return one.Bytes()
}

// appendJSON is for values of which encoding can't fail.
func appendJSON(b []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, text...)
}

// encoders are the room for lines on their way into an outbox, which copies what is short.
type encoders struct{ pool sync.Pool }

func (e *encoders) get() *encoded {
	if x, ok := e.pool.Get().(*encoded); ok {
		return x
	}
	return &encoded{text: make([]byte, 0, 1<<10)}
}

// put takes x back once it has been written, unless some of it was taken over.
func (e *encoders) put(x *encoded) {
	if cap(x.text) < outbox.TakenOver {
		*x = encoded{text: x.text[:0]}
		e.pool.Put(x)
	}
}
