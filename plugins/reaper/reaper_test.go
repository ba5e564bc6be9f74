package reaper_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"cpulb/plugins/reaper"

	"golang.org/x/sys/unix"
)

// family is a shell that has started others, each of which has said its pid.
type family struct {
	root    *exec.Cmd
	members []int // pidfds
}

// start runs a script of sh, with a mark if that is not empty, and reads as many
// pids as it says.
func start(t *testing.T, mark, script string, pids int) *family {
	t.Helper()
	return startAs(t, nil, mark, script, pids)
}

// startAs is start as another user, unless that is nil.
func startAs(t *testing.T, user *syscall.Credential, mark, script string, pids int) *family {
	t.Helper()
	f := &family{root: exec.Command("sh", "-c", script)}
	if mark != "" {
		f.root.Env = append(os.Environ(), reaper.MarkEnv+"="+mark)
	}
	tests, err := os.Open("/proc/self/exe") // other users have no way to it by its path
	if err != nil {
		t.Fatal(err)
	}
	defer tests.Close()
	f.root.ExtraFiles = []*os.File{tests}
	f.root.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Credential: user}
	out, err := f.root.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.root.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Kill(-f.root.Process.Pid, unix.SIGKILL)
		for _, fd := range f.members {
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
			unix.Close(fd)
		}
		_ = f.root.Wait()
	})
	lines := bufio.NewReader(out)
	for range pids {
		var pid int
		if _, err := fmt.Fscanln(lines, &pid); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.members = append(f.members, fd)
	}
	return f
}

// alive counts the members that have not ended; root is not one.
func (f *family) alive() int {
	n := 0
	for _, fd := range f.members {
		if ended, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0); ended == 0 {
			n++
		}
	}
	return n
}

