package ipc

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"cpulb/daemon/task"
)

// plainBytes is the size up to which data is copied while it is checked; larger
// data is checked in place and handed on as it is.
const plainBytes = 16 << 10

// encodeResult appends r to head as one line of JSON, without its newline, in
// three pieces to be written one after the other. Data passes through as the
// script's worker wrote it; a large piece is r's own and must not be changed.
func encodeResult(head []byte, r *task.Result) (_, data, tail []byte) {
	data, ok := rawLine(r.Data)
	status, problem := r.Status, r.Error
	if !ok {
		// An executor broke its contract. Its text would break the line, too.
		data, status = []byte("null"), task.Failed
		problem = &task.Error{Type: "ExecutorError", Code: "bad_return_value", Message: "the executor returned data that is not JSON"}
	}
	head = append(head, `{"task_id":`...)
	head = appendID(head, r.ID)
	head = append(head, `,"status":"`...)
	head = append(head, status.String()...)
	head = append(head, `","data":`...)
	tail = make([]byte, 0, 512)
	tail = append(tail, `,"error":`...)
	tail = appendJSON(tail, problem)
	tail = append(tail, `,"stdout":`...)
	tail = appendString(tail, r.Stdout)
	tail = append(tail, `,"stderr":`...)
	tail = appendString(tail, r.Stderr)
	tail = append(tail, `,"truncated":`...)
	tail = strconv.AppendBool(tail, r.Truncated)
	tail = append(tail, `,"attempts":`...)
	tail = strconv.AppendInt(tail, int64(r.Attempts), 10)
	tail = append(tail, `,"worker":`...)
	tail = appendJSON(tail, r.Worker)
	return head, data, append(appendTimes(tail, r), '}')
}

func appendTimes(b []byte, r *task.Result) []byte {
	b = append(b, `,"submitted_at":`...)
	b = appendTime(b, r.SubmittedAt)
	b = append(b, `,"started_at":`...)
	if r.StartedAt == nil {
		b = append(b, "null"...)
	} else {
		b = appendTime(b, *r.StartedAt)
	}
	b = append(b, `,"finished_at":`...)
	b = appendTime(b, r.FinishedAt)
	b = append(b, `,"queue_seconds":`...)
	b = strconv.AppendFloat(b, r.QueueSeconds, 'f', -1, 64)
	b = append(b, `,"run_seconds":`...)
	b = strconv.AppendFloat(b, r.RunSeconds, 'f', -1, 64)
	b = append(b, `,"cpu_seconds":`...)
	b = strconv.AppendFloat(b, r.CPUSeconds, 'f', -1, 64)
	b = append(b, `,"lock_seconds":`...)
	return strconv.AppendFloat(b, r.LockSeconds, 'f', -1, 64)
}

// encodeEvent returns ev as one line with its newline, in pieces as encodeResult.
func encodeEvent(ev *task.Event) [][]byte {
	if ev.Kind != task.EventResult && ev.Kind != task.EventPartial {
		return [][]byte{append(appendJSON(nil, ev), '\n')}
	}
	head := append(make([]byte, 0, 256), `{"event":"`...)
	head = append(head, ev.Kind...)
	head = append(head, `","task_id":`...)
	head = appendID(head, ev.ID)
	head = append(head, `,"cursor":"`...)
	head = strconv.AppendInt(head, int64(ev.Cursor.Attempt), 10)
	head = append(head, '.')
	head = strconv.AppendUint(head, ev.Cursor.Seq, 10)
	if ev.Kind == task.EventResult {
		head, data, tail := encodeResult(append(head, `","result":`...), ev.Result)
		return [][]byte{head, data, append(tail, "}\n"...)}
	}
	value, ok := rawLine(ev.Value)
	if !ok {
		value = []byte("null")
	}
	return [][]byte{append(head, `","value":`...), value, []byte("}\n")}
}

// encodeAccepted returns the line that says that a task has been accepted. Where
// its idempotency_key makes it another one, it is id, and was sent as sent.
func encodeAccepted(id, sent task.ID, status task.Status) []byte {
	b := append(make([]byte, 0, 128), `{"event":"accepted","task_id":`...)
	b = appendID(b, id)
	if id != sent {
		b = appendID(append(b, `,"sent_as":`...), sent)
	}
	b = append(b, `,"status":"`...)
	b = append(b, status.String()...)
	return append(b, "\"}\n"...)
}

// rawLine returns text, which somebody else wrote, as JSON without a newline;
// false when it is not JSON. Absent text is null.
func rawLine(text json.RawMessage) ([]byte, bool) {
	if len(text) == 0 {
		return []byte("null"), true
	}
	if len(text) > plainBytes && json.Valid(text) && bytes.IndexByte(text, '\n') < 0 {
		return text, true
	}
	var line bytes.Buffer
	line.Grow(len(text))
	err := json.Compact(&line, text)
	return line.Bytes(), err == nil
}

func appendID(b []byte, id task.ID) []byte {
	text, _ := id.MarshalText() // has no error to return
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// appendTime writes t as encoding/json does.
func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

func appendString(b []byte, s string) []byte {
	if s == "" {
		return append(b, `""`...)
	}
	return appendJSON(b, s)
}

// appendJSON is for values of which encoding can't fail.
func appendJSON(b []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, text...)
}
