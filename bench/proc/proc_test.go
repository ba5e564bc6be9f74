package proc_test

import (
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"cpulb/bench/proc"
)

// shell runs a script, which has said "ready" when shell returns and ends once its input
// does.
func shell(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestATreeHasChildrensChildren(t *testing.T) {
	t.Parallel()
	cmd := shell(t, `sh -c 'sh -c "echo ready; read x" ; :' ; :`)
	tree := proc.Tree(cmd.Process.Pid)
	if len(tree) != 3 || tree[0] != cmd.Process.Pid {
		t.Errorf("%v, not three processes from %d on", tree, cmd.Process.Pid)
	}
	if all := proc.Tree(os.Getpid()); !slices.Contains(all, tree[2]) {
		t.Errorf("%d is not among the descendants of the test, %v", tree[2], all)
	}
}

func TestTheTimeOfAnEndedChildCounts(t *testing.T) {
	t.Parallel()
	// The child computes for some ticks at least, and has ended when its parent is ready.
	cmd := shell(t, `sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo ready; read x`)
	if cpu := proc.CPU([]int{cmd.Process.Pid}); cpu < 20*time.Millisecond {
		t.Errorf("%s for a child that has counted to 200,000", cpu)
	}
}

func TestAProcessHasMemoryAndSwitches(t *testing.T) {
	t.Parallel()
	cmd := shell(t, "echo ready; read x")
	pids := []int{cmd.Process.Pid}
	if bytes := proc.Memory(pids); bytes < 10_000 || bytes > 100e6 {
		t.Errorf("a shell has %g bytes", bytes)
	}
	if n := proc.Switches(pids); n < 1 {
		t.Errorf("a shell that waits was switched %g times", n)
	}
}

func TestWhatHasEndedCostsNothing(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	pids := []int{cmd.Process.Pid}
	if cpu, bytes := proc.CPU(pids), proc.Memory(pids); cpu != 0 || bytes != 0 {
		t.Errorf("%s and %g bytes of a process that has ended", cpu, bytes)
	}
	proc.Signal(pids, 0)
}
