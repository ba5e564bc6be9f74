package python

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A behaviour is a script of testdata/behaviour, with what lies beside it in a
// folder NAME.d. A JSON object in the comments at its top says how it is run and
// what is right; a value of fixture or step that is not named there is the zero one.

// fixture is that object.
type fixture struct {
	// Pools are the kinds of worker that it runs in: exclusive, shared, loop.
	Pools string
	// Function is main if nothing else is said.
	Function string
	Params   json.RawMessage
	// Times is how often it is run when there are no Steps.
	Times int
	Steps []step
	Want  want
	// Python is how plain python3 shows that what is wanted is right: "" has a
	// process for each run, "once" one in which the script is loaded once, "no" says
	// that there is nothing like it there.
	Python string
	// Changes names what of the process's state the script leaves changed under
	// python3, as probe.py calls it.
	Changes string
	// Keeps names what may stay changed: what a library that it loads has set.
	Keeps string
	// Needs names a library without which the fixture is skipped.
	Needs string
	// Only is the one version of Python, e.g. 3.11, that what is wanted is true of; "" is any.
	Only string
	// Fresh asks for a worker in which nothing else has run.
	Fresh bool

	name, path string
}

// step is one thing that happens in a fixture: files change first, then a task runs.
type step struct {
	Write, Link map[string]string // by path beneath the fixture's folder
	Remove      []string

	// Do is run (default), start, end, open or nothing. A started task has sent its
	// first progress when the step is over; end awaits it. open lets those go on who
	// read the FIFO of that name.
	Do string
	// Name is the started task's, or the FIFO's.
	Name             string
	Script, Function string
	Params           json.RawMessage
	// Together is how many of it run at the same time.
	Together int
	Want     want
}

// want is what a run is held to. An uncaught exception and an exit have their own
// ways to show, see wrongEnd.
type want struct {
	Data         json.RawMessage
	Error        string // the exception's type
	Code         string // the failure's code, where it is not an exception
	Exit         int    // of a plain script
	MessageHas   string `json:"message_has"`
	TracebackHas string `json:"traceback_has"`
	Stdout       string
	Stderr       string
	StdoutHas    string `json:"stdout_has"`
	StderrHas    string `json:"stderr_has"`
	AnyOutput    bool   `json:"any_output"`
	Anything     bool   // whatever happens is right
}

const plain = "__main__"

// result is how a run ended, wherever it did.
type result struct {
	Completed                      bool
	Data                           json.RawMessage
	Code, Type, Message, Traceback string
	Stdout, Stderr                 string

	underPython bool
	exit        int // there, of a plain script
}

func (r result) String() string {
	return fmt.Sprintf("completed %v, data %s, error %s %s: %s\n%s\nstdout %q\nstderr %q", r.Completed, r.Data, r.Code, r.Type, r.Message,
		r.Traceback, r.Stdout, r.Stderr)
}

// readFixtures returns those of a folder of testdata, by name.
func readFixtures(t *testing.T, folder string) []*fixture {
	t.Helper()
	paths, err := filepath.Glob(script(folder + "/*.py"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d fixtures: %v", len(paths), err)
	}
	var all []*fixture
	for _, path := range paths {
		f, err := readFixture(path)
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(path), err)
		}
		all = append(all, f)
	}
	return all
}

func readFixture(path string) (*fixture, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var head bytes.Buffer
	for line := range strings.Lines(string(text)) {
		comment, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		head.WriteString(comment)
	}
	f := &fixture{name: strings.TrimSuffix(filepath.Base(path), ".py"), path: path}
	d := json.NewDecoder(&head)
	d.DisallowUnknownFields()
	if err := d.Decode(f); err != nil {
		return nil, err
	}
	if f.Pools == "" {
		return nil, errors.New("it names no pools")
	}
	if len(f.Steps) == 0 {
		f.Steps = make([]step, max(f.Times, 1))
	}
	for i := range f.Steps {
		s := &f.Steps[i]
		s.Script = orElse(s.Script, f.name+".py")
		s.Function = orElse(orElse(s.Function, f.Function), "main")
		s.Do = orElse(s.Do, "run")
		if len(s.Params) == 0 {
			s.Params = f.Params
		}
		if len(s.Params) == 0 {
			s.Params = []byte("null")
		}
		if reflect.DeepEqual(s.Want, want{}) {
			s.Want = f.Want
		}
	}
	return f, nil
}

