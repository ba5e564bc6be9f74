package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

func TestTheManualPageHasEveryFlag(t *testing.T) {
	_, help := call(t, "-help")
	status, page := call(t, "-man")
	flags := regexp.MustCompile(`(?m)^  -([a-z-]+)`).FindAllStringSubmatch(help, -1)
	for _, flag := range flags {
		if !strings.Contains(page, "\n.TP\n\\fB"+strings.ReplaceAll("-"+flag[1], "-", `\-`)+`\fR`) {
			t.Errorf("-%s is not in it", flag[1])
		}
	}
	if status != 0 || len(flags) < 6 || !strings.HasPrefix(page, `.TH "CPULBD" "8"`) {
		t.Errorf("status %d, %d flags: %s", status, len(flags), page)
	}
}

func TestWrongArgumentsEndWithTwo(t *testing.T) {
	for _, args := range [][]string{{"-no-such-flag"}, {"start"}, {"-socket", ""}, {"-config="}, {"-state-dir="}} {
		if status, out := call(t, args...); status != 2 || !strings.Contains(out, strings.Trim(args[0], "-=")) {
			t.Errorf("%q: status %d: %s", args, status, out)
		}
	}
}

func TestEveryFlagIsDocumented(t *testing.T) {
	status, help := call(t, "-help")
	docs, err := os.ReadFile("../../docs/configuration.md")
	if err != nil || status != 0 {
		t.Fatal(status, err)
	}
	flags := regexp.MustCompile(`(?m)^  -([a-z-]+)`).FindAllStringSubmatch(help, -1)
	if len(flags) < 6 {
		t.Fatalf("only %q in: %s", flags, help)
	}
	for _, flag := range flags {
		if !strings.Contains(string(docs), "\n| `-"+flag[1]) {
			t.Errorf("-%s is not in docs/configuration.md", flag[1])
		}
	}
}

func TestCheckConfigSaysOKOrEverythingThatIsWrong(t *testing.T) {
	dir := t.TempDir()
	good := writeFile(t, filepath.Join(dir, "good.hcl"), onePool, 0o600)
	bad := writeFile(t, filepath.Join(dir, "bad.hcl"), "log {\n  colour = 1\n  level = 2\n}\n", 0o600)
	pool := func(user string) string {
		return writeFile(t, filepath.Join(dir, user+".hcl"), strings.Replace(onePool, "{", "{\n  user = \""+user+"\"", 1), 0o600)
	}
	for _, c := range []struct {
		file   string
		status int
		want   []string
	}{
		{pool("no-such-user"), 78, []string{`there is no user "no-such-user"; a name or a number is allowed`}},
		{pool("root"), 0, []string{"OK: ", "run as root: who may submit there can do anything to the machine"}},
		{"../../config.hcl", 0, []string{"OK: ../../config.hcl", "memory: the daemon takes "}},
		{good, 0, []string{"OK: " + good}},
		{bad, 78, []string{bad + `:2:3: unknown key "colour" in log (allowed: level, format)`, bad + ":3:11: log.level: must be a string"}},
		{filepath.Join(dir, "none.hcl"), 78, []string{"none.hcl: no such file"}},
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
