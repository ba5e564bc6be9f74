package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"cpulb/daemon/task"
)

// endless is a line without an end, of which a reader may have so much.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left -= len(p); e.left < 0 {
		return 0, errors.New("too much was read")
	}
	return len(p), nil
}

func TestALineWithoutEndIsRefused(t *testing.T) {
	in := newMapInput(&endless{left: 1 << 20})
	in.most = 100 << 10
	text, err := in.next()
	if err != nil || in.line != 1 {
		t.Fatal(in.line, err)
	}
	if bad := in.badParams(text); bad == nil || bad.Code != tooLarge {
		t.Errorf("%+v", bad)
	}
}

func TestParamsAndBatchesWithoutEndAreRefused(t *testing.T) {
	if _, err := readAll(&endless{left: 1 << 20}, 1000); err == nil || !strings.Contains(err.Error(), "longer than 1000 bytes") {
		t.Error(err)
	}
	if text, err := readAll(strings.NewReader("12345"), 5); string(text) != "12345" || err != nil {
		t.Errorf("%s %v", text, err)
	}
}

func TestWhatFollowsALineThatIsTooLongIsRead(t *testing.T) {
	for name, last := range map[string]string{"one of the greatest length": "[" + strings.Repeat("1", 100<<10-2) + "]", "a short one": "2"} {
		for _, end := range []string{"", "\n"} {
			in := newMapInput(strings.NewReader("1" + strings.Repeat(" ", 300<<10) + "1\n\n" + last + end))
			in.most = 100 << 10
			if text, err := in.next(); err != nil || in.badParams(text) == nil {
				t.Errorf("%s: the long line: %d bytes, %v", name, len(text), err)
			}
			if text, err := in.next(); err != nil || string(text) != last || in.badParams(text) != nil || in.line != 3 {
				t.Errorf("%s and %q: line %d: %d bytes, %v", name, end, in.line, len(text), err)
			}
			if _, err := in.next(); !errors.Is(err, io.EOF) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// Lines that are no tasks are none of those that Map has in flight.
func TestNoMoreLinesAreReadThanThereIsRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		term := newTerminal(strings.NewReader("1\n"+strings.Repeat("garbage\n", 100)), &out, io.Discard)
		m := &mapCommand{InFlight: 4, KeepGoing: true}
		r := m.mapper(term, nil, &task.Task{Function: "main"}, &mapOutput{out: &out, run: newMapRun()})
		r.bar = term.bar()
		defer r.bar.end()
		go r.tasks(func(*task.Task) bool { return true })
		synctest.Wait()
		if first := r.first(); len(r.waiting) != 4 || r.in.line != 5 {
			t.Errorf("%d lines wait, %d have been read", len(r.waiting), r.in.line)
		} else {
			r.mu.Lock()
			first.record = &mapRecord{Line: 1, Status: task.Completed.String()}
			_ = r.writeLocked()
			r.mu.Unlock()
		}
		synctest.Wait()
		if got := strings.Count(out.String(), "\n"); got != 101 {
			t.Errorf("%d of 101 were written", got)
		}
		close(r.over)
	})
}
