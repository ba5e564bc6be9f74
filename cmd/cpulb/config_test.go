package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpulb/internal/programs"
)

func TestAConfigurationIsCheckedAndShownAsTheDaemonTakesIt(t *testing.T) {
	folder := t.TempDir()
	if err := programs.Into(folder, "cpulbd"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder)
	t.Setenv("CPULB_SOCKET", filepath.Join(folder, "none"))
	files := map[string]string{"good": "queue {\n  max_tasks = 7\n}\n", "bad": "queue {\n  max_tasks = 0\n  polcy = 1\n}\n", "syntax": "queue {", "user": "access { users = [\"no such user\"] }"}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := func(name string) string { return filepath.Join(folder, name) }
	for _, c := range []struct {
		args        []string
		code        int
		stdout, err []string // parts; none means empty
	}{
		{[]string{"check", file("good")}, 0, []string{"OK: " + file("good"), "MiB at the most"}, nil},
		{[]string{"check", file("bad")}, 1, nil, []string{file("bad") + ":2:15: queue.max_tasks: must be a whole number", file("bad") + `:3:3: unknown key "polcy" in queue (allowed: max_tasks, `}},
		{[]string{"check", file("syntax")}, 1, nil, []string{file("syntax") + ":1:"}},
		{[]string{"check", file("user")}, 1, nil, []string{"no such user"}},
		{[]string{"check", file("absent")}, 1, nil, []string{"no such file"}},
		{[]string{"check", "--json", file("bad")}, 1, []string{`{"ok":false`, `"line":3,"column":3`, `"allowed":["max_tasks",`}, nil},
		{[]string{"check", "--json", file("good")}, 0, []string{`{"ok":true`, `"memory_bytes":`}, nil},
		{[]string{"check", "--worker-user", "no such user", file("good")}, 1, nil, []string{"no such user"}},
		{[]string{"show", file("good")}, 0, []string{"max_tasks          = 7\n", `policy             = "reject"`, `pool "cpu" {`, "idle_timeout"}, nil},
		{[]string{"show", file("bad")}, 1, nil, []string{":2:15:"}},
	} {
		got := cpulb(t.Context(), "", append([]string{"config"}, c.args...)...)
		if got.code != c.code || (len(c.stdout) == 0) != (got.stdout == "") || (len(c.err) == 0) != (got.err == "") {
			t.Errorf("config %v: %+v", c.args, got)
		}
		for _, part := range c.stdout {
			if !strings.Contains(got.stdout, part) {
				t.Errorf("config %v: %q lacks %q", c.args, got.stdout, part)
			}
		}
		for _, part := range c.err {
			if !strings.Contains(got.err, part) {
				t.Errorf("config %v: %q lacks %q", c.args, got.err, part)
			}
		}
	}
	var shown struct{ Queue struct{ Max_tasks int } }
	if got := cpulb(t.Context(), "", "config", "show", "--json", file("good")); json.Unmarshal([]byte(got.stdout), &shown) != nil || shown.Queue.Max_tasks != 7 {
		t.Errorf("%+v", got)
	}
	t.Setenv("PATH", "")
	if got := cpulb(t.Context(), "", "config", "check"); got.code != 1 || !strings.Contains(got.err, "cpulbd") {
		t.Errorf("without cpulbd: %+v", got)
	}
}

func TestWhatHoldsInTheDaemonIsShown(t *testing.T) {
	administrator(t)
	if got := cpulb(t.Context(), "", "config", "show"); got != (outcome{0, "log {\n  level = \"info\"\n}\n", ""}) {
		t.Errorf("%+v", got)
	}
	if got := cpulb(t.Context(), "", "config", "show", "--json"); got != (outcome{0, `{"log":{"level":"info"}}` + "\n", ""}) {
		t.Errorf("%+v", got)
	}
}

func TestTheFlagsOfADaemonAreFound(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"cpulbd -config /a -private", "/a"},
		{"cpulbd --config=/b", "/b"},
		{"cpulbd -config", ""},
		{"cpulbd config /x", ""},
		{"cpulbd -configs /x", ""},
	} {
		if got := valueIn(strings.Fields(c.line), "config"); got != c.want {
			t.Errorf("%s: %q, want %q", c.line, got, c.want)
		}
	}
}

func TestTheDoctorEndsByTheWorst(t *testing.T) {
	t.Setenv("CPULB_SOCKET", filepath.Join(t.TempDir(), "none"))
	got := cpulb(t.Context(), "", "doctor")
	if got.code != 1 || got.err != "" || !strings.Contains(got.stdout, "failed   socket") || !strings.Contains(got.stdout, "→ ") || strings.Contains(got.stdout, "\x1b") {
		t.Errorf("%+v", got)
	}
	for line := range strings.Lines(cpulb(t.Context(), "", "doctor", "--json").stdout) {
		var f struct{ Check, Level, Found string }
		if json.Unmarshal([]byte(line), &f) != nil || f.Check == "" || f.Level == "" || f.Found == "" {
			t.Errorf("%s", line)
		}
	}
}
