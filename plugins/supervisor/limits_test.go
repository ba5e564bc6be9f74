package supervisor_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpulb/plugins"
	"cpulb/plugins/cgroup"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"golang.org/x/sys/unix"
)

// eachThread calls f with the folder in /proc of each of a process's threads.
func eachThread(t *testing.T, pid int, f func(tid int, dir string)) {
	t.Helper()
	dirs, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(dirs) < 2 {
		t.Fatalf("threads: %v %v", dirs, err)
	}
	for _, dir := range dirs {
		var tid int
		if _, err := fmt.Sscan(filepath.Base(dir), &tid); err != nil {
			t.Fatal(err)
		}
		f(tid, dir)
	}
}

func TestPrioritiesHoldForEveryThread(t *testing.T) {
	b := newBox(t)
	spec := b.spec("executor")
	spec.Limits = supervisor.Limits{Nice: 7, OOMScoreAdj: 321, IO: supervisor.IOPriority{Class: supervisor.IOBestEffort, Level: 6}}
	p := b.start(spec, recorders)
	eachThread(t, p.PID(), func(tid int, dir string) {
		raw, err := unix.Getpriority(unix.PRIO_PROCESS, tid) // 20 - nice
		if err != nil || 20-raw != 7 {
			t.Errorf("thread %d has nice %d, %v", tid, 20-raw, err)
		}
		if prio, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, 1, uintptr(tid), 0); errno != 0 || prio != 2<<13|6 {
			t.Errorf("thread %d has I/O priority %#x, %v", tid, prio, errno)
		}
	})
	adj, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", p.PID()))
	if err != nil || strings.TrimSpace(string(adj)) != "321" {
		t.Errorf("oom_score_adj is %s, %v", adj, err)
	}
	free := b.start(b.spec("executor"), recorders)
	if raw, err := unix.Getpriority(unix.PRIO_PROCESS, free.PID()); err != nil || raw != own(t) {
		t.Errorf("a worker without limits has nice %d, %v", 20-raw, err)
	}
	if free.MemoryLimit() != supervisor.MemoryUnlimited {
		t.Errorf("its memory is limited by %s", free.MemoryLimit())
	}
}

