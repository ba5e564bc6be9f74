package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// nobody is a user who may read and connect to what is for everybody alone. Only
// root can start a process as him.
func nobody(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can run programs as another user")
	}
	return &syscall.Credential{Uid: 65534, Gid: 65534}
}

// folder is a temporary folder that everybody may enter.
func folder(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cpulb-scripts")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAPrivateDaemonOfNobodyIsForNobody(t *testing.T) {
	t.Parallel()
	d := startAs(t, nobody(t), testConfig).as(int(nobody(t).Uid))
	if status, answer := d.call("POST", "/v1/resume", ""); status != 200 {
		t.Errorf("he may not administer his own: %d %v", status, answer)
	}
	open := filepath.Join(folder(t, 0o755), "open.py")
	if err := os.WriteFile(open, []byte(doubles), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := d.run(open, `{"value":1}`, "cpu_bound"); r["status"] != "completed" {
		t.Errorf("his task: %v", r)
	}
}

func TestAScriptThatTheDaemonMayNotReadIsRefused(t *testing.T) {
	t.Parallel()
	d := startAs(t, nobody(t), testConfig)
	open, closed := folder(t, 0o755), folder(t, 0o700)
	write := func(path string, mode os.FileMode) string {
		if err := os.WriteFile(path, []byte(doubles), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, path := range []string{write(filepath.Join(open, "secret.py"), 0o600), write(filepath.Join(closed, "hidden.py"), 0o644)} {
		status, answer := d.call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q}`, path))
		if status != 400 || answer["code"] != "script_not_readable" || !strings.Contains(fmt.Sprint(answer["detail"]), path) {
			t.Errorf("%d %v", status, answer)
		}
	}
	if r := d.run(write(filepath.Join(open, "open.py"), 0o644), `{"value":1}`, "cpu_bound"); r["status"] != "completed" {
		t.Errorf("afterwards: %v", r)
	}
}

func TestASocketThatTheCallerMayNotUseIsNamed(t *testing.T) {
	t.Parallel()
	user := nobody(t)
	d := start(t, testConfig)
	if err := os.Chmod(filepath.Dir(d.socket), 0o755); err != nil {
		t.Fatal(err)
	}
	c := commandLine(t, d, "status")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	out, err := c.CombinedOutput()
	if c.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), d.socket+" may not be used by this user") {
		t.Errorf("%v: %s", err, out)
	}
}

// commandLine is a cpulb that speaks to d.
func commandLine(t *testing.T, d *daemon, args ...string) *exec.Cmd {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), filepath.Join(bin, "cpulb"), append([]string{"--socket", d.socket}, args...)...)
}

// Ctrl-C reaches the program as SIGINT while its task runs.
func TestAnInterruptOfTheCommandLineCancelsItsTask(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	started := filepath.Join(t.TempDir(), "started")
	if err := syscall.Mkfifo(started, 0o600); err != nil {
		t.Fatal(err)
	}
	path := script(t, "def main(params):\n    open(params, 'w').close()\n    while True: pass\n")
	c := commandLine(t, d, "run", path, "--params", fmt.Sprintf("%q", started))
	var said strings.Builder
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(started) // waits until the script runs
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); c.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "interrupted; task ") {
		t.Fatalf("%v: %s", err, said.String())
	}
	_, rest, _ := strings.Cut(said.String(), "interrupted; task ")
	id, _, _ := strings.Cut(rest, " ")
	if r := d.result(id); r["status"] != "cancelled" {
		t.Errorf("result: %v", r)
	}
}

func TestACallerSeesAndCancelsOnlyItsOwnTasks(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	d := start(t, oneSlot)
	if err := os.Chmod(filepath.Dir(d.socket), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(d.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	path := script(t, heldScript)
	mine := d.post(path, `{}`, "")
	d.result(mine)
	stranger := *d
	stranger.http = clientAs(t, 4321, d.socket)
	for _, x := range []struct{ method, path, want string }{
		{"POST", "/v1/drain", "not_allowed"},
		{"GET", "/v1/tasks/" + mine, "task_not_found"},
		{"GET", "/v1/tasks/" + mine + "/events", "task_not_found"},
		{"DELETE", "/v1/tasks/" + mine, "task_not_found"},
		{"POST", "/v1/tasks/" + mine + "/rerun", "task_not_found"},
		{"GET", "/debug/pprof/heap", "not_allowed"},
		{"GET", "/v1/workers/one-0/stacks", "not_allowed"},
	} {
		if status, answer := stranger.call(x.method, x.path, ""); answer["code"] != x.want {
			t.Errorf("%s %s: %d %v", x.method, x.path, status, answer)
		}
	}
	if _, list := stranger.call("GET", "/v1/tasks", ""); len(list["tasks"].([]any)) != 0 {
		t.Errorf("a stranger's list: %v", list)
	}
	if _, answer := stranger.call("DELETE", "/v1/tasks?all=true", ""); answer["cancelled"] != 0.0 {
		t.Errorf("a stranger's cancel: %v", answer)
	}
	theirs := stranger.post(path, `{}`, "")
	if r := stranger.result(theirs); r["status"] != "completed" {
		t.Errorf("a stranger's own: %v", r)
	}
	if _, list := d.call("GET", "/v1/tasks", ""); len(list["tasks"].([]any)) != 2 {
		t.Errorf("an administrator's list: %v", list)
	}
}

// clientAs connects as another user.
func clientAs(t *testing.T, uid int, socket string) *http.Client {
	c := &http.Client{Transport: &http.Transport{DialContext: dialAs(uid, socket)}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// dialAs connects as another user: what the kernel tells the daemon is the credentials of
// the thread that connects (unix(7)).
func dialAs(uid int, socket string) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (conn net.Conn, err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
				err = errno
				return
			}
			conn, err = net.Dial("unix", socket)
		}()
		<-done
		return conn, err
	}
}
