package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// fifo makes a named pipe: opening it for reading waits until a script opens it
// for writing, and the other way round.
func fifo(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// longTask is a task that runs until the test lets it end.
type longTask struct{ gate string }

// startLongTask returns when the task's script runs.
func startLongTask(t *testing.T, dir string, p *daemonProcess) *longTask {
	t.Helper()
	started, gate := fifo(t, dir, "started"), fifo(t, dir, "gate")
	script := writeFile(t, filepath.Join(dir, "long.py"),
		"def main(params):\n    open(params['started'], 'w').close()\n    open(params['gate']).close()\n", 0o644)
	body, err := json.Marshal(map[string]any{"script_path": script, "params": map[string]string{"started": started, "gate": gate}})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.request("POST", "/v1/tasks", string(body)); got != 202 {
		t.Fatalf("the task was answered with %d", got)
	}
	f, err := os.Open(started)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return &longTask{gate: gate}
}

func (l *longTask) end(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(l.gate, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestStopLeavesNothing(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			dir := shortDir(t)
			p := launch(t, dir, onePool).ready()
			p.signal(s)
			if status, log := p.exit(); status != 0 {
				t.Errorf("status %d:\n%s", status, log)
			}
			assertNothingIn(t, dir)
		})
	}
}

// A program that dies, however it dies, takes the daemon that it started along.
func TestDaemonUntilEOFEndsWithWhoeverHoldsItsStdin(t *testing.T) {
	dir := shortDir(t)
	theirs, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	p := launchFrom(t, theirs, dir, onePool, "-until-eof").ready()
	if _, err := ours.WriteString("what is written does not matter\n"); err != nil {
		t.Fatal(err)
	}
	if got := p.get("/readyz"); got != 200 {
		t.Errorf("it answers %d", got)
	}
	ours.Close()
	if status, log := p.exit(); status != 0 {
		t.Errorf("status %d:\n%s", status, log)
	}
	assertNothingIn(t, dir)
}

func TestStdinThatEndsIsNothingToAnyOtherDaemon(t *testing.T) {
	p := launch(t, shortDir(t), onePool).ready() // its stdin is /dev/null
	if got := p.get("/readyz"); got != 200 {
		t.Errorf("it answers %d", got)
	}
}

func TestRunningTaskMayEndWhileTheDaemonStops(t *testing.T) {
	dir := shortDir(t)
	p := launch(t, dir, onePool+"limits {\n  drain_timeout = \"1h\"\n}\n").ready()
	task := startLongTask(t, dir, p)
	p.signal(syscall.SIGTERM)
	p.await("cpulbd: stopping:")
	task.end(t)
	if status, log := p.exit(); status != 0 {
		t.Errorf("status %d:\n%s", status, log)
	}
	assertNothingIn(t, dir)
}

func TestSecondSignalCutsTheWaitingShort(t *testing.T) {
	dir := shortDir(t)
	p := launch(t, dir, onePool+"limits {\n  drain_timeout = \"1h\"\n}\n").ready()
	startLongTask(t, dir, p)
	p.signal(syscall.SIGTERM)
	p.await("cpulbd: stopping:")
	p.signal(syscall.SIGTERM)
	if status, log := p.exit(); status != 0 {
		t.Errorf("status %d:\n%s", status, log)
	}
	assertNothingIn(t, dir)
}

func TestDrainTimeoutEndsAStopThatATaskWouldHoldUp(t *testing.T) {
	dir := shortDir(t)
	p := launch(t, dir, onePool+"limits {\n  drain_timeout = \"10ms\"\n}\n").ready()
	startLongTask(t, dir, p)
	p.signal(syscall.SIGTERM)
	if status, log := p.exit(); status != 0 {
		t.Errorf("status %d:\n%s", status, log)
	}
	assertNothingIn(t, dir)
}

func TestStopDuringTheStartLeavesNothing(t *testing.T) {
	dir := shortDir(t)
	started := fifo(t, dir, "started")
	hangs := writeFile(t, filepath.Join(dir, "hangs"), "#!/bin/sh\necho $$ >"+started+"\nexec /bin/sleep 1000\n", 0o755)
	p := launch(t, dir, executor(hangs)+"limits {\n  start_timeout = \"1h\"\n}\n")
	text, err := os.ReadFile(started)
	if err != nil {
		t.Fatal(err)
	}
	worker, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	wait := watchEnd(t, worker)
	p.signal(syscall.SIGTERM)
	if status, log := p.exit(); status != 0 {
		t.Errorf("status %d:\n%s", status, log)
	}
	wait()
	assertNothingIn(t, dir)
}

func TestWorkersOfAKilledDaemonEndAndTheNextStartCleansUp(t *testing.T) {
	dir := shortDir(t)
	first := launch(t, dir, onePool).ready()
	var ends []func()
	for _, pid := range processesOf(t, programs) {
		ends = append(ends, watchEnd(t, pid))
	}
	if len(ends) < 2 {
		t.Fatalf("%d processes: no worker was found", len(ends))
	}
	first.signal(syscall.SIGKILL)
	for _, wait := range ends {
		wait()
	}
	second := launch(t, dir, onePool).ready()
	second.signal(syscall.SIGTERM)
	if status, log := second.exit(); status != 0 {
		t.Errorf("status %d:\n%s", status, log)
	}
	assertNothingIn(t, dir)
}