// rootLives tells whether root has not ended; it is our child, so it has not been
// waited for.
func (f *family) rootLives() bool {
	var info unix.Siginfo
	_ = unix.Waitid(unix.P_PID, f.root.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	return info.Signo == 0
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

const (
	child      = "sleep 1000 & echo $!; "
	newSession = "setsid sh -c 'echo $$; exec sleep 1000' & "
	// orphan has lost its parent when its pid has been said: the substitution waits for that.
	orphan = "pid=$(setsid sh -c 'sleep 1000 >/dev/null & echo $!'); echo $pid; "
	// headless is a process without its first thread, see beHeadless.
	headless       = roleEnv + "=headless /proc/self/fd/3 & "
	headlessOrphan = "pid=$(setsid sh -c '" + headless + "'); echo $pid; "
	// unmarked is a descendant without the mark.
	unmarked = "env -u " + reaper.MarkEnv + " setsid sh -c 'echo $$; exec sleep 1000' & "
	stay     = "exec sleep 1000"
)

func TestDescendantsOfEverySessionEnd(t *testing.T) {
	f := start(t, "", child+newSession+"sh -c '"+child+stay+"' & "+stay, 3)
	if err := reaper.KillTree(soon(t), f.root.Process.Pid, ""); err != nil {
		t.Fatal(err)
	}
	if f.alive() != 0 || !f.rootLives() {
		t.Errorf("%d of 3 live on, the root lives: %v", f.alive(), f.rootLives())
	}
}

func TestMarkedOrphansEnd(t *testing.T) {
	f := start(t, "tree/1", orphan+unmarked+stay, 2)
	if err := reaper.KillTree(soon(t), f.root.Process.Pid, "tree/1"); err != nil {
		t.Fatal(err)
	}
	if f.alive() != 0 || !f.rootLives() {
		t.Errorf("%d of 2 live on, the root lives: %v", f.alive(), f.rootLives())
	}
}

func TestMarkedProcessesEndWithTheirDescendants(t *testing.T) {
	f := start(t, "all/1", orphan+unmarked+stay, 2)
	other := start(t, "other/1", orphan+stay, 1)
	is := func(mark string) bool { return strings.HasPrefix(mark, "all/") }
	if err := reaper.KillMarked(soon(t), reaper.Began(f.root.Process.Pid), is); err != nil {
		t.Fatal(err)
	}
	if f.alive() != 0 || f.rootLives() {
		t.Errorf("%d of 2 live on, the root lives: %v", f.alive(), f.rootLives())
	}
	if other.alive() != 1 || !other.rootLives() {
		t.Error("one with another mark was ended")
	}
}

func TestTheCallerIsSpared(t *testing.T) {
	f := start(t, "", child+stay, 1)
	if err := reaper.KillTree(soon(t), os.Getpid(), ""); err != nil {
		t.Fatal(err)
	}
	if f.alive() != 0 || f.rootLives() {
		t.Error("a child of the caller lives on")
	}
}

func TestWhoEndsFasterThanItIsFoundIsNoError(t *testing.T) {
	f := start(t, "busy/1", "echo $$; for i in $(seq 200); do sh -c : & done; wait", 1)
	if err := reaper.KillTree(soon(t), f.root.Process.Pid, "busy/1"); err != nil {
		t.Fatal(err)
	}
}

func TestSurvivorsAreToldAtTheEndOfTheContext(t *testing.T) {
	f := start(t, "late/1", child+stay, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := reaper.KillTree(ctx, f.root.Process.Pid, "late/1"); !errors.Is(err, reaper.ErrSurvivors) {
		t.Fatal(err)
	}
}

func TestNobodyIsFoundUnderAnEmptyMark(t *testing.T) {
	f := start(t, "empty/1", orphan+stay, 1)
	if err := reaper.KillTree(soon(t), f.root.Process.Pid, ""); err != nil {
		t.Fatal(err)
	}
	if f.alive() != 1 {
		t.Error("a marked process ended without being meant")
	}
}

func TestMarkedOrphansOfAnotherUserEndWithoutTheRightToTrace(t *testing.T) {
	endsForeign(t, orphan+unmarked+stay, 2)
}

func TestAProcessWithoutItsFirstThreadEnds(t *testing.T) {
	f := start(t, "headless/1", headless+headlessOrphan+stay, 2)
	if err := reaper.KillTree(soon(t), f.root.Process.Pid, "headless/1"); err != nil {
		t.Fatal(err)
	}
	if f.alive() != 0 || !f.rootLives() {
		t.Errorf("%d of 2 live on, the root lives: %v", f.alive(), f.rootLives())
	}
}

func TestAMarkedProcessWithoutItsFirstThreadEnds(t *testing.T) {
	f := start(t, "headless/2", headlessOrphan+stay, 1)
	began := reaper.Began(f.root.Process.Pid)
	if err := reaper.KillMarked(soon(t), began, func(mark string) bool { return mark == "headless/2" }); err != nil {
		t.Fatal(err)
	}
	if f.alive() != 0 {
		t.Error("it lives on")
	}
}

func TestTheChildrenOfAProcessWithoutItsFirstThreadEnd(t *testing.T) {
	f := start(t, "", "CHILD=1 "+headless+stay, 2)
	if err := reaper.KillTree(soon(t), f.root.Process.Pid, ""); err != nil {
		t.Fatal(err)
	}
	if f.alive() != 0 {
		t.Errorf("%d of 2 live on", f.alive())
	}
}

func TestAnotherUsersProcessWithoutItsFirstThreadEnds(t *testing.T) {
	endsForeign(t, headlessOrphan+stay, 1)
}

// endsForeign has KillTree end what another user's script has started, by a thread that may not
// trace that user's processes.
func endsForeign(t *testing.T, script string, pids int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: nobody can be started as another user")
	}
	f := startAs(t, &syscall.Credential{Uid: 65534, Gid: 65533}, "foreign/1", script, pids)
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, which has lost a right, ends
		if err := withoutTracing(); err != nil {
			ended <- err
			return
		}
		ended <- reaper.KillTree(soon(t), f.root.Process.Pid, "foreign/1")
	}()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if f.alive() != 0 || !f.rootLives() {
		t.Errorf("%d of %d live on, the root lives: %v", f.alive(), pids, f.rootLives())
	}
}

// withoutTracing takes from the calling thread what lets it read any process's environment.
func withoutTracing() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return err
	}
	sets[0].Effective &^= 1<<unix.CAP_SYS_PTRACE | 1<<unix.CAP_SYS_ADMIN
	sets[1].Effective &^= 1 << (unix.CAP_PERFMON - 32) // Linux 6.14 lets it read, too, as CAP_SYS_ADMIN
	return unix.Capset(&header, &sets[0])
}
