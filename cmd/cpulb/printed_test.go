package main

import (
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc/ipctest"
)

// output is an output event of an attempt.
func output(attempt int, to task.Stream, offset int64, text string) *task.Event {
	return &task.Event{Kind: task.EventOutput, Cursor: task.Cursor{Attempt: attempt}, Stream: to, Offset: &offset, Text: text}
}

// Whatever is missed, and however often the task is tried: all that the last attempt has printed is shown once.
func TestOutputIsShownOnceAndWhole(t *testing.T) {
	for name, x := range map[string]struct {
		events      []*task.Event
		attempt     int
		out, err    string // of the result
		live, ended string
	}{
		"nothing before the end": {nil, 1, "all\n", "oops\n", "", "all\noops\n"},
		"all of it": {[]*task.Event{output(1, task.Stdout, 0, "a"), output(1, task.Stderr, 0, "b"), output(1, task.Stdout, 1, "c")}, 1,
			"ac", "b", "abc", ""},
		"a part":                      {[]*task.Event{output(1, task.Stdout, 0, "a")}, 1, "abc", "", "a", "bc"},
		"with a gap":                  {[]*task.Event{output(1, task.Stdout, 0, "a"), output(1, task.Stdout, 2, "c"), output(1, task.Stdout, 3, "d")}, 1, "abcd", "", "a", "bcd"},
		"a part twice":                {[]*task.Event{output(1, task.Stdout, 0, "ab"), output(1, task.Stdout, 1, "bc")}, 1, "abcd", "", "abc", "d"},
		"of an attempt before":        {[]*task.Event{output(1, task.Stdout, 0, "first ")}, 2, "second", "", "first ", "second"},
		"of both":                     {[]*task.Event{output(1, task.Stdout, 0, "first "), output(2, task.Stdout, 0, "sec")}, 2, "second", "", "first sec", "ond"},
		"what the result has not":     {[]*task.Event{output(1, task.Stdout, 0, "lies ")}, 1, "truth", "", "lies ", "truth"},
		"a stream of a later version": {[]*task.Event{output(1, "stdlog", 0, "x")}, 1, "a", "", "", "a"},
	} {
		var shown strings.Builder
		p := newPrinted(&shown, &shown)
		for _, ev := range x.events {
			if err := p.show(ev); err != nil {
				t.Fatal(err)
			}
		}
		rest := p.rest(&task.Event{Cursor: task.Cursor{Attempt: x.attempt}, Result: &task.Result{Stdout: x.out, Stderr: x.err}})
		if got := rest.Stdout + rest.Stderr; shown.String() != x.live || got != x.ended {
			t.Errorf("%s: %q, and at the end %q", name, shown.String(), got)
		}
	}
}

func TestWhatATaskPrintsIsFollowedAndShownOnce(t *testing.T) {
	engine := administrator(t)
	id := submitted(t, ipctest.Held)
	of := engine.Last().ID
	engine.Tell(of, *output(1, task.Stdout, 0, "step 1"))
	engine.Tell(of, task.Event{Kind: task.EventLog, Level: "info", Message: "begun"})
	if got := cpulb(t.Context(), "", "logs", id); got.stdout != "step 1\ninfo: begun\n" || !strings.Contains(got.err, "--follow") {
		t.Errorf("while it runs: %+v", got)
	}
	if got := cpulb(t.Context(), "", "events", "--no-wait", id); !strings.Contains(got.stdout, `"stream":"stdout","text":"step 1","offset":0}`) {
		t.Errorf("its events: %+v", got)
	}
	ended := make(chan outcome, 1)
	go func() { ended <- cpulb(t.Context(), "", "logs", "--follow", id) }()
	engine.End(of, task.Result{Status: task.Completed, Data: []byte("1"), Stdout: "step 1, 2\n", Stderr: "err\n"})
	if got, want := <-ended, (outcome{0, "step 1\ninfo: begun\n, 2\n", "err\n"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := cpulb(t.Context(), "", "logs", "--json", id); got.code != 0 || strings.Count(got.stdout, "\n") != 2 {
		t.Errorf("%+v", got)
	}
}
