package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCommandLineSwapsAProgramAndRollsItBack(t *testing.T) {
	t.Parallel()
	dir := copies(t, sound, sound2, refuses)
	at := func(name string) string { return filepath.Join(dir, name) }
	d := start(t, fmt.Sprintf(`
executor "x" {
  command = %q
  env     = { %s = %q }
}
pool "cpu" {
  executor   = "x"
  task_types = ["cpu_bound"]
  workers    = 1
}
`, at(sound), recordVariable, filepath.Join(dir, "record")))
	probe := filepath.Join(dir, "script")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	runs := func() string {
		all := d.lines("/v1/executors")[0]["executors"].([]any)
		return filepath.Base(all[0].(map[string]any)["command"].(string))
	}
	for _, c := range []struct {
		args []string
		code int
		err  string // a part of stderr
		runs string // afterwards
	}{
		{[]string{"swap", "x", "--command", at(sound2), "--canary=90%"}, 2, "canary", sound},
		{[]string{"swap", "x", "--command", at(sound2), "--probe-params={}"}, 2, "--probe-script", sound},
		{[]string{"swap", "x"}, 2, "--command", sound},
		{[]string{"swap", "y", "--command", at(sound2)}, 1, "[executor_not_found]", sound},
		{[]string{"swap", "x", "--command", at("missing")}, 1, "missing", sound},
		{[]string{"swap", "x", "--command", at(sound2), "--sha256=" + strings.Repeat("0", 64)}, 1, "sha256", sound},
		{[]string{"rollback", "x"}, 1, "[swap_conflict]", sound},
		{[]string{"swap", "x", "--command", at(refuses), "--canary=0%"}, 1, "not with me", sound},
		{[]string{"swap", "x", "--command", at(sound2), "--canary=0%", "--probe-script", probe}, 0, "done, before it " + at(sound), sound2},
		{[]string{"swap", "x", "--command", at(sound2), "--canary=0%"}, 1, "[swap_conflict]", sound2},
		{[]string{"rollback", "x"}, 0, "done, before it " + at(sound2), sound},
		{[]string{"swap", "x", "--command", at(sound2), "--canary=50%", "--for=1h", "--detach"}, 0, "starting", sound},
		{[]string{"rollback", "x"}, 0, "went back", sound},
	} {
		got := d.command("", append([]string{"executors"}, c.args...)...)
		if code := got.end(); code != c.code || !strings.Contains(got.err.String(), c.err) || got.out.Len() > 0 {
			t.Errorf("%v: %d %s%s", c.args, code, &got.out, &got.err)
		}
		if now := runs(); now != c.runs {
			t.Errorf("after %v: %s runs, not %s", c.args, now, c.runs)
		}
	}
}
