package python

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// ofModule are the lines of a traceback that a called function has not.
var ofModule = regexp.MustCompile(`  (\| +)?File "[^"]*", line \d+, in <module>\n  (\| +)? *main\(.*\n`)

// What a task forks ends as it does where python3 runs the script.
func TestAForkedChildEndsAsPythonsDoes(t *testing.T) {
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Skip(err)
	}
	path, err := filepath.Abs(script("forks_a_child_that_ends.py"))
	if err != nil {
		t.Fatal(err)
	}
	const parts = 4 // each with a worker of its own, beside each other
	for _, most := range turnsOfProcesses() {
		for part := range parts {
			t.Run(fmt.Sprintf("%s/%d", most, part), func(t *testing.T) {
				t.Parallel()
				p := openApart(t, map[string]string{"max_tasks": most})
				var ends []string
				if err := json.Unmarshal(p.run(path, `"list"`).Data, &ends); err != nil || len(ends) < 30 {
					t.Fatalf("%v %v", ends, err)
				}
				for i, end := range ends {
					if i%parts == part {
						t.Run(end, func(t *testing.T) { p.endsAsPythons(t, path, end, i/parts) })
					}
				}
			})
		}
	}
}

// endsAsPythons has a child end in that way, of a plain script and of a function; with -short of
// one of them, in turn.
func (p *process) endsAsPythons(t *testing.T, path, end string, turn int) {
	wantStdout, wantStderr := asPythonPrints(t, path, end)
	wants := func(what string, o plugins.Outcome, wantStderr string) {
		o.Stderr = address.ReplaceAllString(o.Stderr, "")
		if o.Status != task.Completed || o.Stdout != wantStdout || o.Stderr != wantStderr {
			t.Errorf("as a %s: %v %+v\n%s%s\npython3:\n%s%s", what, o.Status, o.Error, o.Stdout, o.Stderr, wantStdout, wantStderr)
		}
	}
	if itsTurn(turn, 0, 2) {
		wants("plain script", p.runFunction(path, "__main__", `["`+end+`"]`), wantStderr)
	}
	if itsTurn(turn, 1, 2) {
		wants("function", p.run(path, `"`+end+`"`), ofModule.ReplaceAllString(wantStderr, ""))
	}
}

// An address is of no interest.
var address = regexp.MustCompile(` at 0x[0-9a-f]+`)

// asPythonPrints is what python3 prints.
func asPythonPrints(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, err strings.Builder
	c := exec3(t, args...)
	c.Stdout, c.Stderr = &out, &err
	if failure := c.Run(); failure != nil {
		t.Fatalf("%v: %s", failure, err.String())
	}
	return out.String(), address.ReplaceAllString(err.String(), "")
}
