package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// delegate makes a cgroup that a test may divide.
func delegate(t *testing.T) string {
	t.Helper()
	own, err := ownDir("/proc/self")
	if err != nil {
		t.Skipf("this machine has no cgroup of version 2: %v", err)
	}
	dir, err := os.MkdirTemp(own, "cpulb-test-")
	if err != nil {
		t.Skipf("only root and delegated units may make cgroups: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "cgroup.kill")); err != nil {
		os.Remove(dir)
		t.Skip("this kernel has no cgroup.kill (before 5.14)")
	}
	t.Cleanup(func() {
		if err := removeAll(dir); err != nil {
			t.Errorf("left behind: %v", err)
		}
	})
	return dir
}

// into starts a shell in the cgroup and returns pidfds of those whose pids it says.
func into(t *testing.T, fd int, script string, pids int) []int {
	t.Helper()
	c := exec.Command("sh", "-c", script)
	c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: fd >= 0, CgroupFD: fd}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	var fds []int
	for lines := bufio.NewReader(out); len(fds) < pids; {
		var pid int
		if _, err := fmt.Fscanln(lines, &pid); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); unix.Close(fd) })
		fds = append(fds, fd)
	}
	return fds
}

func gone(t *testing.T, fds []int) {
	t.Helper()
	for i, fd := range fds {
		if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0); n == 0 {
			t.Errorf("process %d of %d lives on", i+1, len(fds))
		}
	}
}

// escapes leaves a process without a parent, in a session and with an environment
// of its own.
const escapes = "(env -i setsid sh -c 'sleep 1000 & echo $!') & wait; sleep 1000 & echo $!; wait"

func TestNobodyEscapesAGroup(t *testing.T) {
	tree, err := Divide(delegate(t))
	if err != nil {
		t.Fatal(err)
	}
	g, err := tree.New("cpu-0")
	if err != nil {
		t.Fatal(err)
	}
	fds := into(t, g.FD(), escapes, 2)
	if err := g.End(); err != nil {
		t.Fatal(err)
	}
	gone(t, fds)
	if _, err := os.Stat(g.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the cgroup is still there: %v", err)
	}
}

func TestWhatAnEarlierDaemonLeftIsEnded(t *testing.T) {
	dir := delegate(t)
	first, err := Divide(dir)
	if err != nil {
		t.Fatal(err)
	}
	g, err := first.New("cpu-0")
	if err != nil {
		t.Fatal(err)
	}
	defer g.folder.Close()
	fds := into(t, g.FD(), "mkdir "+g.dir+"/made-by-a-script; "+escapes, 2)
	before := filepath.Join(dir, worker+"cpu-1") // where a daemon before cgroup workers had them
	if err := os.Mkdir(before, 0o755); err != nil {
		t.Fatal(err)
	}
	old, err := open(before)
	if err != nil {
		t.Fatal(err)
	}
	defer old.folder.Close()
	fds = append(fds, into(t, old.FD(), escapes, 2)...)
	second, err := Divide(dir)
	if err != nil {
		t.Fatal(err)
	}
	gone(t, fds)
	again, err := second.New("cpu-0")
	if err != nil {
		t.Fatal(err)
	}
	if err := again.End(); err != nil {
		t.Fatal(err)
	}
}

func TestTheRootsProcessesMoveIntoALeaf(t *testing.T) {
	dir := delegate(t)
	root, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	fds := into(t, int(root.Fd()), "echo $$; exec sleep 1000", 1)
	if _, err := Divide(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	moved, err2 := os.ReadFile(filepath.Join(dir, daemons, "cgroup.procs"))
	if len(left) > 0 || len(strings.Fields(string(moved))) != 1 || err != nil || err2 != nil {
		t.Errorf("in the root %q, in the leaf %q; %v %v", left, moved, err, err2)
	}
	leaf, err := open(filepath.Join(dir, daemons))
	if err != nil {
		t.Fatal(err)
	}
	if err := leaf.End(); err != nil {
		t.Fatal(err)
	}
	gone(t, fds)
}

func TestAMemoryLimitThatCannotBeKeptIsSaid(t *testing.T) {
	tree, err := Divide(delegate(t))
	if err != nil {
		t.Fatal(err)
	}
	g, err := tree.New("cpu-0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.End(); err != nil {
			t.Error(err)
		}
	}()
	err = g.LimitMemory(64 << 20)
	if !tree.HasMemory() {
		if !errors.Is(err, ErrNoController) {
			t.Fatal(err)
		}
		t.Skipf("the limit itself can't be tested: %s", whyNoMemory())
	}
	if err != nil {
		t.Fatal(err)
	}
	hog := exec.Command("sh", "-c", "head -c 200m /dev/zero | tail -n 1 >/dev/null")
	hog.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: g.FD()}
	_ = hog.Run()
	if g.OOMKills() == 0 {
		t.Error("200 MiB were had under a limit of 64")
	}
}

// whyNoMemory says why version 2 has no memory controller on this machine. A controller
// is in one hierarchy alone: where version 1 has it and uses it, mounting another
// hierarchy of version 2 does not bring it (`mount -t cgroup2 none DIR; cat
// DIR/cgroup.controllers`).
func whyNoMemory() string {
	text, err := os.ReadFile("/proc/cgroups")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == "memory" {
			switch {
			case f[3] == "0":
				return "the kernel has been started without the memory controller"
			case f[1] != "0":
				return fmt.Sprintf("version 1 has the memory controller, in hierarchy %s with %s cgroups (/proc/cgroups)", f[1], f[2])
			}
			return "the memory controller is not delegated"
		}
	}
	return fmt.Sprintf("/proc/cgroups knows of no memory controller: %v", err)
}

func TestWhatIsNotDelegatedIsLeftAlone(t *testing.T) {
	if _, err := Own(); err != nil && !errors.Is(err, ErrNotDelegated) {
		t.Fatal(err)
	}
	if delegated(t.TempDir()) {
		t.Error("any folder is taken for a delegated cgroup")
	}
}

func TestTheOwnFolderIsFoundWhereItIsMounted(t *testing.T) {
	const v1 = "12 1 0:3 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	for _, c := range []struct {
		own, mounts, want string
		err               error
	}{
		{"0::/system.slice/a.service\n", "30 1 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/system.slice/a.service", nil},
		{"5:memory:/x\n0::/y\n", v1 + "30 1 0:26 / /sys/fs/cgroup/unified rw - cgroup2 c rw\n", "/sys/fs/cgroup/unified/y", nil},
		{"0::/box/y\n", `30 1 0:26 /box /with\040blank rw - cgroup2 c rw` + "\n", "/with blank/y", nil},
		{"0::/../y\n", "30 1 0:26 / /c rw - cgroup2 c rw\n", "", errNotInside},
		{"0::/other\n", "30 1 0:26 /box /c rw - cgroup2 c rw\n", "", errNotInside},
		{"5:memory:/x\n", v1, "", errNoUnified},
		{"0::/y\n", v1, "", errNoUnified},
		{"0::/y\n", "", "", errNoUnified},
	} {
		got, err := find(c.own, c.mounts)
		if got != c.want && c.err == nil || !errors.Is(err, c.err) {
			t.Errorf("%q in %q: %q, %v", c.own, c.mounts, got, err)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add("0::/y\n", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 c rw\n")
	f.Fuzz(func(t *testing.T, own, mounts string) {
		if dir, err := find(own, mounts); (dir == "") == (err == nil) {
			t.Errorf("%q, %v", dir, err)
		}
	})
}
