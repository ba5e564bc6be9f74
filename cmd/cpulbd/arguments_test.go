package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// call runs cpulbd to its end and returns its status and what it printed.
func call(t *testing.T, args ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs, "cpulbd"), args...)
	out, _ := cmd.CombinedOutput() // the status says more than the error
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestVersionIsPrinted(t *testing.T) {
	if status, out := call(t, "-version"); status != 0 || !strings.HasPrefix(out, "cpulbd ") {
		t.Errorf("status %d: %s", status, out)
	}
}

func TestWrongArgumentsEndWithTwo(t *testing.T) {
	for _, args := range [][]string{{"-no-such-flag"}, {"start"}} {
		if status, out := call(t, args...); status != 2 || !strings.Contains(out, strings.TrimPrefix(args[0], "-")) {
			t.Errorf("%q: status %d: %s", args, status, out)
		}
	}
}

func TestCheckConfigSaysOKOrEverythingThatIsWrong(t *testing.T) {
	dir := t.TempDir()
	good := writeFile(t, filepath.Join(dir, "good.hcl"), onePool, 0o600)
	bad := writeFile(t, filepath.Join(dir, "bad.hcl"), "log {\n  colour = 1\n  level = 2\n}\n", 0o600)
	for _, c := range []struct {
		file   string
		status int
		want   []string
	}{
		{"../../config.hcl", 0, []string{"OK: ../../config.hcl"}},
		{good, 0, []string{"OK: " + good}},
		{bad, 1, []string{bad + `:2:3: unknown key "colour" in log (allowed: level, format)`, bad + ":3:11: log.level: must be a string"}},
		{filepath.Join(dir, "none.hcl"), 1, []string{"none.hcl: no such file"}},
	} {
		status, out := call(t, "-check-config", "-config", c.file)
		if status != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.file, status, c.status, out)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in: %s", c.file, want, out)
			}
		}
	}
}
