package python

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

func TestStopEndsTheTask(t *testing.T) {
	s := openTestSlot(t)
	for _, c := range []struct {
		script string
		stdout string
	}{
		{"busy_loop.py", ""},
		{"swallows_exceptions.py", ""},
		{"swallows_everything_once.py", ""},
		{"watches_cancelled.py", ""},
		{"cleans_up_when_cancelled.py", "cleaned up\n"},
		{"awaits_for_ever.py", "cleaned up\n"},
		{"busy_coroutine.py", ""},
	} {
		for reason, want := range map[plugins.StopReason]struct {
			status task.Status
			code   string
		}{plugins.StopCancelled: {task.Cancelled, "cancelled"}, plugins.StopTimedOut: {task.TimedOut, "timed_out"}} {
			t.Run(fmt.Sprint(c.script, " ", want.code), func(t *testing.T) {
				k, got := s.task(script(c.script), `1`), newEvents()
				done := s.start(k, got)
				<-got.begun
				s.Cancel(k.Seq, reason)
				o := <-done
				wantError(t, o, want.status, want.code)
				if o.Stdout != c.stdout {
					t.Errorf("stdout %q, want %q", o.Stdout, c.stdout)
				}
				wantData(t, s.run(script("returns_params.py"), `"next"`), `"next"`)
				wantData(t, s.run(script("awaits.py"), `[1]`), `[2]`)
			})
		}
	}
}

func TestATimeoutEndsTheTask(t *testing.T) {
	s := openTestSlot(t)
	k := s.task(script("busy_loop.py"), `1`)
	k.Timeout = 30 * time.Millisecond
	wantError(t, <-s.start(k, newEvents()), task.TimedOut, "timed_out")
	k = s.task(script("returns_params.py"), `1`)
	k.Timeout = math.MaxInt64
	wantData(t, <-s.start(k, newEvents()), "1")
	wantData(t, s.run(script("returns_params.py"), `"next"`), `"next"`)
}

func TestTaskStoppedBeforeItsRunNeverRuns(t *testing.T) {
	s := openTestSlot(t)
	wantData(t, s.run(script("returns_params.py"), `1`), "1")
	k := s.task(script("busy_loop.py"), `1`)
	s.Cancel(k.Seq, plugins.StopCancelled)
	wantError(t, <-s.start(k, newEvents()), task.Cancelled, "cancelled")
	s.Cancel(k.Seq, plugins.StopCancelled)
	wantData(t, s.run(script("returns_params.py"), `1`), "1")
}

func TestScriptMayCancelItself(t *testing.T) {
	s := openTestSlot(t)
	e := wantError(t, s.run(script("imports_task_cancelled.py"), `1`), task.Cancelled, "cancelled")
	if e.Message != "on my own" {
		t.Errorf("%+v", e)
	}
}

// TestNoStopReachesAnotherTask stops tasks at random moments, some of which lie
// in the task before or after, and holds that every task that was not stopped
// completes with its own result.
func TestNoStopReachesAnotherTask(t *testing.T) {
	rounds := 1500
	if testing.Short() {
		rounds = 200
	}
	w := startWorker(t)
	defer func(d time.Duration) { w.interruptAfter = d }(w.interruptAfter)
	w.interruptAfter = 0
	var all sync.WaitGroup
	for range 2 {
		s := openTestSlot(t)
		all.Go(func() { stopAtRandom(t, s, rounds) })
	}
	all.Wait()
}

func stopAtRandom(t *testing.T, s *testSlot, rounds int) {
	random := rand.New(rand.NewPCG(1, 2))
	stopped, scripts := 0, []string{"stress_of_stops.py", "stress_of_stops.py", "awaits.py"}
	for i := range rounds {
		name := scripts[random.IntN(len(scripts))]
		params, want := fmt.Sprintf(`{"rounds": %d, "id": %d}`, random.IntN(20000), i), fmt.Sprint(i)
		if name == "awaits.py" {
			params, want = fmt.Sprintf("[%d]", i), fmt.Sprintf("[%d]", 2*i)
		}
		k := s.task(script(name), params)
		victim := random.IntN(2) == 0
		done := s.start(k, newEvents())
		if victim {
			for range random.IntN(200) {
				runtime.Gosched()
			}
			s.Cancel(k.Seq, plugins.StopReason(1+random.IntN(2)))
		}
		o := <-done
		if victim && o.Status != task.Completed {
			if o.Status == task.Failed {
				t.Errorf("round %d, stopped: %+v", i, o.Error)
			}
			stopped++
			continue
		}
		if o.Status != task.Completed || string(o.Data) != want {
			t.Errorf("round %d, stopped %v: %v %s %+v, want %s", i, victim, o.Status, o.Data, o.Error, want)
		}
	}
	t.Logf("%d of %d tasks were stopped", stopped, rounds)
}

// TestStopLeavesNoLibraryHalfImported stops a task in the midst of an import that
// every other task of the worker would share.
func TestStopLeavesNoLibraryHalfImported(t *testing.T) {
	s := openTestSlot(t)
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	library := fmt.Sprint("slow_library_", s.Slot.(*slot).index) // that no test has imported yet
	writeFile(t, filepath.Join(dir, library+".py"),
		fmt.Sprintf("import os\nwhile not os.path.exists(%q):\n    pass\nDONE = 1\n", gate))
	params := fmt.Sprintf(`{"folder": %q, "library": %q}`, dir, library)
	k, got := s.task(script("imports_a_slow_library.py"), params), newEvents()
	done := s.start(k, got)
	<-got.begun
	s.Cancel(k.Seq, plugins.StopCancelled)
	s.Slot.(*slot).interrupt(k.Seq, plugins.StopCancelled)
	writeFile(t, gate, "")
	wantError(t, <-done, task.Cancelled, "cancelled")
	wantData(t, s.run(script("imports_a_slow_library.py"), params), "1")
}
