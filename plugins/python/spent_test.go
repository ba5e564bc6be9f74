package python

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// victims is how many scripts of somebody else follow: each is new to the worker, prints, and
// returns what it is given.
func victims() int { return inShort(6, 20) }

const victim = `import json, os, sys, threading

def main(params, context):
    print("out", params)
    print("err", params, file=sys.stderr)
    with open(__file__) as f:
        f.read()
    if sys.stdin.read():
        raise ValueError("there is something to read")
    return [params, json.loads("[1]"), len(os.path.basename(__file__)), threading.current_thread() is not None]

async def on_a_loop(params, context):
    return main(params, context)
`

// Whatever a script takes from its worker, nobody else's task fails of it: the runtime
// goes on without it, or the worker says that it is spent or fails what follows by a
// fault and the probe after it, and is replaced.
func TestNobodyElsePaysForABrokenWorker(t *testing.T) {
	kinds := []string{"exclusive", "shared", "loop"}
	for n, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := &field{crew: crew{kind: kind}, function: "main", script: "breaks_its_worker.py"}
			if kind == "loop" {
				f.function = "on_a_loop"
			}
			defer f.dismiss()
			o, _ := f.attempt(t, script(f.script), `"list"`)
			var ways []string
			if err := json.Unmarshal(o.Data, &ways); err != nil || len(ways) < 30 {
				t.Fatalf("%s %+v", o.Data, o.Error)
			}
			for i, way := range ways {
				if itsTurn(i, n, len(kinds)+1) { // or in a process of the task's own
					t.Run(way, func(t *testing.T) { f.suffer(t, way) })
				}
			}
		})
	}
}

// What takes a script no longer than a system call is found, too: it can have prepared all else, and
// what goes with its task goes after its lines have ended.
func TestNobodyElsePaysForWhatWasDoneInNoTime(t *testing.T) {
	kinds := []string{"exclusive", withoutCapabilities}
	for n, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := &field{crew: crew{kind: kind}, function: "main", script: "breaks_its_worker_in_no_time.py"}
			defer f.dismiss()
			o, _ := f.attempt(t, script(f.script), `"list"`)
			var ways []string
			if err := json.Unmarshal(o.Data, &ways); err != nil || len(ways) < 15 {
				t.Fatalf("%s %+v", o.Data, o.Error)
			}
			for i, way := range ways {
				if !itsTurn(i, n, len(kinds)+1) {
					continue
				}
				t.Run(way, func(t *testing.T) {
					f.before = nil
					for range plugins.Window - 1 { // it is loaded, and its caches are warm
						f.before = append(f.before, &plugins.Task{ID: "task", ScriptPath: script(f.script), Function: "main", Params: []byte(`"nothing"`)})
					}
					f.suffer(t, way)
				})
			}
		})
	}
}

// Of tasks that each leave some descriptors, and are too short for leaving many, none leaves too
// few for one of somebody else, whose script has been loaded before.
func TestNobodyElsePaysForDescriptorsLeftInSmallParts(t *testing.T) {
	f := &field{crew: crew{kind: "exclusive"}, function: "main"}
	defer f.dismiss()
	path := filepath.Join(t.TempDir(), "victim.py")
	writeFile(t, path, victim)
	for i := range 5 {
		f.attempt(t, path, "1")
		var tasks []*plugins.Task
		for range plugins.Window {
			tasks = append(tasks, &plugins.Task{ID: "task", ScriptPath: script("leaves_descriptors_in_small_parts.py"), Function: "main", Params: []byte("1")})
		}
		o, lost := f.send(t, tasks...)
		f.judge(t, o, lost)
		o, lost = f.attempt(t, path, "1")
		if !lost && o.Fault == plugins.NoFault && o.Status != task.Completed {
			t.Errorf("round %d: %v %+v", i, o.Status, o.Error)
		}
		f.judge(t, o, lost)
	}
}

