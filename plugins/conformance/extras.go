package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// What executors with a capability promise.

func (b *bench) environmentOf(t *plugins.Task) map[string]string {
	b.Helper()
	var env map[string]string
	if o := b.end(t); json.Unmarshal(o.Data, &env) != nil {
		b.Fatalf("wanted an object of texts, got %s", outcome(o))
	}
	return env
}

func taskEnv(b *bench) {
	const name, value = "GREETING", "grüß = Gott"
	before := b.environmentOf(b.task(0, Environment, "{}"))
	t := b.task(0, Environment, "{}")
	t.Env = map[string]string{name: value, "EMPTY": ""}
	env := b.environmentOf(t)
	if _, there := env["EMPTY"]; env[name] != value || !there {
		b.Errorf("wanted %s with %q, and EMPTY, got %q, and EMPTY is there: %v", name, value, env[name], there)
	}
	if before["PATH"] != "" && env["PATH"] == "" { // a sandbox may have nothing of its worker's
		b.Errorf("the variables of a task are added to those of the worker, and PATH is gone")
	}
	if env = b.environmentOf(b.task(0, Environment, "{}")); env[name] != "" {
		b.Errorf("the next task has the variables of the one before")
	}
}

func taskCwd(b *bench) {
	dir, err := os.MkdirTemp("", "cpulb-cwd")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		b.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the worker may be another user's
		b.Fatal(err)
	}
	t := b.task(0, WorkingDirectory, "{}")
	t.Cwd = dir
	if o := b.end(t); !sameText(o.Data, dir) {
		b.Errorf("wanted %s, got %s", dir, outcome(o))
	}
	if o := b.run(WorkingDirectory, "{}"); o.Status != task.Completed || sameText(o.Data, dir) {
		b.Errorf("the next task, without a directory: wanted another one, got %s", outcome(o))
	}
}

func sameText(data []byte, want string) bool {
	var got string
	return json.Unmarshal(data, &got) == nil && got == want
}

// loopBench starts a worker with one thread and three places on a loop.
func loopBench(b *bench) *bench { return benchWith(b, b.suite, Options{Slots: 1, LoopSlots: 3}) }

// loopBlocks starts a task that blocks on a place of the loop.
func (b *bench) loopBlocks(slot int) uint64 {
	b.Helper()
	seq := b.send(slot, LoopBlocks, "{}")
	b.up[slot].Wait(b, "started", seq)
	return seq
}

func (b *bench) loopEchoes(slot int) {
	b.Helper()
	if o := b.up[slot].Wait(b, "ended", b.send(slot, LoopEcho, "1")).Outcome; o.Status != task.Completed || !sameJSON(o.Data, "1") {
		b.Fatalf("wanted 1, got %s", outcome(o))
	}
}

func loopOverlaps(b *bench) {
	b = loopBench(b)
	first, second := b.loopBlocks(1), b.loopBlocks(2)
	b.loopEchoes(3)
	b.cancel(1, first, plugins.StopCancelled)
	b.cancel(2, second, plugins.StopCancelled)
	b.up[1].Wait(b, "ended", first)
	b.up[2].Wait(b, "ended", second)
}

func loopStops(b *bench) {
	b = loopBench(b)
	stays, goes := b.loopBlocks(1), b.loopBlocks(2)
	if claim := b.cancel(2, goes, plugins.StopCancelled); claim != plugins.Claimed {
		b.Fatalf("cancel of a running task: wanted claimed, got %s", answer(claim))
	}
	if o := b.up[2].Wait(b, "ended", goes).Outcome; o.Status != task.Cancelled {
		b.Errorf("asked to stop: wanted cancelled, got %s", outcome(o))
	}
	b.loopEchoes(2)
	if got := b.up[1].Of(stays); got != "started 1" {
		b.Errorf("the other task was to go on, and gave: %s", got)
	}
	b.cancel(1, stays, plugins.StopCancelled)
	b.up[1].Wait(b, "ended", stays)
}

// isolates has a task crash beside another, in a worker of a pool with isolation = "process".
func isolates(b *bench) {
	b = benchWith(b, b.suite, Options{Slots: b.suite.slots(), Settings: map[string]string{"isolation": "process"}})
	var other *blocked
	if b.canBlock() {
		t := b.block(1)
		other = &t
	}
	if o := b.run(Crashes, "{}"); o.Status != task.Failed || o.Fault != plugins.NoFault || o.Spent {
		b.Errorf("a task killed its process: wanted a failed Result without a fault, got %s", outcome(o))
	}
	b.mustEcho("1")
	if other != nil {
		b.release(*other)
		b.up[1].Wait(b, "ended", other.seq)
	}
}

// memoryBytes is what a worker has beyond what it has when it is ready, less than EatenBytes.
const memoryBytes = EatenBytes / 2

// memory bounds the worker's memory or, where that does not bound what tasks have, theirs.
func memory(b *bench) {
	ways := []Options{{Slots: 1, MemoryBytes: memoryBytes}}
	if b.worker.Description().CanIsolate {
		ways = append(ways, Options{Slots: 1, Settings: map[string]string{"isolation": "process", "memory": strconv.Itoa(memoryBytes)}})
	}
	for _, o := range ways {
		w := benchWith(b, b.suite, o)
		if ev := w.answerOrEnd(w.send(0, EatsMemory, "{}")); ev.Kind == "lost" || ev.Outcome.Status != task.Completed {
			return
		}
	}
	b.Errorf("it may have %d bytes more, and a task took %d: wanted a failure or the end of the worker", memoryBytes, EatenBytes)
}
