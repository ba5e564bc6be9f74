package subject_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cpulb/bench/subject"

	"golang.org/x/sys/unix"
)

const python = "/usr/bin/python3"

// start runs a driver, and ends it with the test.
func start(t *testing.T, command ...string) *subject.Subject {
	t.Helper()
	s, err := subject.Start(context.Background(), subject.Spec{Name: "it", Command: command}, filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func drivers(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../drivers", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// driver writes one of a test's own, beside links to what drivers have in common.
func driver(t *testing.T, body string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"drive.py", "works.py"} {
		if err := os.Symlink(drivers(t, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "it.py")
	if err := os.WriteFile(path, []byte("from drive import System, Unsupported, serve\n"+body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestASystemIsMeasuredWithItsCPU(t *testing.T) {
	t.Parallel()
	s := start(t, python, drivers(t, "process_pool.py"))
	a, err := s.Do(context.Background(), subject.Command{Op: subject.RoundTrip, Work: "noop", Params: subject.Range(20)})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.NS) != 20 || a.Seconds <= 0 || a.CPU <= 0 {
		t.Errorf("%+v", a)
	}
	a, err = s.Do(context.Background(), subject.Command{Op: subject.Each, Work: "count", Params: subject.Repeat(4, 100_000)})
	if err != nil || a.CPU <= 0 {
		t.Errorf("%+v %v", a, err)
	}
}

func TestAWrongResultIsAnError(t *testing.T) {
	t.Parallel()
	s := start(t, python, driver(t, `
class Wrong(System):
    def __init__(self, options): pass
    def each(self, work, params): return params[::-1]
    def batch(self, work, params): return params[1:]
serve(Wrong)
`))
	for _, op := range []subject.Op{subject.Each, subject.Batch} {
		_, err := s.Do(context.Background(), subject.Command{Op: op, Work: "noop", Params: subject.Objects(3)})
		if err == nil || !strings.Contains(err.Error(), "result") {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func TestWhatASystemHasNotIsToldApart(t *testing.T) {
	t.Parallel()
	s := start(t, python, drivers(t, "python_script.py"))
	_, err := s.Do(context.Background(), subject.Command{Op: subject.Batch, Work: "noop", Params: subject.Range(2)})
	if !errors.Is(err, subject.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	if _, err := s.Do(context.Background(), subject.Command{Op: subject.Each, Work: "noop", Params: subject.Range(2)}); err != nil {
		t.Errorf("and it does not go on: %v", err)
	}
}

func TestNobodyOutlivesASubject(t *testing.T) {
	t.Parallel()
	s := start(t, python, driver(t, `
import drive
class Leaves(System):
    def __init__(self, options):
        drive.server("sleep", "1000")
        drive.server("setsid", "sleep", "1000")
serve(Leaves)
`))
	all := s.Processes()
	if len(all) < 3 {
		t.Fatalf("%v are not the driver and what it has started", all)
	}
	s.Stop()
	for _, pid := range all {
		if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) && !zombie(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
}

// zombie says whether a process has ended and nobody has asked for how.
func zombie(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err != nil || strings.Contains(string(text), ") Z ")
}

func TestADriverThatDiesSaysWhy(t *testing.T) {
	t.Parallel()
	path := driver(t, "raise SystemExit('no such luck')\n")
	_, err := subject.Start(context.Background(), subject.Spec{Name: "it", Command: []string{python, path}}, filepath.Join(t.TempDir(), "s"))
	if err == nil || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("%v", err)
	}
}

func TestAnInterruptEndsTheWait(t *testing.T) {
	t.Parallel()
	s := start(t, python, drivers(t, "process_pool.py"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := s.Do(ctx, subject.Command{Op: subject.Each, Work: "sleep", Params: subject.Repeat(1, 1000)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
