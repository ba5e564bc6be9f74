package supervisor_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// What a daemon leaves that was ended by SIGKILL: nothing.

// daemonProcess is a process with a Launcher, a worker and a child of that.
type daemonProcess struct {
	*exec.Cmd
	dir           string
	workerPID     int
	worker, child *executortest.Watched
}

func startDaemon(t *testing.T, b executortest.Behaviour) *daemonProcess {
	t.Helper()
	dir, err := os.MkdirTemp("", "sup")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &daemonProcess{Cmd: exec.Command("/proc/self/exe"), dir: dir}
	d.Env = append(os.Environ(), roleEnv+"=daemon", "RUNTIME="+dir, "BEHAVIOUR="+string(b))
	d.Stderr = os.Stderr
	out, err := d.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Process.Kill(); _ = d.Wait() })
	var child int
	if _, err := fmt.Fscan(out, &d.workerPID, &child); err != nil {
		t.Fatal(err)
	}
	d.worker, d.child = executortest.Watch(t, d.workerPID), executortest.Watch(t, child)
	return d
}

func (d *daemonProcess) killed(t *testing.T) {
	t.Helper()
	if err := d.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	d.worker.WaitGone(t)
	d.child.WaitGone(t)
}

func TestNoOrphanedWorkers(t *testing.T) {
	startDaemon(t, executortest.SpawnsChild).killed(t)
}

func TestNoOrphanedGrandchildren(t *testing.T) {
	startDaemon(t, executortest.ChildEscapes).killed(t)
}

func TestNoOrphansOfAStoppedWorker(t *testing.T) {
	d := startDaemon(t, executortest.ChildEscapes)
	if err := unix.Kill(d.workerPID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	d.killed(t)
}

// A worker that ends together with the daemon can't see to its children.
func TestTheNextLauncherEndsWhatTheLastOneLeft(t *testing.T) {
	d := startDaemon(t, executortest.ChildEscapes)
	_ = unix.Kill(d.Process.Pid, unix.SIGSTOP) // not to be quicker than the worker's end
	if err := unix.Kill(d.workerPID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := d.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	d.worker.WaitGone(t)
	_ = d.Wait()
	l, err := supervisor.NewLauncher(d.dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	d.child.WaitGone(t)
}
