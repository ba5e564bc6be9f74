package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc/ipctest"
)

// submitted submits a script and returns the task's id.
func submitted(t *testing.T, script string, args ...string) string {
	t.Helper()
	got := cpulb(t.Context(), "", append([]string{"submit", script}, args...)...)
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	return strings.TrimSpace(got.stdout)
}

func TestTasksAreSelectedByWhatTheDaemonDoesNotTellApart(t *testing.T) {
	administrator(t)
	sent := []string{submitted(t, ipctest.Echo), submitted(t, ipctest.Held), submitted(t, "/folder/echo.py")}
	for _, c := range []struct {
		args []string
		want []int
	}{
		{[]string{"--script=echo.py"}, []int{0, 2}},
		{[]string{"--script=/folder/*"}, []int{2}},
		{[]string{"--script=e*", "--newest"}, []int{2, 0}},
		{[]string{"--newest", "--limit=1"}, []int{2}},
		{[]string{"--pool=cpu", "--status=running"}, []int{1}},
		{[]string{"--pool=io"}, nil},
	} {
		got := cpulb(t.Context(), "", append([]string{"tasks", "--json"}, c.args...)...)
		var all []int
		for line := range strings.Lines(got.stdout) {
			var v task.View
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			all = append(all, slices.Index(sent, v.ID.String()))
		}
		if got.code != 0 || !slices.Equal(all, c.want) {
			t.Errorf("%v: %v %+v", c.args, all, got)
		}
	}
	for _, args := range [][]string{{"--script=["}, {"--since=-1s"}, {"--limit=-1"}, {"--watch", "--every=0s"}} {
		if got := cpulb(t.Context(), "", append([]string{"tasks"}, args...)...); got.code != 2 || got.err == "" {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

// watched is a writer that passes on when something was written.
type watched struct{ said chan string }

func (w watched) Write(text []byte) (int, error) {
	w.said <- string(text)
	return len(text), nil
}

func TestAWatchedListTellsEachChangeOnce(t *testing.T) {
	engine := administrator(t)
	id := submitted(t, ipctest.Held)
	ctx, interrupt := context.WithCancel(t.Context())
	w := watched{make(chan string)}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"tasks", "--watch", "--every=1ms", "--json"}, newTerminal(strings.NewReader(""), w, w))
	}()
	if first := <-w.said; !strings.Contains(first, id) || !strings.Contains(first, `"running"`) {
		t.Fatalf("%q", first)
	}
	engine.End(engine.Last().ID, task.Result{Status: task.Completed})
	if second := <-w.said; !strings.Contains(second, id) || !strings.Contains(second, `"completed"`) {
		t.Fatalf("%q", second)
	}
	interrupt()
	if c := <-code; c != 0 {
		t.Errorf("exit code %d", c)
	}
}

func TestATerminalThatWatchesHasTheListAndThenWhatItHadBefore(t *testing.T) {
	administrator(t)
	submitted(t, ipctest.Raises)
	ctx, interrupt := context.WithCancel(t.Context())
	tty, shown := terminalPair(t)
	interrupt() // it shows what there is, and ends
	code := run(ctx, []string{"tasks", "--watch"}, newTerminal(strings.NewReader(""), tty, tty))
	if text := shown(); code != 0 || !strings.HasPrefix(text, ownScreen) || !strings.HasSuffix(text, formerScreen) {
		t.Errorf("%d %q", code, text)
	}
}

func TestColoursAreForTerminalsAlone(t *testing.T) {
	administrator(t)
	submitted(t, ipctest.Raises)
	if got := cpulb(t.Context(), "", "tasks"); strings.Contains(got.stdout, "\x1b") {
		t.Errorf("to a program: %q", got.stdout)
	}
	for _, c := range []struct {
		name, value string
		coloured    bool
	}{{"NO_COLOR", "", true}, {"NO_COLOR", "1", false}, {"TERM", "dumb", false}} {
		t.Run(fmt.Sprint(c.name, "=", c.value), func(t *testing.T) {
			t.Setenv("NO_COLOR", "")
			t.Setenv("TERM", "xterm")
			t.Setenv(c.name, c.value)
			tty, shown := terminalPair(t)
			run(t.Context(), []string{"tasks"}, newTerminal(strings.NewReader(""), tty, tty))
			if text := shown(); strings.Contains(text, "\x1b[31m") != c.coloured || !strings.Contains(text, "raises.py") {
				t.Errorf("%q", text)
			}
		})
	}
}

func TestSeveralTasksAreCancelledAlthoughOneIsNotThere(t *testing.T) {
	administrator(t)
	first, second := submitted(t, ipctest.Held), submitted(t, ipctest.Held)
	got := cpulb(t.Context(), "", "cancel", first, task.NewID().String(), second)
	if got.code != 1 || strings.Count(got.err, "[task_not_found]") != 1 {
		t.Errorf("%+v", got)
	}
	if got := cpulb(t.Context(), "", "tasks", "--status=cancelled", "--json"); strings.Count(got.stdout, "\n") != 2 {
		t.Errorf("%+v", got)
	}
}
