// Package e2e_test runs the built programs together, as a user would: a real
// daemon, real workers, real scripts, over the real socket.
package e2e_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cpulb/internal/owndaemon"
	built "cpulb/internal/programs"
	"cpulb/plugins/executortest/impostor"
)

// programs returns a folder with the programs, one for all tests of the package.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "cpulb-programs")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // other users' daemons run them, too
		return dir, err
	}
	return dir, built.Into(dir, "cpulbd", "cpulb", "cpulb-python", "cpulb-exec", "cpulb-wasm")
})

// together is how many tests run at a time. Each has a daemon of its own, and most
// of its time is waiting.
const together = "8"

func TestMain(m *testing.M) {
	impostor.Served()
	servedSwapped()
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue { // nobody asks for another number
		_ = f.Value.Set(together) // a number
	}
	code := m.Run()
	if dir, _ := programs(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// daemon is a running cpulbd of a test's own.
type daemon struct {
	t      *testing.T
	args   []string
	env    []string // beside the test's own
	user   *syscall.Credential
	lacks  int               // uids from this on, which its user namespace does not have; 0: it has all
	own    *owndaemon.Daemon // nil: it has never been ready
	socket string
	http   *http.Client
	log    *owndaemon.Log
}

const testConfig = `
executor "python" { command = "cpulb-python" }
pool "cpu" {
  executor = "python"
  task_types = ["cpu_bound"]
  workers = 2
  threads = 1
  pin = true
}
pool "io" {
  executor = "python"
  task_types = ["io_bound"]
  workers = 1
  threads = 8
}
limits {
  body_size = "64KiB"
  cancel_grace = "2s"
}
`

// patience is for how long a test waits before it takes what it waits for for hung,
// on however slow a machine. The same stands in ?wait= and ?timeout=.
const patience = 10 * time.Minute

// until returns once holds says true. There is no event for what it is used for; the
// rest between two looks leaves the machine to the daemon.
func (d *daemon) until(what string, holds func() bool) {
	d.t.Helper()
	for hung := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(hung) {
			d.t.Fatalf("not within %s: %s\n%s", patience, what, d.log)
		}
	}
}

// start starts a daemon and returns once it is ready.
func start(t *testing.T, config string) *daemon {
	t.Helper()
	return startAs(t, nil, config)
}

// startAs is start as another user; nil is this one.
func startAs(t *testing.T, user *syscall.Credential, config string) *daemon {
	t.Helper()
	d := lay(t, user, config)
	d.launch()
	return d
}

// startProgram starts another program as a daemon for all users, with these variables in
// its environment.
func startProgram(t *testing.T, program string, env []string, config string) *daemon {
	t.Helper()
	d := lay(t, nil, config)
	d.args = append([]string{program}, slices.DeleteFunc(d.args[1:], func(arg string) bool { return arg == "-private" })...)
	d.env = env
	if err := os.Chmod(filepath.Dir(d.socket), 0o755); err != nil {
		t.Fatal(err)
	}
	d.launch()
	return d
}

// lay makes the folder of a daemon that is still to be launched.
func lay(t *testing.T, user *syscall.Credential, config string) *daemon {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: with a test's name in it a path is too long for a socket.
	dir, err := os.MkdirTemp("", "cpulb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "config.hcl")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if user != nil {
		if err := errors.Join(os.Chown(dir, int(user.Uid), int(user.Gid)), os.Chmod(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	d := &daemon{t: t, socket: filepath.Join(dir, "cpulb.sock"), log: &owndaemon.Log{}, user: user}
	d.args = []string{filepath.Join(bin, "cpulbd"), "-private", "-config", path, "-socket", d.socket, "-state-dir", filepath.Join(dir, "state")}
	d.http = owndaemon.Client(d.socket)
	t.Cleanup(func() {
		d.stop()
		if left, _ := filepath.Glob(d.socket + "*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	t.Cleanup(d.http.CloseIdleConnections)
	return d
}

// launch starts the process, for the first time or after its end, and returns
// once it is ready.
func (d *daemon) launch() {
	d.t.Helper()
	if !d.launched() {
		d.t.Fatalf("cpulbd ended before it was ready:\n%s", d.log)
	}
}

// launched is launch for a process that may end before it is ready: then it returns
// false.
func (d *daemon) launched() bool {
	d.t.Helper()
	cmd := exec.Command(d.args[0], d.args[1:]...)
	cmd.Env = append(os.Environ(), d.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.user}
	if d.lacks != 0 {
		ids := []syscall.SysProcIDMap{{Size: d.lacks}}
		cmd.SysProcAttr.Cloneflags, cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = syscall.CLONE_NEWUSER, ids, ids
	}
	d.log = &owndaemon.Log{}
	var err error
	if d.own, err = owndaemon.Start(d.t.Context(), cmd, d.log); err != nil && !errors.Is(err, owndaemon.ErrNotReady) {
		d.t.Fatal(err)
	}
	return err == nil
}

// stop ends the process in order.
func (d *daemon) stop() {
	d.t.Helper()
	if d.own == nil {
		return
	}
	if err := d.own.Stop(); err != nil {
		d.t.Error(err)
	}
}

// kill ends the process as a crash does.
func (d *daemon) kill() { d.own.Kill() }

// call sends a request and decodes the JSON answer.
func (d *daemon) call(method, path, body string) (int, map[string]any) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, "http://cpulb"+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	resp, err := d.http.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		d.t.Fatalf("%s %s: %d, not a JSON object: %q", method, path, resp.StatusCode, text)
	}
	return resp.StatusCode, answer
}

// script writes a script and returns its path.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.py")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs one script to its end and returns its Result.
func (d *daemon) run(path, params, taskType string) map[string]any {
	d.t.Helper()
	code, answer := d.call("POST", "/v1/tasks?wait=10m", fmt.Sprintf(`{"script_path":%q,"params":%s,"task_type":%q}`, path, params, taskType))
	if code != 200 {
		d.t.Fatalf("POST /v1/tasks: %d %v\n%s", code, answer, d.log)
	}
	return answer
}

// inShort is how often something is tried: few times with -short, as CI runs the tests.
func inShort(few, many int) int {
	if testing.Short() {
		return few
	}
	return many
}
