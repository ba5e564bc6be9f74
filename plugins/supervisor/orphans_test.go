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

// orphaned ends the daemon and its worker together, so that the worker can't see to its
// child.
func (d *daemonProcess) orphaned(t *testing.T) {
	t.Helper()
	_ = unix.Kill(d.Process.Pid, unix.SIGSTOP) // not to be quicker than the worker's end
	if err := unix.Kill(d.workerPID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := d.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	d.worker.WaitGone(t)
	_ = d.Wait()
}

func TestTheNextLauncherEndsWhatTheLastOneLeft(t *testing.T) {
	d := startDaemon(t, executortest.ChildEscapes)
	d.orphaned(t)
	l, err := supervisor.NewLauncher(d.dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	d.child.WaitGone(t)
}

// The next daemon may have another socket, and so another folder for its workers.
func TestWhoeverServesAFolderEndsWhatServedItBefore(t *testing.T) {
	d := startDaemon(t, executortest.ChildEscapes)
	d.orphaned(t)
	l, err := supervisor.NewLauncher(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Serve(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if d.child.Gone() {
		t.Error("one that served another folder was ended")
	}
	if err := l.Serve(d.dir); err != nil {
		t.Fatal(err)
	}
	if !d.child.Gone() {
		t.Error("it still runs")
	}
	if err := l.Serve("/nowhere"); err == nil {
		t.Error("a folder that is not there can be served")
	}
}
