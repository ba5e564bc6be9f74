package task

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Answer is one line that the daemon sends on a stream: the counterpart of Command. Only
// the fields of its event are set.
type Answer struct {
	// Event is "accepted", "rejected", "goaway", or the kind of an Event.
	Event string
	ID    ID
	// SentAs is the id that an accepted task was sent with, where that is another one.
	SentAs ID
	// Line is the number of the line that was rejected, and Problem says why, as JSON.
	Line    int
	Problem json.RawMessage
	Result  *Result
	// Reason is why the daemon will end the connection.
	Reason string
}

// Answers reads what the daemon answers. Null counts as absent, and names that it does not
// know, which a newer daemon may send, are passed over. It is for one goroutine at a time;
// the zero value is ready.
type Answers struct {
	// workers are those that Results came from, by their JSON: few, and named in each.
	workers map[string]Worker
}

// maxWorkers bounds how many workers are remembered.
const maxWorkers = 256

// Answer reads one line of a stream. Given: the text is the Answer's from now on, which may
// keep parts of it; else it is copied.
func (a *Answers) Answer(text []byte, given bool) (Answer, error) {
	r := answerReader{scanner{text: text}, a, given}
	var x Answer
	err := r.fields(func(name []byte) error { return r.answer(name, &x) })
	if err == nil {
		err = r.ended()
	}
	return x, err
}

// Result reads a Result. The text is not kept.
func (a *Answers) Result(text []byte) (*Result, error) {
	r := answerReader{scanner{text: text}, a, false}
	x, err := r.wholeResult()
	if err == nil {
		err = r.ended()
	}
	return x, err
}

// room is a Result with what nearly all have, in one piece of memory.
type room struct {
	Result
	started time.Time
	worker  Worker
}

type answerReader struct {
	scanner
	from  *Answers
	given bool
}

// fields reads an object and calls field for each name, which must read the value. Nulls
// are left out, but for data, where it is a value.
func (r *answerReader) fields(field func(name []byte) error) error {
	return r.members(func(name []byte) error {
		if r.peek() == 'n' && string(name) != "data" {
			return r.word("null")
		}
		return field(name)
	})
}

func (r *answerReader) answer(name []byte, x *Answer) (err error) {
	switch string(name) {
	case "event":
		x.Event, err = r.event()
	case "task_id":
		err = r.id(&x.ID)
	case "sent_as":
		err = r.id(&x.SentAs)
	case "line":
		x.Line, err = readWhole(&r.scanner, "line")
	case "problem":
		x.Problem, err = r.raw()
	case "result":
		x.Result, err = r.wholeResult()
	case "reason":
		x.Reason, err = r.words()
	default:
		err = r.skip(maxDepth)
	}
	return err
}

func (r *answerReader) wholeResult() (*Result, error) {
	var x room
	err := r.fields(func(name []byte) error { return r.result(name, &x) })
	return &x.Result, err
}

func (r *answerReader) result(name []byte, x *room) (err error) {
	switch string(name) {
	case "task_id":
		err = r.id(&x.ID)
	case "status":
		err = r.decode(x.Status.UnmarshalText)
	case "data":
		x.Data, err = r.raw()
	case "error":
		x.Error = &Error{}
		err = r.fields(func(name []byte) error { return r.failure(name, x.Error) })
	case "stdout":
		x.Stdout, err = r.words()
	case "stderr":
		x.Stderr, err = r.words()
	case "truncated":
		x.Truncated = r.peek() == 't'
		err = r.skip(maxDepth)
	case "attempts":
		x.Attempts, err = readWhole(&r.scanner, "attempts")
	case "worker":
		x.Worker = &x.worker
		x.worker, err = r.where()
	default:
		err = r.time(name, x)
	}
	return err
}

// time reads what is about time.
func (r *answerReader) time(name []byte, x *room) (err error) {
	switch string(name) {
	case "submitted_at":
		err = r.decode(x.SubmittedAt.UnmarshalText)
	case "started_at":
		x.StartedAt = &x.started
		err = r.decode(x.started.UnmarshalText)
	case "finished_at":
		err = r.decode(x.FinishedAt.UnmarshalText)
	case "queue_seconds":
		x.QueueSeconds, err = r.seconds()
	case "run_seconds":
		x.RunSeconds, err = r.seconds()
	case "cpu_seconds":
		x.CPUSeconds, err = r.seconds()
	case "lock_seconds":
		x.LockSeconds, err = r.seconds()
	default:
		err = r.skip(maxDepth)
	}
	return err
}

func (r *answerReader) failure(name []byte, x *Error) (err error) {
	switch string(name) {
	case "type":
		x.Type, err = r.words()
	case "message":
		x.Message, err = r.words()
	case "traceback":
		x.Traceback, err = r.words()
	case "code":
		x.Code, err = r.words()
	case "exit_code":
		x.ExitCode, err = readWhole(&r.scanner, "exit_code")
	default:
		err = r.skip(maxDepth)
	}
	return err
}

func (r *answerReader) id(id *ID) error {
	return r.decode(func(text []byte) (err error) {
		*id, err = parseID(text)
		return err
	})
}

// event reads the name of an event; nearly all are results.
func (r *answerReader) event() (string, error) {
	v, err := readQuoted(&r.scanner, "event")
	if string(v) == string(EventResult) {
		return string(EventResult), err
	}
	return string(v), err
}

// where reads a Worker, whose texts are shared with the Results before.
func (r *answerReader) where() (w Worker, err error) {
	text, err := r.value()
	if err != nil {
		return w, err
	}
	w, known := r.from.workers[string(text)]
	if known {
		return w, nil
	}
	if err := json.Unmarshal(text, &w); err != nil {
		return w, err
	}
	if r.from.workers == nil || len(r.from.workers) == maxWorkers {
		r.from.workers = map[string]Worker{}
	}
	r.from.workers[string(text)] = w
	return w, nil
}

func (r *answerReader) raw() (json.RawMessage, error) {
	v, err := r.value()
	if r.given {
		return v[:len(v):len(v)], err
	}
	return bytes.Clone(v), err
}

// words reads a string. What is not Unicode in it is replaced, as encoding/json does.
func (r *answerReader) words() (string, error) {
	if r.peek() != '"' {
		return "", r.wrongKind("body", "a string")
	}
	v, err := r.str()
	return strings.ToValidUTF8(string(v), "\uFFFD"), err
}

// decode reads a string that set decodes and does not keep.
func (r *answerReader) decode(set func([]byte) error) error {
	v, err := readQuoted(&r.scanner, "body")
	if err == nil {
		err = set(v)
	}
	return err
}

func (r *answerReader) seconds() (float64, error) {
	v, err := r.value()
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(string(v), 64)
}
