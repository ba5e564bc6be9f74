package systemd

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// box is a real systemd in namespaces of its own; testdata/box.sh says what it is.
type box struct {
	dir  string
	init int // process 1 of the box, as a pid of ours; 0 before it runs

	began time.Time // what is older in the journal is another test's
}

// bootTimeout is a limit for a machine that hangs, not a measure: a boot takes
// less than a second.
const bootTimeout = 10 * time.Minute

// needBox skips the test, saying why, where no box can run.
func needBox(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"/usr/lib/systemd/systemd", "/usr/bin/unshare", "/usr/bin/nsenter", "/usr/bin/setpriv"} {
		if _, err := os.Stat(tool); err != nil {
			t.Skipf("needs systemd and util-linux: %v", err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to boot a systemd in its own namespaces")
	}
	try := exec.CommandContext(t.Context(), "unshare", "--mount", "--pid", "--fork", "--cgroup", "--net", "true")
	if out, err := try.CombinedOutput(); err != nil {
		t.Skipf("needs namespaces, which this machine refuses: %v: %s", err, out)
	}
}

// bootBox boots a systemd over whose root the files of root are laid, each at its
// path, and stops it when the test ends. Call needBox first.
func bootBox(t *testing.T, root map[string]string) *box {
	t.Helper()
	b := &box{dir: t.TempDir()}
	for path, source := range root {
		b.copyIn(t, source, path)
	}
	b.boot(t)
	return b
}

func (b *box) copyIn(t *testing.T, source, path string) {
	t.Helper()
	to := filepath.Join(b.dir, "root", path)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "cp", source, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// boot returns once systemd says that it has booted, which it does as a service
// would: to the socket that NOTIFY_SOCKET names.
func (b *box) boot(t *testing.T) {
	t.Helper()
	booted, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(b.dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer booted.Close()
	cmd := exec.Command("testdata/box.sh", "boot", b.dir)
	console, err := os.Create(filepath.Join(b.dir, "console"))
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // the box ends with the test, however that ends
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		booted.Close()
	}()
	t.Cleanup(func() { b.halt(t, cmd.Process, ended) })
	err = awaitReady(booted)
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
	b.init, _ = strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil || b.init == 0 {
		said, _ := os.ReadFile(console.Name())
		t.Fatalf("the box did not boot: %v\n%s", err, said)
	}
}

func awaitReady(booted *net.UnixConn) error {
	if err := booted.SetReadDeadline(time.Now().Add(bootTimeout)); err != nil {
		return err
	}
	for buf := make([]byte, 4096); ; {
		n, err := booted.Read(buf)
		if err != nil || strings.Contains("\n"+string(buf[:n])+"\n", "\nREADY=1\n") {
			return err
		}
	}
}

// halt ends the box at once, with everything in it, and removes its cgroups. The
// outer process ends when it has reaped process 1, and that, by the kernel's rule,
// after everything else inside has ended.
func (b *box) halt(t *testing.T, outer *os.Process, ended <-chan error) {
	if b.init == 0 || syscall.Kill(b.init, syscall.SIGKILL) != nil {
		_ = outer.Kill()
	}
	<-ended
	if out, err := exec.Command("testdata/box.sh", "sweep", b.dir).CombinedOutput(); err != nil {
		t.Errorf("the box left cgroups behind: %v: %s", err, out)
	}
}

// try runs a command inside and returns what it printed.
func (b *box) try(t *testing.T, command ...string) (string, error) {
	t.Helper()
	args := append([]string{"-t", strconv.Itoa(b.init), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--",
		"env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG=C.UTF-8", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0"},
		command...)
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "nsenter", args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// run is try for a command that must succeed.
func (b *box) run(t *testing.T, command ...string) string {
	t.Helper()
	out, err := b.try(t, command...)
	if err != nil {
		t.Fatalf("%q: %v\n%s\n%s", command, err, out, b.journal(t))
	}
	return out
}

func (b *box) journal(t *testing.T) string {
	t.Helper()
	since := fmt.Sprintf("--since=@%d.%06d", b.began.Unix(), b.began.Nanosecond()/1000)
	out, _ := b.try(t, "journalctl", "--no-pager", "-o", "cat", since, "-u", "cpulbd.service", "-u", "cpulbd.socket")
	return out
}

// show returns one property of the service.
func (b *box) show(t *testing.T, property string) string {
	t.Helper()
	return b.run(t, "systemctl", "show", "--value", "-p", property, "cpulbd.service")
}
