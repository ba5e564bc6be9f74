package python

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// exec3 is plain python3, with an environment as a worker has it.
func exec3(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), suiteHangs)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, "/usr/bin/python3", args...)
	c.WaitDelay = time.Second
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"}
	return c
}

// What the behaviours say is right is what python3 does: a step is a process of its
// own there, or, when the fixture asks for it, a call in one that loaded the script once.
func TestPythonDoesWhatTheScriptsAreHeldTo(t *testing.T) {
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Skip(err)
	}
	changed := pythonDoes(t, "behaviour")
	if asked := flag.Lookup("test.run").Value.String(); !t.Failed() && os.Getenv(allRole) != "" && !strings.Contains(asked, "/") { // for all of them, that is
		everyEntryIsChanged(t, changed)
	}
}

// A short run takes one of fewOf fixtures, for a python3 of its own costs more than
// all the rest; make test-differential takes all.
const (
	allRole = "CPULB_DIFFERENTIAL"
	fewOf   = 10
)

// pythonDoes holds the fixtures of a folder to python3, and returns what of the
// process's state they change.
func pythonDoes(t *testing.T, folder string) *sync.Map {
	t.Helper()
	var changed sync.Map
	t.Run(folder, func(t *testing.T) {
		for i, f := range readFixtures(t, folder) {
			if i%fewOf != 0 && os.Getenv(allRole) == "" {
				continue
			}
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				f.skipWithout(t)
				if f.Python == "no" {
					return
				}
				for _, name := range f.underPython(t) {
					changed.Store(name, true)
				}
			})
		}
	})
	return &changed
}

// underPython runs the steps and returns what of the process's state they changed.
func (f *fixture) underPython(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	f.lay(t, dir)
	var changed []string
	var once []string // parameters of all steps
	for i := range f.Steps {
		s := &f.Steps[i]
		s.changeFiles(t, dir)
		if f.Python == "once" {
			once = append(once, string(s.Params))
			continue
		}
		if s.Do != "run" {
			continue
		}
		for _, a := range runPython(t, dir, s, []string{string(s.Params)}) {
			changed = append(changed, a.Changed...)
			f.check(t, i, a.result, dir)
		}
	}
	if f.Python == "once" {
		for i, a := range runPython(t, dir, &f.Steps[0], once) {
			changed = append(changed, a.Changed...)
			f.check(t, i, a.result, dir)
		}
	}
	for _, name := range strings.Fields(f.Changes) {
		if !slices.Contains(changed, name) {
			t.Errorf("it does not change %s, but %v", name, changed)
		}
	}
	return changed
}

// answer is what under_python.py writes of one call.
type answer struct {
	result
	Changed []string
}

// runPython runs the step's script with each of params.
func runPython(t *testing.T, dir string, s *step, params []string) []answer {
	t.Helper()
	path := filepath.Join(dir, s.Script)
	c := exec3(t)
	if s.Function == plain {
		c.Args = append(c.Args, path)
		c.Args = append(c.Args, arguments(t, s.Params)...)
	} else {
		c.Args = append(c.Args, script("under_python.py"), path, s.Function)
		c.Args = append(c.Args, params...)
	}
	answers, err := os.CreateTemp(t.TempDir(), "answers")
	if err != nil {
		t.Fatal(err)
	}
	defer answers.Close()
	c.Env = append(c.Env, "ANSWERS="+answers.Name())
	var stdout, stderr strings.Builder
	c.Stdout, c.Stderr = &stdout, &stderr
	err = c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if s.Function == plain {
		return []answer{{result: result{exit: c.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String(), underPython: true}}}
	}
	var all []answer
	for d := json.NewDecoder(answers); d.More(); {
		a := answer{result: result{underPython: true}}
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	if len(all) != len(params) {
		t.Fatalf("%d answers, %v\n%s%s", len(all), err, stdout.String(), stderr.String())
	}
	if len(all) == 1 { // with what comes at the end of the process
		all[0].Stdout, all[0].Stderr = stdout.String(), stderr.String()
	}
	return all
}

// arguments reads the params of a plain script.
func arguments(t *testing.T, params json.RawMessage) []string {
	t.Helper()
	var args []string
	if err := json.Unmarshal(params, &args); err != nil {
		t.Fatal(err)
	}
	return args
}

// everyEntryIsChanged holds the fixtures to change all that the probe looks at.
func everyEntryIsChanged(t *testing.T, changed *sync.Map) {
	t.Helper()
	out, err := exec3(t, "-c", "import sys, json; sys.path.insert(0, sys.argv[1]); import probe; print(json.dumps(sorted(probe.state())))",
		filepath.Dir(probe)).Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	if err := json.Unmarshal(out, &names); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, ok := changed.Load(name); !ok {
			t.Errorf("no fixture changes %s", name)
		}
	}
}
