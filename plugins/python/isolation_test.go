package python

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"cpulb/daemon/task"
)

func TestOutputBelongsToTheTaskThatPrints(t *testing.T) {
	var all sync.WaitGroup
	for i := range 8 {
		s := openTestSlot(t)
		all.Go(func() {
			for round := range 20 {
				name := fmt.Sprintf("slot%d-%d", i, round)
				o := s.run(script("prints_per_task.py"), fmt.Sprintf(`{"name": %q}`, name))
				want := fmt.Sprintf("%[1]s 0\n%[1]s 1\n%[1]s 2\n%[1]s thread\nraw \uFFFD\n", name)
				if o.Stdout != want || o.Stderr != "error of "+name+"\n" || o.Truncated {
					t.Errorf("stdout %q stderr %q %+v, want %q", o.Stdout, o.Stderr, o.Error, want)
				}
			}
		})
	}
	all.Wait()
}

func TestOutputIsBoundedAndValidUTF8(t *testing.T) {
	s := openTestSlot(t)
	o := s.run(script("prints_without_end.py"), `{"lines": 50}`)
	if !o.Truncated || len(o.Stdout) > testOutputBytes || len(o.Stdout) < testOutputBytes-4 || !utf8.ValidString(o.Stdout) {
		t.Errorf("truncated %v, %d bytes, valid %v", o.Truncated, len(o.Stdout), utf8.ValidString(o.Stdout))
	}
	if o = s.run(script("prints_surrogate.py"), `{}`); o.Stdout != "a\\udc80b\n" {
		t.Errorf("%q", o.Stdout)
	}
	if o = s.run(script("exits_with_3.py"), `{}`); o.Stdout != "before\n" {
		t.Errorf("a failed task's output: %q", o.Stdout)
	}
}

func TestEachSlotHasItsOwnWorkingDirectory(t *testing.T) {
	a, b := openTestSlot(t), openTestSlot(t)
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	o := a.run(script("changes_folder.py"), `"/"`)
	if string(o.Data) == fmt.Sprintf("[%q,%q]", dir, dir) {
		t.Skip("the kernel does not allow unshare(CLONE_FS)")
	}
	wantData(t, o, fmt.Sprintf(`[%q, "/"]`, dir))
	wantData(t, b.run(script("changes_folder.py"), `null`), fmt.Sprintf("[%q,%q]", dir, dir))
}

func TestChangedScriptIsReloaded(t *testing.T) {
	s := openTestSlot(t)
	path := filepath.Join(t.TempDir(), "script.py")
	source := func(v int) string { return fmt.Sprintf("def main(params, context):\n    return %d\n", v) }
	for v := 1; v <= 5; v++ {
		// By renaming, as editors and deployments do: the inode tells versions of
		// one size apart even within a tick of the file system's clock.
		writeFile(t, path+".new", source(v))
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		untilData(t, s, path, fmt.Sprint(v))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for o := s.run(path, `1`); ; o = s.run(path, `1`) {
		if o.Status == task.Failed {
			wantError(t, o, task.Failed, "script_not_found")
			break
		}
	}
}

func TestChangedSiblingIsReloaded(t *testing.T) {
	s := openTestSlot(t)
	dir := t.TempDir()
	path, helper := filepath.Join(dir, "script.py"), filepath.Join(dir, "helper.py")
	writeFile(t, path, "import helper\ndef main(params, context):\n    return helper.VALUE\n")
	e := wantError(t, s.run(path, `1`), task.Failed, "exception")
	if e.Type != "ModuleNotFoundError" {
		t.Fatalf("%+v", e)
	}
	for _, v := range []string{"1", "22", "333"} {
		writeFile(t, helper, "VALUE = "+v+"\n")
		untilData(t, s, path, v)
	}
	writeFile(t, helper, "VALUE = \n")
	for o := s.run(path, `1`); ; o = s.run(path, `1`) {
		if o.Status == task.Failed {
			wantError(t, o, task.Failed, "script_syntax")
			break
		}
	}
	writeFile(t, helper, "VALUE = 4444\n")
	untilData(t, s, path, "4444")
}

// untilData runs the script until it returns want. A look at the files holds for
// a moment (LOOK_NS in scripts.py), which only a caller inside the process can see.
func untilData(t *testing.T, s *testSlot, path, want string) {
	t.Helper()
	for t.Context().Err() == nil {
		if o := s.run(path, `1`); string(o.Data) == want {
			return
		}
	}
}

func TestUnchangedScriptIsLoadedOnce(t *testing.T) {
	a, b := openTestSlot(t), openTestSlot(t)
	source, err := os.ReadFile(script("counts_its_runs.py"))
	if err != nil {
		t.Fatal(err)
	}
	path, link := filepath.Join(t.TempDir(), "script.py"), filepath.Join(t.TempDir(), "link.py")
	writeFile(t, path, string(source))
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	wantData(t, a.run(path, `1`), "1")
	wantData(t, b.run(path, `1`), "2")
	wantData(t, a.run(link, `1`), "3")
}

func TestLargeValuesPassWhole(t *testing.T) {
	s := openTestSlot(t)
	text := `"` + strings.Repeat("ğx", 30000) + `"`
	wantData(t, s.run(script("returns_params.py"), text), text)
}

func TestHeartbeatTakesTheLock(t *testing.T) {
	w := startWorker(t)
	if _, err := w.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Health(ctx); err == nil {
		// The select may take either branch when both are ready.
		t.Log("the lock was free at once")
	}
	t.Log(w.runtime)
	if !strings.HasPrefix(w.runtime, "CPython 3.") {
		t.Errorf("runtime %q", w.runtime)
	}
}