func own(t *testing.T) int {
	t.Helper()
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestALimitOutOfRangeIsAClearError(t *testing.T) {
	b := newBox(t)
	for says, l := range map[string]supervisor.Limits{
		"nice is 20, allowed are -20 to 19":               {Nice: 20},
		"oom_score_adj is -1001, allowed are -1000 to":    {OOMScoreAdj: -1001},
		"the I/O class is 4, allowed are 0 to 3":          {IO: supervisor.IOPriority{Class: 4}},
		"the I/O level is 8, allowed are 0 to 7":          {IO: supervisor.IOPriority{Class: supervisor.IOBestEffort, Level: 8}},
		"memory is -1 bytes":                              {MemoryBytes: -1},
		"nice is -21, allowed are -20 to 19\nthe I/O lev": {Nice: -21, IO: supervisor.IOPriority{Level: -1}},
	} {
		spec := b.spec("executor")
		spec.Limits = l
		err := b.fails(t.Context(), spec)
		for part := range strings.SplitSeq(says, "\n") {
			if !errors.Is(err, supervisor.ErrLimit) || !strings.Contains(err.Error(), part) {
				t.Errorf("%+v: %v", l, err)
			}
		}
	}
}

// eats runs the behaviour in a worker with that much memory and returns what the
// task gave.
func eats(t *testing.T, b *box, bytes int64) (p *supervisor.Process, got string) {
	t.Helper()
	up := executortest.NewRecorder()
	spec := b.spec("executor")
	spec.Limits.MemoryBytes = bytes
	p = b.start(spec, executortest.Each(func(int) executortest.SlotHandler { return up }))
	if err := p.Slot(0).Send(&plugins.Task{Seq: 1, ScriptPath: executortest.FakeScripts()[executortest.EatsMemory]}); err != nil {
		t.Fatal(err)
	}
	up.Wait(t, "started", 1)
	up.WaitAny(t, "ended", "lost")
	return p, up.Of(1)
}

func TestAWorkerCannotHaveMoreMemoryThanItsLimit(t *testing.T) {
	p, got := eats(t, newBox(t), 64<<20)
	if p.MemoryLimit() != supervisor.MemoryRlimit {
		t.Errorf("its memory is limited by %s", p.MemoryLimit())
	}
	<-p.Done()
	// How it dies depends on who asks for the memory first: Go's allocator, the race
	// detector, or C for another thread. The next test shows that it is the limit.
	if got != "started 1" || p.Exit() == "exit status 0" {
		t.Errorf("%s, %s, %q", got, p.Exit(), p.LastStderr())
	}
}

func TestALimitLeavesAWorkerWhatItMayHave(t *testing.T) {
	// Several times what it takes: the race detector takes its share.
	if p, got := eats(t, newBox(t), 6*executortest.EatenBytes); got != "started 1, ended 1" {
		t.Errorf("%s; %q", got, p.LastStderr())
	}
}

// contained returns a box whose workers have cgroups.
func contained(t *testing.T) (*box, *cgroup.Tree) {
	t.Helper()
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
		root += "/unified" // beside those of version 1
	}
	dir, err := os.MkdirTemp(root, "cpulb-test-")
	if err != nil {
		t.Skipf("only root and delegated units may make cgroups of version 2: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Errorf("left behind: %v", err)
		}
	})
	if _, err := os.Stat(filepath.Join(dir, "cgroup.kill")); err != nil {
		t.Skip("this kernel has no cgroup.kill")
	}
	tree, err := cgroup.Divide(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(filepath.Join(dir, "daemon")); os.Remove(filepath.Join(dir, "workers")) })
	b := newBox(t)
	b.Contain(tree)
	return b, tree
}

func TestAWorkerLivesInItsCgroup(t *testing.T) {
	b, tree := contained(t)
	p, got := eats(t, b, 64<<20)
	if tree.HasMemory() {
		<-p.Done()
		if p.MemoryLimit() != supervisor.MemoryCgroup || !strings.Contains(p.Exit(), "out of the memory") {
			t.Errorf("limited by %s, it gave %s and ended with %s", p.MemoryLimit(), got, p.Exit())
		}
		return
	}
	t.Log("version 2 does not have the memory controller here")
	if p.MemoryLimit() != supervisor.MemoryRlimit || got != "started 1" {
		t.Errorf("limited by %s, it gave %s", p.MemoryLimit(), got)
	}
}

func TestNobodyLeavesTheWorkersCgroup(t *testing.T) {
	for name, end := range map[string]func(*supervisor.Process){
		"killed":  (*supervisor.Process).Kill,
		"stopped": func(p *supervisor.Process) { p.Stop(t.Context()) },
		"crashed": func(p *supervisor.Process) { _ = unix.Kill(p.PID(), unix.SIGSEGV) },
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := contained(t)
			up := executortest.NewRecorder()
			p := b.start(b.spec("executor"), executortest.Each(func(int) executortest.SlotHandler { return up }))
			// It has neither parent nor session nor mark that would tell whose it is.
			if err := p.Slot(0).Send(&plugins.Task{Seq: 1, ScriptPath: executortest.FakeScripts()[executortest.ChildVanishes]}); err != nil {
				t.Fatal(err)
			}
			o := up.Wait(t, "ended", 1).Outcome
			var pid int
			if _, err := fmt.Sscan(string(o.Data), &pid); err != nil {
				t.Fatalf("%s %+v: %v", o.Data, o.Error, err)
			}
			child := executortest.Watch(t, pid)
			end(p)
			child.WaitGone(t)
			<-p.Done()
		})
	}
}
