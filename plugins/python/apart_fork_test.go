package python

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cpulb/daemon/task"
)

// ofModule are the lines of a traceback that a called function has not.
var ofModule = regexp.MustCompile(`  (\| +)?File "[^"]*", line \d+, in <module>\n  (\| +)? *main\(.*\n`)

// What a task forks ends as it does where python3 runs the script.
func TestAForkedChildEndsAsPythonsDoes(t *testing.T) {
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Skip(err)
	}
	for _, most := range turnsOfProcesses() {
		p := openApart(t, map[string]string{"max_tasks": most})
		path, err := filepath.Abs(script("forks_a_child_that_ends.py"))
		if err != nil {
			t.Fatal(err)
		}
		var ends []string
		if err := json.Unmarshal(p.run(path, `"list"`).Data, &ends); err != nil || len(ends) < 30 {
			t.Fatalf("%v %v", ends, err)
		}
		for _, end := range ends {
			t.Run(most+"/"+end, func(t *testing.T) {
				wantStdout, wantStderr := asPythonPrints(t, path, end)
				o := p.runFunction(path, "__main__", `["`+end+`"]`)
				o.Stderr = address.ReplaceAllString(o.Stderr, "")
				if o.Status != task.Completed || o.Stdout != wantStdout || o.Stderr != wantStderr {
					t.Errorf("as a plain script: %v %+v\n%s%s\npython3:\n%s%s", o.Status, o.Error, o.Stdout, o.Stderr, wantStdout, wantStderr)
				}
				o = p.run(path, `"`+end+`"`)
				o.Stderr = address.ReplaceAllString(o.Stderr, "")
				if wantStderr = ofModule.ReplaceAllString(wantStderr, ""); o.Status != task.Completed || o.Stdout != wantStdout || o.Stderr != wantStderr {
					t.Errorf("as a function: %v %+v\n%s%s\npython3:\n%s%s", o.Status, o.Error, o.Stdout, o.Stderr, wantStdout, wantStderr)
				}
			})
		}
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
