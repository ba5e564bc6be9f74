package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// assertNothingIn fails the test if a daemon left anything beside its
// configuration file.
func assertNothingIn(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasPrefix(name, "cpulb.sock") && !strings.HasSuffix(name, ".lock") {
			t.Errorf("%s was left behind", name)
		}
	}
	if pids := processesOf(t, programs); len(pids) > 0 {
		t.Errorf("processes %v were left behind", pids)
	}
}

// executor is a configuration whose one pool runs this program.
func executor(command string) string {
	return "executor \"python\" {\n  command = \"" + command + "\"\n}\n" + onePool
}

// Each failure ends the start, says what is wrong, and leaves nothing behind. What
// is wrong with the configuration file alone has a status of its own.
func TestStartThatCannotSucceedSaysWhy(t *testing.T) {
	scripts := t.TempDir()
	garbage := writeFile(t, filepath.Join(scripts, "garbage"), "#!/bin/sh\necho this is not a handshake\n", 0o755)
	silent := writeFile(t, filepath.Join(scripts, "silent"), "#!/bin/sh\nexit 3\n", 0o755)
	plain := writeFile(t, filepath.Join(scripts, "plain"), "no program\n", 0o644)
	for _, c := range []struct {
		name, config string
		status       int
		want         []string
	}{
		{"a value of the wrong type", "queue {\n  max_tasks = \"many\"\n}\n", 78, []string{`config.hcl:2:15: queue.max_tasks`}},
		{"unknown key", "queue {\n  size = 3\n}\n", 78, []string{`config.hcl:2:3: unknown key "size" in queue (allowed: max_tasks, max_bytes,`}},
		{"no such program", executor("cpulb-none"), 1, []string{`"python"`, "cpulb-none"}},
		{"no such file", executor("/nowhere/cpulb-none"), 1, []string{"/nowhere/cpulb-none"}},
		{"not executable", executor(plain), 1, []string{plain}},
		{"ends at once", executor("/bin/true"), 1, []string{"/bin/true"}},
		{"fails at once", executor(silent), 1, []string{silent}},
		{"many that fail", strings.Replace(executor(silent), "workers    = 1", "workers    = 12", 1), 1, []string{silent, "and 7 more"}},
		{"prints garbage", executor(garbage), 1, []string{garbage}},
		{"wrong sum", strings.Replace(executor("cpulb-python"), "\n}", "\n  sha256 = \""+strings.Repeat("0", 64)+"\"\n}", 1), 1,
			[]string{"cpulb-python", "another SHA-256"}},
		{"no such group", "socket {\n  group = \"no-such-group\"\n}\n" + onePool, 1, []string{"no-such-group"}},
		{"a core that is not there", strings.Replace(onePool, "\n}", "\n  cores = \"1023\"\n}", 1), 1, []string{`"all"`, "1023"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := shortDir(t)
			status, log := launch(t, dir, c.config).exit()
			if status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			for _, want := range c.want {
				if !strings.Contains(log, want) {
					t.Errorf("no %q in:\n%s", want, log)
				}
			}
			assertNothingIn(t, dir)
		})
	}
}

func TestSecondDaemonOnALiveSocketIsRefused(t *testing.T) {
	dir := shortDir(t)
	first := launch(t, dir, onePool).ready()
	status, log := launch(t, dir, onePool).exit()
	if status != 1 || !strings.Contains(log, first.socket) {
		t.Errorf("status %d:\n%s", status, log)
	}
	if got := first.get("/readyz"); got != 200 {
		t.Errorf("the first answers %d now", got)
	}
}

// A daemon that drains has no socket any more, and its workers still run.
func TestWorkersOfADaemonThatDrainsAreLeftAlone(t *testing.T) {
	dir := shortDir(t)
	first := launch(t, dir, onePool).ready()
	task := startLongTask(t, dir, first)
	first.signal(syscall.SIGTERM)
	first.await("cpulbd: stopping:")
	if status, log := launch(t, dir, onePool).exit(); status != 1 {
		t.Errorf("status %d:\n%s", status, log)
	}
	task.end(t)
	if status, log := first.exit(); status != 0 {
		t.Errorf("status %d:\n%s", status, log)
	}
	assertNothingIn(t, dir)
}

