package python

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

const testLoopSlots = 1000

// theLoop is the one loop of the tests' one worker; its slots come after the
// threads'.
var theLoop = sync.OnceValues(func() (plugins.Loop, error) {
	w, err := theWorker()
	if err != nil {
		return nil, err
	}
	return w.OpenLoop(manySlots, testLoopSlots, func() {})
})

// loopBench runs tasks on the loop, each on a slot of its own.
type loopBench struct {
	plugins.Loop
	mu   sync.Mutex
	seqs [testLoopSlots]uint64
}

var theLoopBench = sync.OnceValues(func() (*loopBench, error) {
	l, err := theLoop()
	return &loopBench{Loop: l}, err
})

func openTestLoop(t testing.TB) *loopBench {
	t.Helper()
	b, err := theLoopBench()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// loopRun records one task.
type loopRun struct {
	*events
	slot        int
	seq         uint64
	begins      chan struct{}
	ended       chan plugins.Outcome
	needsThread chan struct{}
}

func (r *loopRun) Begun()       { close(r.begins) }
func (r *loopRun) NeedsThread() { close(r.needsThread) }
func (r *loopRun) Ended(o plugins.Outcome) {
	o.Data = append(json.RawMessage(nil), o.Data...)
	r.ended <- o
}

// start begins a task on slot index of the loop.
func (b *loopBench) start(index int, name, params string, timeout time.Duration) *loopRun {
	return b.startFile(index, script(name), params, timeout)
}

func (b *loopBench) startFile(index int, path, params string, timeout time.Duration) *loopRun {
	b.mu.Lock()
	b.seqs[index]++
	r := &loopRun{events: newEvents(), slot: manySlots + index, seq: b.seqs[index], begins: make(chan struct{}),
		ended: make(chan plugins.Outcome, 1), needsThread: make(chan struct{})}
	b.mu.Unlock()
	b.Start(r.slot, &plugins.Task{Seq: r.seq, ID: fmt.Sprintf("loop-%d-%d", index, r.seq), ScriptPath: path,
		Function: "main", Type: task.IOBound, Attempt: 1, Params: []byte(params), Timeout: timeout}, r)
	return r
}

func TestAThousandTasksAwaitOnOneThread(t *testing.T) {
	b := openTestLoop(t)
	var runs []*loopRun
	for i := range testLoopSlots {
		runs = append(runs, b.start(i, "awaits_its_neighbours.py", fmt.Sprint(testLoopSlots), 0))
	}
	for i, r := range runs {
		o := <-r.ended
		wantData(t, o, fmt.Sprint(manySlots+i))
		if want := fmt.Sprintf("hello from loop-%[1]d-1\nbye from loop-%[1]d-1\n", i); r.seq == 1 && o.Stdout != want {
			t.Fatalf("stdout %q, want %q", o.Stdout, want)
		}
		<-r.begins
	}
}

func TestWhatCantShareAThreadIsHandedBackUnrun(t *testing.T) {
	b := openTestLoop(t)
	for _, name := range []string{"returns_params.py", "yields.py", "counts_its_runs.py"} {
		r := b.start(0, name, "1", 0)
		select {
		case <-r.needsThread:
		case o := <-r.ended:
			t.Errorf("%s ran: %+v", name, o)
		}
	}
	wantData(t, openTestSlot(t).run(script("counts_its_runs.py"), "1"), "1")
}

func TestALoopRunsEveryKindOfAsyncMain(t *testing.T) {
	b := openTestLoop(t)
	wantData(t, <-b.start(0, "awaits.py", "[1, 2]", 0).ended, "[2, 4]")
	r := b.start(0, "async_yields.py", "null", 0)
	wantData(t, <-r.ended, "[0, 1, 2]")
	if want := "partial 0 partial 1 partial 2"; strings.Join(r.all, " ") != want {
		t.Errorf("events %q, want %q", r.all, want)
	}
	e := wantError(t, <-b.start(0, "raises_in_coroutine.py", "1", 0).ended, task.Failed, "exception")
	if e.Type != "ValueError" || !strings.Contains(e.Traceback, "raises_in_coroutine.py") || strings.Contains(e.Traceback, "<cpulb>") {
		t.Errorf("%+v", e)
	}
	wantError(t, <-b.start(0, "not_there.py", "1", 0).ended, task.Failed, "script_not_found")
	wantError(t, <-b.start(0, "awaits.py", "[", 0).ended, task.Failed, "bad_params")
}

func TestACancelReachesAnAwaitAndNobodyElse(t *testing.T) {
	b := openTestLoop(t)
	for _, name := range []string{"awaits_for_ever.py", "swallows_cancellation.py"} {
		r, neighbour := b.start(1, name, "null", 0), b.start(2, name, "null", 0)
		<-r.begins
		b.Cancel(r.slot, r.seq, plugins.StopCancelled)
		wantError(t, <-r.ended, task.Cancelled, "cancelled")
		b.Cancel(r.slot, r.seq, plugins.StopCancelled) // too late: nothing to do
		select {
		case o := <-neighbour.ended:
			t.Fatalf("the neighbour ended: %+v", o)
		default:
		}
		b.Cancel(neighbour.slot, neighbour.seq, plugins.StopTimedOut)
		wantError(t, <-neighbour.ended, task.TimedOut, "timed_out")
	}
}

func TestATimeoutEndsAnAwait(t *testing.T) {
	b := openTestLoop(t)
	r := b.start(3, "awaits_for_ever.py", "null", 20*time.Millisecond)
	wantError(t, <-r.ended, task.TimedOut, "timed_out")
}

func TestCoroutinesLeftBehindEndWithTheirTask(t *testing.T) {
	b := openTestLoop(t)
	wantData(t, <-b.start(4, "leaves_a_coroutine_behind.py", `"go"`, 0).ended, `"returned"`)
	wantData(t, <-b.start(4, "leaves_a_coroutine_behind.py", `"was it ended?"`, 0).ended, "1")
}

// A coroutine that does not let the loop go on is interrupted alone, in the middle of its
// lines: its neighbours only wait meanwhile.
func TestACoroutineThatHogsItsLoopIsStoppedAlone(t *testing.T) {
	b := openTestLoop(t)
	var neighbours []*loopRun
	for i := range 100 {
		neighbours = append(neighbours, b.start(100+i, "awaits_for_ever.py", "null", 0))
	}
	for _, n := range neighbours {
		<-n.begins
	}
	for _, way := range []string{"at once", "catches once", "in a child", "catches the child's", "catches the cancellation, then spins", "in an iterator"} {
		for reason, want := range map[plugins.StopReason]task.Status{plugins.StopCancelled: task.Cancelled, plugins.StopTimedOut: task.TimedOut} {
			r := b.start(5, "hogs_its_loop.py", fmt.Sprintf("%q", way), 0)
			<-r.events.begun
			b.Cancel(r.slot, r.seq, reason)
			o := <-r.ended
			wantError(t, o, want, want.String())
			if way == "at once" && o.Stdout != "cleaned up\n" {
				t.Errorf("stdout %q", o.Stdout)
			}
		}
		r := b.start(5, "hogs_its_loop.py", fmt.Sprintf("%q", way), 50*time.Millisecond)
		wantError(t, <-r.ended, task.TimedOut, "timed_out")
		wantData(t, <-b.start(6, "awaits.py", "[1]", 0).ended, "[2]")
	}
	path := filepath.Join(t.TempDir(), "hogs_while_it_is_loaded.py")
	writeFile(t, path, "while True:\n    pass\n")
	r := b.startFile(5, path, "null", 50*time.Millisecond)
	wantError(t, <-r.ended, task.TimedOut, "timed_out")
	for _, n := range neighbours {
		select {
		case o := <-n.ended:
			t.Errorf("a neighbour ended: %+v", o.Error)
		default:
			b.Cancel(n.slot, n.seq, plugins.StopCancelled)
			wantError(t, <-n.ended, task.Cancelled, "cancelled")
		}
	}
}

// Wherever an interrupt strikes, it strikes the task that it is meant for.
func TestNoInterruptReachesANeighbourOnTheLoop(t *testing.T) {
	b := openTestLoop(t)
	var neighbours []*loopRun
	for i := range 100 {
		neighbours = append(neighbours, b.start(100+i, "awaits_in_steps.py", "null", 0))
	}
	for round := range 10 {
		r := b.start(5, "spins_in_steps.py", fmt.Sprint(round%4), 0)
		<-r.events.begun
		b.Cancel(r.slot, r.seq, plugins.StopCancelled)
		wantError(t, <-r.ended, task.Cancelled, "cancelled")
	}
	for _, n := range neighbours {
		b.Cancel(n.slot, n.seq, plugins.StopCancelled)
		wantError(t, <-n.ended, task.Cancelled, "cancelled")
	}
}

// An interrupt strikes a task in its own lines. In what the loop does for it at the end of a step,
// the next step would be lost, and the task never end.
func TestNoInterruptStrikesBetweenTwoStepsOfATask(t *testing.T) {
	b := openTestLoop(t)
	for range 3 {
		r := b.start(5, "holds_up_its_loop_after_each_step.py", "null", 0)
		<-r.events.begun
		b.Cancel(r.slot, r.seq, plugins.StopCancelled)
		wantError(t, <-r.ended, task.Cancelled, "cancelled")
	}
}
