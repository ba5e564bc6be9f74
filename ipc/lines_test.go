package ipc

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/iotest"

	"cpulb/daemon/task"
)

// FuzzLines holds the reader to its promise: every line within the limit comes
// whole and with its number, every one over it is reported once, whatever the
// pieces in which the bytes arrive.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "\n", "{}\n", "a\nb\n\nc\n", "0123456789012345678901234567890123456789\nx\n", "cut"} {
		f.Add([]byte(seed), uint8(20))
	}
	f.Fuzz(func(t *testing.T, text []byte, limit uint8) {
		in := &lines{r: bufio.NewReaderSize(iotest.HalfReader(bytes.NewReader(text)), 16), limit: int64(limit)}
		parts := bytes.Split(text, []byte("\n"))
		for i, want := range parts[:len(parts)-1] { // the last has no newline
			long, blank := len(want) > int(limit), len(bytes.TrimSpace(want)) == 0
			if blank && !long {
				continue
			}
			got, err := in.next()
			if in.number != i+1 || tooLong(err) != long || (!long && (err != nil || !bytes.Equal(got, bytes.TrimSpace(want)))) {
				t.Fatalf("line %d of %q (limit %d): got %q as %d, %v", i+1, text, limit, got, in.number, err)
			}
		}
		if got, err := in.next(); !errors.Is(err, io.EOF) {
			t.Fatalf("after the last line: %q %v", got, err)
		}
	})
}

// FuzzCommand: any line is a command that can be carried out or a problem of the
// client's making, and what is said of it is valid JSON.
func FuzzCommand(f *testing.F) {
	for _, seed := range []string{`{"op":"submit","task":{"script_path":"/x.py"}}`, `{"op":"cancel","task_id":"x"}`, `{"op":"submit","task":[]}`,
		`{"op":7}`, `[]`, `{} {}`, "\xff", `{"op":"submit","task":{"task_id":7}}`, `{"op":"submit","task":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := decodeCommand(text)
		if err == nil && c.Op == opSubmit {
			_, err = task.Decode(c.Task)
		}
		id := c.namedID()
		if err == nil {
			return
		}
		p := problemFor(err)
		if p.Status != 400 || p.Detail == "" {
			t.Fatalf("%q: %+v", text, p)
		}
		if line, err := json.Marshal([]any{id, p}); err != nil || !json.Valid(line) {
			t.Fatalf("%q: %s %v", text, line, err)
		}
	})
}

// The short cut for the most frequent line must not change what a line means.
func FuzzPlainSubmit(f *testing.F) {
	for _, seed := range []string{`{"script_path":"/x.py"}`, `{}}`, `{},"events":true`, `{"script_path":"/x.py"},"op":"cancel"`, ` [1] `, ``, `{"a":{}},"task":{}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, inner []byte) {
		for _, prefix := range []string{`{"op":"submit","task":`, `{"op": "submit", "task": `, `{"op":"submit","ack":false,"task":`} {
			line := bytes.Join([][]byte{[]byte(prefix), inner, []byte("}")}, nil)
			short, ok := plainSubmit(line)
			if !ok {
				t.Fatalf("%q is not taken apart", line)
			}
			if _, err := task.Decode(short.Task); err != nil {
				continue // the general decoder has the line
			}
			long, err := decodeCommand(line)
			if err != nil || long.Op != short.Op || long.Events != short.Events || !reflect.DeepEqual(long.Ack, short.Ack) ||
				!bytes.Equal(bytes.TrimSpace(short.Task), bytes.TrimSpace(long.Task)) {
				t.Fatalf("%q: %+v, decoded %+v %v", line, short, long, err)
			}
		}
	})
}
