package exec

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/program"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

func TestAWorkerWithProcessesThatCannotBeEndedIsSpent(t *testing.T) {
	for _, c := range []struct {
		end   answer
		spent bool
	}{
		{answer{what: saysEnded}, false},
		{answer{what: saysEnded, left: 1}, true},
		{answer{what: saysRefused, status: int64(unix.EAGAIN), stage: atFork, left: 1}, true},
	} {
		var log bytes.Buffer
		e := &Executor{conf: plugins.Configuration{Log: hclog.New(&hclog.LoggerOptions{Output: &log})}}
		r := &run{slot: &slot{executor: e}, task: &plugins.Task{ID: "task-1"}, order: &order{}, end: c.end,
			output: program.NewOutput(program.Auto, 1, 1, nil), errors: program.NewHead(1), events: program.NewEvents(nil)}
		o := r.outcome(nil, 0)
		if o.Spent != c.spent || strings.Contains(log.String(), "task-1") != c.spent {
			t.Errorf("%+v: spent %v, log %q", c.end, o.Spent, &log)
		}
		if c.end.what == saysEnded && o.Status != task.Completed {
			t.Errorf("%+v: %s", c.end, o.Status)
		}
	}
}

func TestWhatATimedOutProgramHasPrintedStays(t *testing.T) {
	for reason, want := range map[plugins.StopReason]struct {
		status       task.Status
		stdout, data string
	}{plugins.StopTimedOut: {task.TimedOut, "cleaned\n", ""}, plugins.StopCancelled: {task.Completed, "", `"cleaned"`}} {
		r := &run{slot: &slot{executor: &Executor{}}, task: &plugins.Task{}, order: &order{}, end: answer{what: saysEnded},
			output: program.NewOutput(program.Auto, 100, 100, nil), errors: program.NewHead(100), events: program.NewEvents(nil)}
		if _, err := r.output.Write([]byte("cleaned\n")); err != nil {
			t.Fatal(err)
		}
		if o := r.outcome(nil, reason); o.Status != want.status || o.Stdout != want.stdout || string(o.Data) != want.data {
			t.Errorf("reason %v: %s %q %s", reason, o.Status, o.Stdout, o.Data)
		}
	}
}

// The kernel leaves out the descriptors for which a process has no room.
func TestAnOrderWithoutItsDescriptorsIsRefused(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "order")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write((&order{path: "/bin/true", byScriptFD: true}).encode()); err != nil {
		t.Fatal(err)
	}
	fds := []int{int(f.Fd()), -1, -1, -1, -1, -1}
	for count := range len(fds) {
		if _, err := orderOf(fds[:count]); !errors.Is(err, unix.EMFILE) {
			t.Errorf("with %d descriptors: %v", count, err)
		}
	}
	if o, err := orderOf(fds); err != nil || o.path != "/bin/true" {
		t.Errorf("with all: %+v %v", o, err)
	}
}