func orElse(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

func (f *fixture) in(pool string) bool { return slices.Contains(strings.Fields(f.Pools), pool) }

// itsTurn says whether the ith fixture is run in one of its kinds of worker.
func (f *fixture) itsTurn(i int, kind string) bool {
	kinds := strings.Fields(f.Pools)
	return itsTurn(i, slices.Index(kinds, kind), len(kinds))
}

// lay puts the fixture's files into dir.
func (f *fixture) lay(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, f.name+".py"), string(text))
	beside := strings.TrimSuffix(f.path, ".py") + ".d"
	if _, err := os.Stat(beside); err != nil {
		return
	}
	if err := os.CopyFS(dir, os.DirFS(beside)); err != nil {
		t.Fatal(err)
	}
}

// changeFiles does what the step says of them. A file is replaced as editors and
// deployments do it, by renaming; so is a link.
func (s *step) changeFiles(t *testing.T, dir string) {
	t.Helper()
	at := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, name := range s.Remove {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Write)) {
		path := at(name)
		writeFile(t, path+".new", s.Write[name])
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Link)) {
		path := at(name)
		err := errors.Join(os.Symlink(s.Link[name], path+".new"), os.Rename(path+".new", path))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// wrong returns what about r is not as it should be; {dir} in what is wanted stands
// for the fixture's folder.
func (w want) wrong(r result, function, dir string) string {
	if w.Anything {
		return ""
	}
	if why := w.wrongEnd(r, function); why != "" {
		return why
	}
	if len(w.Data) > 0 && !sameJSON(r.Data, w.text(string(w.Data), dir)) {
		return fmt.Sprintf("data is not %s", w.Data)
	}
	for _, c := range []struct{ what, whole, part, is string }{
		{"stdout", w.Stdout, w.StdoutHas, r.Stdout},
		{"stderr", w.Stderr, w.StderrHas, r.Stderr},
	} {
		if c.part == "" && !w.AnyOutput && c.is != w.text(c.whole, dir) {
			return fmt.Sprintf("%s is not %q", c.what, w.text(c.whole, dir))
		}
		if !strings.Contains(c.is, w.text(c.part, dir)) {
			return fmt.Sprintf("%s has no %q", c.what, c.part)
		}
	}
	if !strings.Contains(r.Message, w.text(w.MessageHas, dir)) {
		return fmt.Sprintf("the message has no %q", w.MessageHas)
	}
	if !strings.Contains(r.Traceback, w.text(w.TracebackHas, dir)) {
		return fmt.Sprintf("the traceback has no %q", w.TracebackHas)
	}
	return ""
}

// wrongEnd knows how an end shows in a result: of a function, and of a plain script.
func (w want) wrongEnd(r result, function string) string {
	switch {
	case w.Error != "" || w.Code != "":
		if r.Completed || w.Error != "" && r.Type != w.Error || r.Code != orElse(w.Code, "exception") && !r.underPython {
			return fmt.Sprintf("it does not fail with %s %s", w.Error, w.Code)
		}
	case function == plain && r.underPython:
		if r.exit != w.Exit {
			return fmt.Sprintf("its exit code is %d, not %d", r.exit, w.Exit)
		}
	case function == plain && w.Exit != 0:
		if r.Completed || r.Code != "exit" || r.Message != fmt.Sprintf("the script ended with exit code %d", w.Exit) {
			return fmt.Sprintf("it does not end with exit code %d", w.Exit)
		}
	case function == plain:
		if !r.Completed || !sameJSON(r.Data, `{"exit_code": 0}`) {
			return "it does not end with exit code 0"
		}
	case !r.Completed:
		return "it fails"
	}
	return ""
}

func (w want) text(text, dir string) string { return strings.ReplaceAll(text, "{dir}", dir) }

func sameJSON(a []byte, b string) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}