// A script that keeps all the memory that its worker may have leaves none to others.
func TestAWorkerWithoutMemoryIsSpent(t *testing.T) {
	for _, kind := range []string{"exclusive", "shared", "loop"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := &field{crew: crew{kind: kind}, function: "main"}
			if kind == "loop" {
				f.function = "on_a_loop"
			}
			f.worker = startBoundedCrewWorker(t, kind, supervisor.Limits{MemoryBytes: 192 << 20})
			defer f.dismiss()
			if o, lost := f.attempt(t, script("keeps_all_memory.py"), "1"); !lost && !o.Spent {
				t.Errorf("%v %s %+v", o.Status, o.Data, o.Error)
			}
		})
	}
}

// field is a crew that is kept as a daemon keeps its workers.
type field struct {
	crew
	function string
	script   string // that breaks it
	// before are tasks that are sent together with the one that breaks it.
	before   []*plugins.Task
	replaced int
}

// suffer breaks the worker, and has victims run.
func (f *field) suffer(t *testing.T, way string) {
	f.replaced = 0
	dir := t.TempDir()
	k := &plugins.Task{ID: "task", ScriptPath: script(f.script), Function: f.function, Params: fmt.Appendf(nil, "%q", way)}
	o, lost := f.send(t, append(f.before, k)...)
	t.Logf("it ended %v (lost: %v) %+v fault %d spent %v", o.Status, lost, o.Error, o.Fault, o.Spent)
	f.judge(t, o, lost)
	for i := range victims() {
		path := filepath.Join(dir, fmt.Sprintf("victim_%d.py", i))
		if err := os.WriteFile(path, []byte(victim), 0o600); err != nil {
			t.Fatal(err)
		}
		for attempt := 1; ; attempt++ {
			o, lost := f.attempt(t, path, fmt.Sprint(i))
			if !lost && o.Fault == plugins.NoFault {
				want := fmt.Sprintf("[%d,[1],%d,true]", i, len(filepath.Base(path)))
				if o.Status != task.Completed || string(o.Data) != want || o.Stdout != fmt.Sprintf("out %d\n", i) || o.Stderr != fmt.Sprintf("err %d\n", i) {
					t.Errorf("victim %d: %v %s %+v stdout %q stderr %q", i, o.Status, o.Data, o.Error, o.Stdout, o.Stderr)
				}
				f.judge(t, o, lost)
				break
			}
			t.Logf("victim %d: lost: %v %+v", i, lost, o.Error)
			if attempt == 4 {
				t.Fatalf("victim %d finds no worker: %+v", i, o.Error)
			}
			f.judge(t, o, lost)
		}
	}
	if f.replaced > 2 {
		t.Errorf("%d workers were replaced", f.replaced)
	}
}

// judge does what the daemon does after an outcome.
func (f *field) judge(t *testing.T, o plugins.Outcome, lost bool) {
	t.Helper()
	unfit := lost || o.Spent
	if !unfit && o.Fault != plugins.NoFault {
		p, lost := f.send(t, &plugins.Task{ID: "probe", Probe: true, Params: []byte("1")})
		unfit = lost || p.Spent || p.Status != task.Completed
	}
	if unfit {
		f.replaced++
		f.dismiss()
	}
}

func (f *field) attempt(t *testing.T, path, params string) (o plugins.Outcome, lost bool) {
	t.Helper()
	return f.send(t, &plugins.Task{ID: "task", ScriptPath: path, Function: f.function, Params: []byte(params)})
}

// send sends tasks, all at once, to the first place of its kind, and waits for the end of the last.
func (f *field) send(t *testing.T, tasks ...*plugins.Task) (o plugins.Outcome, lost bool) {
	t.Helper()
	w := f.get(t)
	at := 0
	if f.kind == "loop" {
		at = kinds[f.kind].threads
	}
	s := w.seats[at]
	sent := &crewTask{begun: make(chan struct{}), ended: make(chan plugins.Outcome, len(tasks))}
	s.mu.Lock()
	for _, k := range tasks {
		s.seq++
		s.tasks[s.seq] = sent
		k.Slot, k.Seq, k.Type, k.Attempt = s.index, s.seq, task.IOBound, 1
	}
	s.mu.Unlock()
	if w.Slot(at).Send(tasks...) != nil {
		return o, true
	}
	for range tasks {
		select {
		case o = <-sent.ended:
		case <-s.lost:
			return o, true
		case <-w.Done():
			return o, true
		case <-time.After(hangs):
			t.Error("it does not end")
			return o, true
		}
	}
	return o, false
}
