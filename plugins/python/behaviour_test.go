package python

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cpulb/embedpy"
)

var probe = script("probe.py")

// Every behaviour holds in every kind of worker that it names, whatever ran in the
// worker before, and leaves nothing changed to the next. A worker in which something
// went wrong or was left is not used again.
func TestScriptsDoWhatTheyDoUnderPython(t *testing.T) {
	all := readFixtures(t, "behaviour")
	for _, kind := range []string{"exclusive", "shared", "loop"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := &crew{kind: kind}
			defer c.dismiss()
			for i, f := range all {
				if f.in(kind) && f.itsTurn(i, kind) {
					t.Run(f.name, func(t *testing.T) { c.behave(t, f) })
				}
			}
		})
	}
}

// behave runs the fixture, and the probe after it.
func (c *crew) behave(t *testing.T, f *fixture) {
	if f.Fresh {
		c.dismiss()
	}
	if c.clean == nil || c.worker == nil {
		c.clean = c.look(t)
	}
	defer func() {
		if t.Failed() {
			c.dismiss()
		}
	}()
	dir := t.TempDir()
	f.lay(t, dir)
	f.skipWithout(t)
	gates := f.makeGates(t, dir)
	w := c.get(t)
	started := map[string]*crewTask{}
	for i := range f.Steps {
		s := &f.Steps[i]
		s.changeFiles(t, dir)
		switch s.Do {
		case "nothing":
		case "open":
			gates.open(t, s.Name)
		case "start":
			started[s.Name] = w.send(t, dir, s)
			w.begun(t, started[s.Name])
		case "end":
			f.check(t, i, w.outcome(t, started[s.Name]), dir)
		default:
			var tasks []*crewTask
			for range max(s.Together, 1) {
				tasks = append(tasks, w.send(t, dir, s))
			}
			for _, k := range tasks {
				f.check(t, i, w.outcome(t, k), dir)
			}
		}
	}
	if !t.Failed() {
		c.lookAgain(t, f)
	}
}

// check reports what is wrong with the result of step i.
func (f *fixture) check(t *testing.T, i int, r result, dir string) {
	t.Helper()
	s := &f.Steps[i]
	if why := s.Want.wrong(r, s.Function, dir); why != "" {
		t.Errorf("step %d: %s:\n%s", i+1, why, r)
	}
}

// look returns what the probe finds in the worker.
func (c *crew) look(t *testing.T) []byte {
	t.Helper()
	s := &step{Script: "probe.py", Function: "main", Params: []byte("null")}
	if c.kind == "loop" {
		s.Function = "on_a_loop"
	}
	w := c.get(t)
	dir := strings.TrimSuffix(probe, "/probe.py")
	r := w.outcome(t, w.send(t, dir, s))
	if !r.Completed || r.Stdout != "out\n" || r.Stderr != "err\n" {
		t.Errorf("the next task: %s", r)
		c.dismiss()
		return nil
	}
	return r.Data
}

// lookAgain reports what the probe finds changed.
func (c *crew) lookAgain(t *testing.T, f *fixture) {
	t.Helper()
	found := c.look(t)
	for _, change := range changes(c.clean, found) {
		if name, _, _ := strings.Cut(change, ":"); !slices.Contains(strings.Fields(f.Keeps), name) {
			t.Errorf("left to the next task: %s", change)
		}
	}
	c.clean = found
}

// changes lists what differs between two answers of the probe.
func changes(before, after []byte) []string {
	var x, y map[string]any
	if json.Unmarshal(before, &x) != nil || json.Unmarshal(after, &y) != nil {
		return nil
	}
	var all []string
	for name, was := range x {
		if is := y[name]; !reflect.DeepEqual(was, is) {
			all = append(all, fmt.Sprintf("%s: %v, was %v", name, is, was))
		}
	}
	slices.Sort(all)
	return all
}

// skipWithout skips the fixture when its library is missing.
func (f *fixture) skipWithout(t *testing.T) {
	t.Helper()
	if version := embedpy.LinkedVersion(); f.Only != "" && !strings.HasPrefix(version, f.Only+".") {
		t.Skipf("it is about Python %s, this is %s", f.Only, version)
	}
	if f.Needs == "" {
		return
	}
	if err := exec3(t, "-c", "import "+f.Needs).Run(); err != nil {
		t.Skipf("python3 has no %s", f.Needs)
	}
}
