package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpulb/internal/programs"
	"cpulb/ipc/ipctest"
)

// opened are files that can't be written to: a disk that is full, and one that is open for reading alone.
func opened(t *testing.T) map[string]*os.File {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	reading, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { full.Close(); reading.Close() })
	return map[string]*os.File{"no space left": full, "it is not open for that": reading}
}

func TestACommandThatCanNotWriteItsOutputFailsAndSaysSo(t *testing.T) {
	administrator(t)
	dir := t.TempDir()
	if err := programs.Into(dir, "cpulbd"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	config := filepath.Join(dir, "config.hcl")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	id := submitted(t, ipctest.Chatty)
	for why, out := range opened(t) {
		said := func(line string) string {
			var err bytes.Buffer
			stdin := strings.NewReader(`{"script_path":"/echo.py"}`)
			code := run(t.Context(), strings.Fields(line), newTerminal(stdin, out, &err))
			if said := err.String(); code != exitFailed || !strings.Contains(said, "stdout can't be written to: ") || !strings.Contains(said, why) {
				t.Errorf("cpulb %s: %d %q, want 1 and %q", line, code, said, why)
			}
			return err.String()
		}
		for _, line := range []string{"run --function=__main__ " + ipctest.Chatty, "run --follow " + ipctest.Chatty, "map /echo.py", "batch --wait -", "result " + id,
			"events " + id, "events --no-wait " + id, "logs " + id, "logs --json " + id, "logs --follow " + id, "tasks", "tasks --json", "tasks --watch",
			"tasks --watch --json", "cancel --label=a=b", "status", "status --json", "workers", "workers --json", "executors", "executors --json", "schedules",
			"schedules --json", "stacks cpu-0", "doctor", "doctor --json", "config show " + config, "config check " + config, "config check --json " + config,
			"completion bash", "man", "top --once --interval=10ms", "top --json --interval=10ms", "dashboard", "--help", "run --help", "--version"} {
			said(line)
		}
		for line, now := range map[string]string{"submit /echo.py": "has been submitted, but ", "rerun " + id: "has been submitted, but ",
			"batch -": "has been submitted, but ", "run /echo.py": "; cpulb result "} {
			if said := said(line); !strings.Contains(said, now) {
				t.Errorf("cpulb %s: %q does not say what there is now", line, said)
			}
		}
		var err bytes.Buffer
		if code := run(t.Context(), []string{"cancel", id}, newTerminal(nil, out, &err)); code != exitOK { // which prints nothing
			t.Errorf("cpulb cancel: %d %q", code, err.String())
		}
	}
}
