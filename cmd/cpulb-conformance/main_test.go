package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cpulb/internal/programs"
	"cpulb/plugins"
	"cpulb/plugins/conformance"
	"cpulb/plugins/executortest"
)

// roleEnv makes the test binary an executor, or something else that is started as one.
const roleEnv = "CPULB_CONFORMANCE_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "fake":
		plugins.Serve(executortest.Fake{})
	case "hangs": // before its handshake
		_ = os.WriteFile(os.Getenv("CPULB_CONFORMANCE_PID"), []byte(strconv.Itoa(os.Getpid())), 0o600)
		select {}
	case "hangs in Configure":
		plugins.Serve(hangs{})
	case "steers the terminal":
		_, _ = os.Stdout.WriteString("\x1b]0;owned\x07\n")
	}
}

type hangs struct{ executortest.Fake }

// Configure implements plugins.Executor.
func (hangs) Configure(ctx context.Context, _ plugins.Configuration) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

// scripts makes a folder of files named after behaviours; the fake needs no more of them.
func scripts(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

type outcome struct {
	code        int
	stdout, err string
}

// test runs one command line with the test binary as BINARY.
func test(t *testing.T, role string, args ...string) outcome {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := run(t.Context(), "cpulb executors test", append([]string{own, "--env", roleEnv + "=" + role}, args...), &out, &errs)
	return outcome{code, out.String(), errs.String()}
}

func TestTheReportHasALineForEachPromise(t *testing.T) {
	dir := scripts(t, "echo.x", "blocks_until_stopped", "environment.x", "README")
	got := test(t, "fake", "--scripts", dir, "--only", "returned|AnUnusable|Shared|Env|TooLarge")
	want := []string{": the executor fake 1 (fake runtime), with CANCEL, EVENTS, SHARED_CLAIMS, OUTPUT\n\n", "\nok       An unusable value is refused by name\n",
		"\nok       A result is what the script returned\n", "\nskipped  A result that is too large fails the task only: no script for huge-result\n",
		"\nskipped  A task has its environment: TASK_ENV is not among the capabilities\n",
		"\nok       Shared memory tells what has become of a task\n", "\n\n3 kept, 0 broken, 2 skipped\n"}
	for _, w := range want {
		if !strings.Contains(got.stdout, w) {
			t.Errorf("%q is not in the report", w)
		}
	}
	if got.code != 0 || got.err != "" || t.Failed() {
		t.Errorf("%d %s\n%s", got.code, got.err, got.stdout)
	}
}

func TestABrokenPromiseSaysWhatWasExpectedAndWhatCame(t *testing.T) {
	dir := scripts(t, "echo.x", "fails.is-not-there")
	const only = "AnErrorIs|returned"
	got := test(t, "fake", "--scripts", dir, "--only", only)
	broken := "\nFAILED   An error is a failed result\n           wanted a failed Result with the code exception or exit, and \"as asked\" in its message or stderr, got failed [script_not_found]"
	if got.code != 1 || !strings.Contains(got.stdout, broken) || !strings.Contains(got.stdout, "\n1 kept, 1 broken, 0 skipped\n") {
		t.Errorf("%+v", got)
	}
	if got.err != "" {
		t.Errorf("stderr: %s", got.err)
	}

	// As JSON, and as a table of it.
	got = test(t, "fake", "--scripts", dir, "--only", only, "--json")
	var r report
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || got.code != 1 || r.Kept != 1 || r.Broken != 1 || r.Executor.Name != "fake" || len(r.Promises) != 2 {
		t.Errorf("%v %+v", err, got)
	}
	file := filepath.Join(t.TempDir(), "fake.json")
	if err := os.WriteFile(file, []byte(got.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := run(t.Context(), "x", []string{"--table", file, "--table", file}, &out, &errs)
	if code != 0 || !strings.HasPrefix(out.String(), "| promise | fake | fake |\n|---|---|---|\n| A result is what the script returned | kept | kept |\n") {
		t.Errorf("%d %s%s", code, errs.String(), out.String())
	}
}

func TestWhatIsNoExecutorGetsAClearReport(t *testing.T) {
	dir := scripts(t, "echo.x")
	tmp := shortTemp(t)
	for _, c := range []struct{ role, says string }{
		{"exits at once", "ended with exit status 0: not an executor"},
		{"hangs", "executor did not get ready in time"},
		{"hangs in Configure", "executor did not get ready in time"},
		{"steers the terminal", "not an executor"},
	} {
		got := test(t, c.role, "--scripts", dir, "--patience", "2s")
		if got.code != 1 || !strings.HasPrefix(got.err, "cpulb executors test: it does not start as an executor: ") || !strings.Contains(got.err, c.says) ||
			strings.Count(got.err, "\n") != 1 || strings.ContainsRune(got.err, 0x1b) {
			t.Errorf("%s: %+v", c.role, got)
		}
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	for _, args := range [][]string{{}, {"--scripts", "/nonexistent"}, {"--scripts", tmp}, {"--scripts", dir, "--only", "("}, {"--scripts", dir, "--only", "nothing at all"},
		{"--scripts", dir, "--slots", "1"}, {"--scripts", dir, "--nonsense"}, {"--table", dir}} {
		if got := test(t, "fake", args...); got.code != 2 || !strings.Contains(got.err, "--help") || got.stdout != "" {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

func TestEveryBehaviourIsDescribed(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), "x", []string{"--behaviours"}, &out, &errs); code != 0 {
		t.Fatalf("%d %s", code, errs.String())
	}
	for b := range executortest.FakeScripts() {
		if !strings.Contains(out.String(), "\n"+string(b)+" ") && !strings.HasPrefix(out.String(), string(b)+" ") {
			t.Errorf("%s is not described", b)
		}
	}
	for _, p := range conformance.Promises() {
		for _, b := range p.Needs {
			if !strings.Contains(out.String(), string(b)+" ") {
				t.Errorf("%s needs %s, which is not described", p.Name, b)
			}
		}
	}
}

// Through cpulb, as people run it.
func TestAnInterruptLeavesNothingBehind(t *testing.T) {
	bin := t.TempDir()
	if err := programs.Into(bin, "cpulb", "cpulb-conformance"); err != nil {
		t.Fatal(err)
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, started := scripts(t, "echo.x"), filepath.Join(t.TempDir(), "started")
	tmp := shortTemp(t)
	cmd := exec.Command(filepath.Join(bin, "cpulb"), "executors", "test", own, "--scripts", dir,
		"--env", roleEnv+"=hangs", "--env", "CPULB_CONFORMANCE_PID="+started)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		if _, err := os.Stat(started); err == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("%v %s", err, errs.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-ended
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.HasPrefix(errs.String(), "cpulb executors test: ") || !strings.Contains(errs.String(), "interrupted") {
		t.Errorf("%d %s", code, errs.String())
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	text, err := os.ReadFile(started)
	if err != nil {
		t.Fatal(err)
	}
	// It was a child of the command, and has been waited for before the command ended.
	if cmdline, err := os.ReadFile("/proc/" + string(text) + "/cmdline"); err == nil && strings.Contains(string(cmdline), own) {
		t.Errorf("process %s lives on", text)
	}
}

// shortTemp makes os.TempDir a folder that is empty and whose path is short enough for
// sockets.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ct")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
	return dir
}
