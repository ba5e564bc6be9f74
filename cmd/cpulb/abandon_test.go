package main

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

// The daemon is away when Ctrl-C comes, and does not come back in time.
func TestWhatCouldNotBeCancelledIsSaidWithTheCommandThatDoesIt(t *testing.T) {
	engine := ipctest.New()
	socket, server := ipctest.Serve(t, engine, ipc.Options{})
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ran, mapped := make(chan outcome, 1), make(chan outcome, 1)
	go func() { ran <- cpulb(ctx, "", "--socket", socket, "--patience=2s", "run", ipctest.Held) }()
	go func() { mapped <- cpulb(ctx, "1\n", "--socket", socket, "--patience=2s", "map", ipctest.Held) }()
	if err := engine.AwaitTasks(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	_ = server.Shutdown(cut)
	interrupt()
	for name, c := range map[string]struct {
		ended <-chan outcome
		want  string
	}{"run": {ran, "cpulb cancel "}, "map": {mapped, "cpulb cancel --label cpulb.map="}} {
		got := <-c.ended
		if got.code != 1 || !strings.Contains(got.err, "could not be cancelled") || !strings.Contains(got.err, c.want) || strings.Contains(got.err, "is being cancelled") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// They have the same label: a map may have been resumed while the one before still runs.
func TestAMapThatIsLeftCancelsNoTasksOfAnother(t *testing.T) {
	administrator(t)
	c := client.New(os.Getenv("CPULB_SOCKET"))
	defer c.Close()
	run := newMapRun()
	var tasks []*task.Task
	for line := range 2 {
		x, err := client.NewTask(ipctest.Held, nil)
		if err != nil {
			t.Fatal(err)
		}
		x.ID, x.Labels = run.id(line+1, 0, [3]byte{}), map[string]string{mapLabel: run.String()}
		if _, err := c.Submit(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, x)
	}
	var said strings.Builder
	m := &mapCommand{InFlight: 1}
	r := m.mapper(newTerminal(strings.NewReader(""), io.Discard, &said), c, tasks[0], &mapOutput{run: run})
	r.why, r.waiting = errFailed, []*mapLine{{number: 1, task: tasks[0]}}
	r.leftBehind(t.Context())
	if running := ids(t, task.Running); len(running) != 1 || running[0] != tasks[1].ID || said.Len() > 0 {
		t.Errorf("%v run, %q", running, said.String())
	}
}