func TestWhatSomebodyElsePutInTheWayIsNotTouched(t *testing.T) {
	dir := shortDir(t)
	elsewhere := t.TempDir()
	precious := writeFile(t, filepath.Join(elsewhere, "precious"), "", 0o600)
	if err := os.Symlink(elsewhere, filepath.Join(dir, "cpulb.sock.d")); err != nil {
		t.Fatal(err)
	}
	status, log := launch(t, dir, onePool).exit()
	if status != 1 || !strings.Contains(log, "in the way") {
		t.Errorf("status %d:\n%s", status, log)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestPrivateSocketIsForItsUserAlone(t *testing.T) {
	dir := shortDir(t)
	p := launch(t, dir, onePool, "-private").ready()
	info, err := os.Stat(p.socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestStateFolderIsMadeForItsUserAlone(t *testing.T) {
	dir := shortDir(t)
	state := filepath.Join(dir, "a", "state")
	launch(t, dir, onePool, "-state-dir", state).ready()
	if info, err := os.Stat(state); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

// Whoever else can change what is in the folder would have the daemon run his tasks.
func TestStateFolderThatOthersControlIsRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(dir string) (state string, err error)
		said string
	}{
		{"open to others", func(dir string) (string, error) {
			state := filepath.Join(dir, "state")
			return state, errors.Join(os.MkdirAll(filepath.Join(state, "journal"), 0o700), os.Chmod(state, 0o777))
		}, "others can write in"},
		{"of another user", func(dir string) (string, error) {
			state := filepath.Join(dir, "state")
			return state, errors.Join(os.Mkdir(state, 0o700), os.Chown(state, 54321, 54321))
		}, "belongs to uid 54321"},
		{"in a folder that is open to others", func(dir string) (string, error) {
			open := filepath.Join(dir, "open")
			return filepath.Join(open, "new", "state"), errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777))
		}, "put something else there"},
		{"behind another user's link", func(dir string) (string, error) {
			link := filepath.Join(dir, "link")
			return link, errors.Join(os.Mkdir(filepath.Join(dir, "state"), 0o700), os.Symlink("state", link), os.Lchown(link, 54321, 54321))
		}, "symbolic link"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give files away")
			}
			dir := shortDir(t)
			state, err := c.make(dir)
			if err != nil {
				t.Fatal(err)
			}
			status, log := launch(t, dir, onePool, "-state-dir", state).exit()
			if status != 1 || !strings.Contains(log, "-state-dir: ") || !strings.Contains(log, c.said) {
				t.Errorf("status %d:\n%s", status, log)
			}
			if _, err := os.Stat(filepath.Join(dir, "open", "new")); err == nil {
				t.Error("it was made before it was looked at")
			}
		})
	}
}

func TestEmptyStateFolderThatIsOpenToOthersIsClosed(t *testing.T) {
	dir := shortDir(t)
	state := filepath.Join(dir, "state")
	if err := errors.Join(os.Mkdir(state, 0o700), os.Chmod(state, 0o777)); err != nil {
		t.Fatal(err)
	}
	launch(t, dir, onePool, "-state-dir", state).ready()
	if info, err := os.Stat(state); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestWorkersFolderInAFolderThatOthersControlIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a private daemon that is not root's may stand there")
	}
	dir := shortDir(t)
	open := filepath.Join(dir, "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777)); err != nil {
		t.Fatal(err)
	}
	status, log := launch(t, dir, onePool, "-private", "-socket", filepath.Join(open, "s.sock")).exit()
	if status != 1 || !strings.Contains(log, "folder for the workers: ") || !strings.Contains(log, "others can write in") {
		t.Errorf("status %d:\n%s", status, log)
	}
}

func TestStateFolderThatCannotBeMadeIsNamed(t *testing.T) {
	dir := shortDir(t)
	file := writeFile(t, filepath.Join(dir, "file"), "", 0o600)
	status, log := launch(t, dir, onePool, "-state-dir", filepath.Join(file, "state")).exit()
	if status != 1 || !strings.Contains(log, "-state-dir: ") || !strings.Contains(log, file) {
		t.Errorf("status %d:\n%s", status, log)
	}
}

func TestSocketThatIsRemovedIsMadeAgain(t *testing.T) {
	dir := shortDir(t)
	p := launch(t, dir, onePool).ready()
	if err := os.Remove(p.socket); err != nil {
		t.Fatal(err)
	}
	p.await("it was made again")
	if got := p.get("/readyz"); got != 200 {
		t.Errorf("it answers %d", got)
	}
	p.signal(syscall.SIGTERM)
	if status, log := p.exit(); status != 0 {
		t.Errorf("status %d:\n%s", status, log)
	}
	assertNothingIn(t, dir)
}
