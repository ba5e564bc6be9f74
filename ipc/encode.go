package ipc

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"cpulb/daemon/task"
)

// encodeResult appends r to head as one line of JSON, without its newline, in
// three pieces to be written one after the other. Data passes through as it is: it
// is r's own and must not be changed.
func encodeResult(head []byte, r *task.Result) (_, data, tail []byte) {
	head = append(head, `{"task_id":`...)
	head = appendID(head, r.ID)
	head = append(head, `,"status":"`...)
	head = append(head, r.Status.String()...)
	head = append(head, `","data":`...)
	tail = make([]byte, 0, 512)
	tail = append(tail, `,"error":`...)
	tail = appendJSON(tail, r.Error)
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
	return head, line(r.Data), append(appendTimes(tail, r), '}')
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
	return [][]byte{append(head, `","value":`...), line(ev.Value), []byte("}\n")}
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
