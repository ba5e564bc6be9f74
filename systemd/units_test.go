package systemd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func systemdFindsNothingWrongWithTheUnits(t *testing.T, b *box) {
	b.install(t, onePool)
	out, err := b.try(t, "systemd-analyze", "verify", "--recursive-errors=no",
		"/usr/lib/systemd/system/cpulbd.service", "/usr/lib/systemd/system/cpulbd.socket")
	if err != nil || out != "" { // it succeeds with warnings, too
		t.Errorf("%v: %s", err, out)
	}
}

// The worker waits at a gate before it begins, and systemctl start waits with it.
func startReturnsWhenTheDaemonIsReadyAndNotBefore(t *testing.T, b *box) {
	b.install(t, "executor \"python\" {\n  command = \"/srv/box/gated\"\n}\n"+onePool)
	gate := filepath.Join(b.dir, "gate")
	if err := unix.Mkfifo(gate, 0o644); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nread line </srv/box/gate\nexec /usr/libexec/cpulb/cpulb-python\n"
	if err := os.WriteFile(filepath.Join(b.dir, "gated"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	started := make(chan string, 1)
	go func() {
		out, err := b.try(t, "systemctl", "start", "cpulbd.service")
		if err != nil {
			out += err.Error()
		}
		started <- out
	}()
	open, err := os.OpenFile(gate, os.O_WRONLY, 0) // waits for the worker
	if err != nil {
		t.Fatal(err)
	}
	if got := b.show(t, "ActiveState"); got != "activating" {
		t.Errorf("the state is %s before the worker is ready", got)
	}
	select {
	case out := <-started:
		t.Errorf("systemctl start returned before the worker was ready: %s", out)
	default:
	}
	if _, err := open.WriteString("go\n"); err != nil {
		t.Fatal(err)
	}
	open.Close()
	if out := <-started; out != "" {
		t.Fatalf("systemctl start: %s\n%s", out, b.journal(t))
	}
	if got := b.show(t, "ActiveState"); got != "active" {
		t.Errorf("the state is %s", got)
	}
	if got := b.show(t, "StatusText"); !strings.HasPrefix(got, "ready: ") {
		t.Errorf("the status is %q", got)
	}
}

func firstClientOfTheSocketStartsTheDaemon(t *testing.T, b *box) {
	b.install(t, onePool)
	b.run(t, "systemctl", "start", "cpulbd.socket")
	if got := b.show(t, "ActiveState"); got != "inactive" {
		t.Fatalf("the service is %s before any client", got)
	}
	if status, body := b.ask(t, "GET", "/readyz", ""); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if got := b.show(t, "ActiveState"); got != "active" {
		t.Errorf("the service is %s", got)
	}
	if got := b.run(t, "stat", "-c", "%a %U %G", "/run/cpulb/cpulb.sock"); got != "660 root cpulb" {
		t.Errorf("the socket is %s", got)
	}
}

func stopIsInOrderAndLeavesNothing(t *testing.T, b *box) {
	b.install(t, onePool)
	b.run(t, "systemctl", "start", "cpulbd.service")
	b.run(t, "systemctl", "stop", "cpulbd.socket", "cpulbd.service")
	if result, status := b.show(t, "Result"), b.show(t, "ExecMainStatus"); result != "success" || status != "0" {
		t.Errorf("%s, status %s\n%s", result, status, b.journal(t))
	}
	if left := b.processes(t); len(left) > 0 {
		t.Errorf("%q still run", left)
	}
	for _, path := range []string{"run/cpulb/cpulb.sock", "run/cpulbd"} {
		if _, err := os.Lstat(b.path(path)); !os.IsNotExist(err) {
			t.Errorf("/%s: %v", path, err)
		}
	}
	if log := b.journal(t); !strings.Contains(log, "stopping") || !strings.Contains(log, "stopped") {
		t.Errorf("the journal does not tell of the stop:\n%s", log)
	}
}

func clientDuringARestartAfterAKillIsAnswered(t *testing.T, b *box) {
	b.install(t, onePool)
	b.run(t, "systemctl", "start", "cpulbd.service")
	main := b.mainProcess(t)
	main.signal(unix.SIGKILL)
	main.awaitEnd()
	if status, body := b.ask(t, "GET", "/readyz", ""); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if got := b.show(t, "NRestarts"); got != "1" {
		t.Errorf("%s restarts", got)
	}
}

func daemonThatHangsIsRestarted(t *testing.T, b *box) {
	b.install(t, onePool)
	dropIn := b.path("etc/systemd/system/cpulbd.service.d")
	if err := os.MkdirAll(dropIn, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dropIn, "test.conf"), []byte("[Service]\nWatchdogSec=2s\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.run(t, "systemctl", "daemon-reload")
	b.run(t, "systemctl", "start", "cpulbd.service")
	main := b.mainProcess(t)
	main.signal(unix.SIGSTOP)
	main.awaitEnd() // systemd has missed the signs of life
	if status, body := b.ask(t, "GET", "/readyz", ""); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if got := b.show(t, "NRestarts"); got == "0" { // a machine that stands still for 2 s makes it more than 1
		t.Errorf("%s restarts", got)
	}
}

func startWithABadConfigurationFailsOnceAndTheJournalSaysWhy(t *testing.T, b *box) {
	b.install(t, "log {\n  colour = true\n}\n")
	if out, err := b.try(t, "systemctl", "start", "cpulbd.service"); err == nil {
		t.Errorf("it started: %s", out)
	}
	for property, want := range map[string]string{"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"} {
		if got := b.show(t, property); got != want {
			t.Errorf("%s is %s, want %s", property, got, want)
		}
	}
	const want = `/etc/cpulb/config.hcl:2:3: unknown key "colour" in log (allowed: level, format)`
	if log := b.journal(t); !strings.Contains(log, want) {
		t.Errorf("no %q in:\n%s", want, log)
	}
}

// Whoever connects while the configuration is wrong is told so, however many there are
// and however often, and the socket stays for those who come once it has been mended.
func clientsOfAWrongConfigurationAreToldSoAndTheSocketStays(t *testing.T, b *box) {
	b.install(t, "log {\n  colour = true\n}\n")
	b.run(t, "systemctl", "start", "cpulbd.socket")
	for range 6 { // more starts than systemd allows by default
		status, body := b.ask(t, "GET", "/v1/status", "")
		if status != 503 || !strings.Contains(string(body), `unknown key \"colour\"`) {
			t.Fatalf("%d %s\n%s", status, body, b.journal(t))
		}
		_, _ = b.try(t, "systemctl", "start", "cpulbd.service") // which fails, as it does without a client
		b.run(t, "systemctl", "is-active", "cpulbd.socket")
	}
	if err := os.WriteFile(b.path("etc/cpulb/config.hcl"), []byte(onePool), 0o644); err != nil {
		t.Fatal(err)
	}
	if status, body := b.ask(t, "GET", "/readyz", ""); status != 200 {
		t.Errorf("%d %s\n%s", status, body, b.journal(t))
	}
}

// A client that connects while the daemon fails to start for another reason waits until
// that has been mended.
func aClientOfADaemonThatFailsWaitsAndTheSocketStays(t *testing.T, b *box) {
	b.install(t, strings.Replace(onePool, "python", "failing", 1)+"executor \"failing\" {\n  command = \"/bin/false\"\n}\n")
	b.run(t, "systemctl", "start", "cpulbd.socket")
	mended := make(chan struct{})
	go func() {
		defer close(mended)
		for strings.Count(b.journal(t), "Failed with result") < 7 && t.Context().Err() == nil {
			time.Sleep(100 * time.Millisecond) // there is no event for it
		}
		if err := os.WriteFile(b.path("etc/cpulb/config.hcl"), []byte(onePool), 0o644); err != nil {
			t.Error(err)
		}
	}()
	if status, body := b.ask(t, "GET", "/readyz", ""); status != 200 {
		t.Errorf("%d %s\n%s", status, body, b.journal(t))
	}
	<-mended
}

const surroundings = `import os, pwd, tempfile

def main(params):
    with tempfile.NamedTemporaryFile() as f:
        f.write(b"x")
    return {"user": pwd.getpwuid(os.getuid()).pw_name, "environment": sorted(os.environ)}
`

func scriptRunsAsTheUnitsUserOfScriptsAndSeesNothingOfSystemd(t *testing.T, b *box) {
	b.install(t, onePool)
	b.run(t, "systemctl", "start", "cpulbd.service")
	data := b.runScript(t, surroundings)
	if data["user"] != "cpulb-worker" {
		t.Errorf("it ran as %v", data["user"])
	}
	for _, name := range data["environment"].([]any) {
		switch name := name.(string); {
		case strings.HasPrefix(name, "LISTEN_"), strings.HasPrefix(name, "WATCHDOG_"), name == "NOTIFY_SOCKET":
			t.Errorf("the script could see %s", name)
		}
	}
}

// systemctl reload waits for the reload, and fails with it.
func reloadTellsWhetherItWasDone(t *testing.T, b *box) {
	b.install(t, onePool)
	b.run(t, "systemctl", "start", "cpulbd.service")
	b.run(t, "sh", "-c", "sed -i 's/workers    = 1/workers    = 2/' /etc/cpulb/config.hcl")
	b.run(t, "systemctl", "reload", "cpulbd.service")
	if status, body := b.ask(t, "GET", "/v1/workers", ""); status != 200 || !strings.Contains(string(body), "all-1") {
		t.Errorf("%d %s", status, body)
	}
	b.run(t, "sh", "-c", "echo 'nonsense' >>/etc/cpulb/config.hcl")
	if out, err := b.try(t, "systemctl", "reload", "cpulbd.service"); err == nil {
		t.Errorf("a bad reload succeeded: %s", out)
	}
	if got := b.show(t, "ActiveState"); got != "active" {
		t.Errorf("the state is %s", got)
	}
	if log := b.journal(t); !strings.Contains(log, "reload_failed") {
		t.Errorf("the journal does not say why:\n%s", log)
	}
}

// Each worker has a cgroup of its own below the unit's, in which pool.memory holds if
// this machine has the memory controller in version 2.
func workersHaveCgroupsOfTheirOwn(t *testing.T, b *box) {
	b.install(t, strings.Replace(onePool, "workers    = 1", "workers    = 1\n  memory     = \"512MiB\"", 1))
	b.run(t, "systemctl", "start", "cpulbd.service")
	_, body := b.ask(t, "GET", "/v1/workers", "")
	var answer struct {
		Workers []struct {
			PID         int
			MemoryLimit string `json:"memory_limit"`
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Workers) != 1 {
		t.Fatalf("%v: %s", err, body)
	}
	w := answer.Workers[0]
	own := b.run(t, "cat", fmt.Sprintf("/proc/%d/cgroup", w.PID))
	if !strings.Contains(own, "cpulbd.service/workers/worker-all-0.") {
		t.Errorf("its cgroups are\n%s\n%s", own, b.journal(t))
	}
	want := "rlimit_data"
	if strings.Contains(b.journal(t), "bounds_memory=true") {
		want = "cgroup"
	}
	if w.MemoryLimit != want {
		t.Errorf("the limit is %s, not %s", w.MemoryLimit, want)
	}
}
