package exec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// running lists the processes that run this file, or have it among their arguments; zombies have none.
func running(t *testing.T, file string) (pids []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), file) {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

// zombies counts the children of a process's children that wait for their parents.
func zombies(t *testing.T, worker int) (count int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	parents, ended := map[int]int{}, []int{}
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if parents[pid], _ = strconv.Atoi(fields[1]); fields[0] == "Z" {
			ended = append(ended, pid)
		}
	}
	for _, pid := range ended {
		if parents[pid] == worker || parents[parents[pid]] == worker {
			count++
		}
	}
	return count
}

// What is left is looked for right when the Result is there.
func TestNothingOfATaskIsLeft(t *testing.T) {
	t.Parallel()
	w := start(t)
	dir := w.folder()
	stays := write(t, dir, "stays", "#!/bin/sh\ntrap '' TERM HUP\n[ \"$1\" ] && : > \"$1\"\nwhile :; do sleep 1000; done\n")
	for name, text := range map[string]string{
		"in the background":      "%[1]s %[2]s &",
		"with the output":        "%[1]s %[2]s & exec 2>&-",
		"in another session":     "setsid %[1]s %[2]s >/dev/null 2>&1 &",
		"without a parent":       "(setsid %[1]s %[2]s & ) &",
		"without an environment": "(env -i /usr/bin/setsid %[1]s %[2]s & ) &",
		"stopped":                "%[1]s %[2]s & p=$!; while [ ! -e %[2]s ]; do sleep 0.01; done; kill -STOP $p",
		"with others":            "for i in 1 2 3 4 5 6 7 8; do setsid %[1]s %[2]s & done",
		"forking on and on":      "%[1]s %[2]s & setsid sh -c 'f() { (setsid true; f) & }; f; f; f; f' &",
		"forking":                "setsid sh -c 'while :; do setsid %[1]s %[2]s & sleep 0.01; done' &",
	} {
		begun := filepath.Join(dir, fmt.Sprintf("begun-%d", w.seq))
		o := w.run(fmt.Sprintf(text+"\nwhile [ ! -e %[2]s ]; do sleep 0.01; done; echo 1", stays, begun))
		if left := running(t, dir); len(left) > 0 || string(o.Data) != "1" {
			t.Errorf("%s: %q are left; %s %s %+v", name, left, o.Status, o.Data, o.Error)
		}
	}
	if n := zombies(t, w.PID()); n > 0 {
		t.Errorf("%d zombies are left", n)
	}
}

func TestAStopTakesTheLadder(t *testing.T) {
	t.Parallel()
	hasty, patient := start(t, "kill_grace", "100ms"), start(t, "kill_grace", "1.5s")
	for name, c := range map[string]struct {
		text   string
		within time.Duration // 0: it is cancelled once it has begun
		status task.Status
		stdout string
	}{
		"one that cleans up":              {"trap 'echo bye; exit 1' TERM\necho hi; : > %s; while :; do sleep 0.01; done", 0, task.Cancelled, "hi\nbye\n"},
		"one that completes all the same": {"trap 'echo 1; exit 0' TERM\n: > %s; while :; do sleep 0.01; done", 0, task.Completed, ""},
		"one that ignores it":             {"trap '' TERM\n: > %s; while :; do sleep 1; done", 0, task.Cancelled, ""},
		"one that has stopped itself":     {": > %s; kill -STOP $$; sleep 1000", 0, task.Cancelled, ""},
		"one with children":               {"sleep 1000 & setsid sleep 1000 & : > %s; wait", 0, task.Cancelled, ""},
		"one that runs for too long":      {": > %s; trap '' TERM; while :; do sleep 1; done", 50 * time.Millisecond, task.TimedOut, ""},
	} {
		w := hasty
		if c.stdout != "" || c.status == task.Completed { // it is to have the time
			w = patient
		}
		begun := filepath.Join(w.folder(), fmt.Sprintf("begun-%d", w.seq))
		seq := w.send(plugins.Task{ScriptPath: w.script("#!/bin/sh\n" + fmt.Sprintf(c.text, begun)), Timeout: c.within})
		if c.within == 0 {
			for _, err := os.Stat(begun); err != nil; _, err = os.Stat(begun) {
				time.Sleep(time.Millisecond)
			}
			if _, err := w.Cancel(t.Context(), 0, seq, plugins.StopCancelled); err != nil {
				t.Fatal(err)
			}
		}
		if o := w.end(seq); o.Status != c.status || o.Stdout != c.stdout {
			t.Errorf("%s: %s %+v %q", name, o.Status, o.Error, o.Stdout)
		}
	}
}

func TestOneThatEndsItsKeeperEndsItself(t *testing.T) {
	t.Parallel()
	w := start(t)
	o := w.run("kill -9 $PPID; sleep 1000")
	if o.Status != task.Failed || o.Error.Code != "exit" || o.Error.ExitCode != 137 || !o.Spent || o.Fault != plugins.NoFault {
		t.Errorf("%+v %+v", o, o.Error)
	}
	if o = w.run("echo 1"); string(o.Data) != "1" { // what was on its way to the worker
		t.Errorf("the next: %s %+v", o.Status, o.Error)
	}
	if o = w.run("cat /proc/$PPID/environ; ls /proc/$PPID/fd"); os.Getuid() != 0 && o.Status == task.Completed {
		t.Errorf("a keeper's own: %s", o.Data)
	}
}

func TestTheLastWordsOfAChildAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	w := start(t, "output", "last_line")
	if o := w.run("(trap '' TERM; while :; do echo x; done) &\necho begun >&2"); o.Status != task.Completed || o.Stderr != "begun\n" {
		t.Errorf("%s %+v", o.Status, o.Error)
	}
}
