package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
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
		{[]string{"--script=echo.py"}, []int{2, 0}},
		{[]string{"--script=/folder/*"}, []int{2}},
		{[]string{"--script=e*", "--oldest"}, []int{0, 2}},
		{[]string{"--limit=1"}, []int{2}},
		{[]string{"--oldest", "--limit=1"}, []int{0}},
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

func TestAWatchedListHasWhatIsNewHoweverMuchIsKept(t *testing.T) {
	administrator(t)
	for range 3 {
		submitted(t, ipctest.Echo)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	w := watched{make(chan string)}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"tasks", "--watch", "--every=1ms", "--limit=2"}, newTerminal(strings.NewReader(""), w, w))
	}()
	<-w.said
	id := submitted(t, ipctest.Held)
	if next := <-w.said; !strings.Contains(next, id) {
		t.Errorf("%q lacks %s", next, id)
	}
	interrupt()
	for { // it may have more to say
		select {
		case <-w.said:
			continue
		case c := <-code:
			if c != 0 {
				t.Errorf("exit code %d", c)
			}
		}
		break
	}
}

func TestAWatchLooksAtABoundedPartOfTheList(t *testing.T) {
	administrator(t)
	submitted(t, ipctest.Held)
	for range 3 {
		submitted(t, ipctest.Echo)
	}
	c := client.New(os.Getenv("CPULB_SOCKET"))
	defer c.Close()
	l := &tasksCommand{Script: "held.py", Limit: 100}
	for most, want := range map[int]int{3: 0, 5: 1} {
		if all, more, err := l.look(t.Context(), c, api.Filter{}, most); err != nil || len(all) != want || more != (most < 4) {
			t.Errorf("of %d: %v %t %v", most, all, more, err)
		}
	}
}

func TestWhatWaitsEndsWithItsReader(t *testing.T) {
	administrator(t)
	id := submitted(t, ipctest.Held)
	file := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(file, []byte(`{"script_path":"`+ipctest.Held+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"tasks", "--watch"}, {"events", id}, {"logs", "--follow", id}, {"batch", "--wait", file}} {
		reader, stdout, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		code := make(chan int, 1)
		var errs strings.Builder
		go func() { code <- run(t.Context(), args, newTerminal(strings.NewReader(""), stdout, &errs)) }()
		if args[0] == "tasks" || args[0] == "batch" { // the others have nothing to print yet
			if _, err := reader.Read(make([]byte, 1<<16)); err != nil {
				t.Error(err)
			}
		}
		reader.Close()
		if c := <-code; c != exitNoReader || errs.String() != "" {
			t.Errorf("%v: exit code %d, %q", args, c, errs.String())
		}
		stdout.Close()
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
