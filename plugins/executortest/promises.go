package executortest

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/reaper"
)

func (b *bench) mustEcho(params string) {
	b.Helper()
	if o := b.run(Echo, params); o.Status != task.Completed || !sameJSON(o.Data, params) {
		b.Fatalf("echo of %.100s: %s %.100s %v", params, o.Status, o.Data, o.Error)
	}
}

// sameJSON compares texts, or what they mean: an executor may format anew.
func sameJSON(got []byte, want string) bool {
	if string(got) == want {
		return true
	}
	var a, b any
	return json.Unmarshal(got, &a) == nil && json.Unmarshal([]byte(want), &b) == nil && fmt.Sprint(a) == fmt.Sprint(b)
}

func echoes(b *bench) {
	o := b.run(Echo, `{"value":[1,"zwei",null]}`)
	if o.Status != task.Completed || !sameJSON(o.Data, `{"value":[1,"zwei",null]}`) {
		b.Fatalf("%s %s %v", o.Status, o.Data, o.Error)
	}
	if o.Stdout != "task-0-1\n" {
		b.Errorf("stdout is %q", o.Stdout)
	}
	if got := b.up[0].Of(1); got != "started 1, ended 1" && got != "ended 1" {
		b.Errorf("events: %s", got)
	}
}

func largeParams(b *bench) {
	for _, size := range []int{60_000, 64 << 10, 1 << 20, 3 << 20} {
		b.mustEcho(`"` + strings.Repeat("x", size) + `"`)
	}
}

func inOrder(b *bench) {
	const tasks = 500
	for i := range tasks {
		if i >= plugins.Window {
			b.up[0].Wait(b, "ended", uint64(i-plugins.Window+1))
		}
		b.send(0, Echo, fmt.Sprint(i))
	}
	b.up[0].Wait(b, "ended", tasks)
	seq := uint64(1)
	for i, e := range b.up[0].Events() {
		switch e.String() {
		case fmt.Sprintf("started %d", seq):
		case fmt.Sprintf("ended %d", seq):
			if string(e.Outcome.Data) != fmt.Sprint(seq-1) {
				b.Fatalf("task %d gave %s", seq, e.Outcome.Data)
			}
			seq++
		default:
			b.Fatalf("event %d is %v, while task %d was to end", i, e, seq)
		}
	}
	if seq != tasks+1 {
		b.Fatalf("task %d did not end", seq)
	}
}

func fails(b *bench) {
	o := b.run(Fails, "{}")
	if o.Status != task.Failed || o.Error == nil || o.Error.Code != "exception" || !strings.Contains(o.Error.Message, "as asked") {
		b.Fatalf("%s %+v", o.Status, o.Error)
	}
	if o.Fault != plugins.NoFault || o.Spent {
		b.Errorf("a script's error is told as the executor's: %+v", o)
	}
	b.mustEcho("1")
}

func probes(b *bench) {
	for range 3 {
		if o := b.probe(); o.Status != task.Completed || o.Spent {
			b.Fatalf("a probe of a sound worker: %+v %+v", o, o.Error)
		}
		b.mustEcho("1")
	}
}

func faulted(b *bench) {
	o := b.run(Faulted, "{}")
	if o.Status != task.Failed || o.Fault != plugins.Unrun || o.Error == nil || o.Error.Code != "executor" {
		b.Fatalf("%+v %+v", o, o.Error)
	}
	fails(b)
}

// breaks wants the worker to say with the Result that it is spent, or to fail what follows
// by a fault, and then the probe.
func breaks(b *bench) {
	o := b.run(Breaks, "1")
	if o.Spent {
		return
	}
	if o = b.run(Echo, "1"); o.Status == task.Completed {
		return // the executor could put it right
	}
	if o.Fault == plugins.NoFault {
		b.Errorf("a broken worker blames the script: %+v %+v", o, o.Error)
	}
	if o = b.probe(); o.Status == task.Completed && !o.Spent {
		b.Errorf("a broken worker passes the probe")
	}
}

func panics(b *bench) {
	o := b.run(Panics, "{}")
	if o.Status != task.Failed || o.Fault != plugins.Ran || o.Error == nil || o.Error.Code != "executor" {
		b.Fatalf("%+v %+v", o, o.Error)
	}
	b.mustEcho("1")
}

func hugeResult(b *bench) {
	o := b.run(HugeResult, "{}")
	if o.Status != task.Failed || o.Error == nil || o.Error.Code != "result_too_large" {
		b.Fatalf("%s with %d bytes, %+v", o.Status, len(o.Data), o.Error)
	}
	b.mustEcho("1")
}

func notText(b *bench) {
	if o := b.run(NotText, "{}"); o.Status != task.Completed && (o.Error == nil || o.Error.Code != "executor") {
		b.Fatalf("%s %+v", o.Status, o.Error)
	}
	b.mustEcho("1")
}

func events(b *bench) {
	if !b.worker.Description().HasEvents {
		b.Skip("this executor has no events")
	}
	b.run(Events, "{}")
	if got := b.up[0].Of(1); got != "started 1, progress 1, log 1, partial 1, partial 1, partial 1, ended 1" {
		b.Fatalf("events: %s", got)
	}
	all := b.up[0].Events()
	if p := all[1]; p.Fraction != 0.5 || p.Value != "half way" {
		b.Errorf("progress %v %q", p.Fraction, p.Value)
	}
	if l := all[2]; l.Level != "info" || l.Value != "hello" {
		b.Errorf("log %q %q", l.Level, l.Value)
	}
	for i, p := range all[3:6] {
		if p.Number != uint64(i+1) || p.Value != fmt.Sprint(i+1) {
			b.Errorf("partial %d has number %d and value %s", i+1, p.Number, p.Value)
		}
	}
}

func lateEvents(b *bench) {
	for range 20 {
		b.run(LateEvents, "{}")
	}
	b.mustEcho("1")
	ended := map[uint64]bool{}
	for _, e := range b.up[0].Events() {
		if ended[e.Seq] {
			b.Fatalf("%v came after the Result", e)
		}
		ended[e.Seq] = e.Kind == "ended"
	}
}

// notHeld lets three tasks be read at once: a Result, with the next task there
// already, must leave before that one's script runs.
func notHeld(b *bench) {
	first := b.block(0)
	second, third := b.send(0, Echo, "1"), b.send(0, BlocksUntilStopped, "{}")
	b.cancel(0, first, plugins.StopCancelled)
	b.up[0].Wait(b, "ended", second)
	b.up[0].Wait(b, "started", third)
	b.cancel(0, third, plugins.StopCancelled)
	b.up[0].Wait(b, "ended", third)
}

func independent(b *bench) {
	blocked := b.block(1)
	b.mustEcho("1")
	b.cancel(1, blocked, plugins.StopCancelled)
	b.up[1].Wait(b, "ended", blocked)
}

// unrun fails if one of the tasks, which were taken back, has run. One that was taken back
// in shared memory, or might have been, may be answered with Skipped.
func (b *bench) unrun(slot int, seqs ...uint64) {
	b.Helper()
	for _, seq := range seqs {
		got := b.up[slot].Of(seq)
		if got != "" && (!b.worker.Slot(slot).Shares() || got != fmt.Sprintf("skipped %d", seq)) {
			b.Errorf("a task that was taken back gave: %s", got)
		}
	}
}

func recalled(b *bench) {
	first := b.block(0)
	second, third, fourth := b.send(0, Echo, "2"), b.send(0, Echo, "3"), b.send(0, Echo, "4")
	if claim := b.recall(0, second); claim != plugins.Recalled {
		b.Fatalf("recall of an unread task: %v", claim)
	}
	if claim := b.cancel(0, third, plugins.StopCancelled); claim != plugins.Recalled {
		b.Fatalf("cancel of an unread task: %v", claim)
	}
	b.cancel(0, first, plugins.StopCancelled)
	b.up[0].Wait(b, "ended", fourth)
	b.unrun(0, second, third)
}

func claimedStays(b *bench) {
	seq := b.block(0)
	if claim := b.recall(0, seq); claim != plugins.Claimed {
		b.Fatalf("recall of a running task: %v", claim)
	}
	b.cancel(0, seq, plugins.StopCancelled)
	b.up[0].Wait(b, "ended", seq)
	if claim := b.recall(0, seq); claim != plugins.Claimed {
		b.Fatalf("recall of a task that has ended: %v", claim)
	}
}

func sharedClaims(b *bench) {
	conn := b.worker.Slot(0)
	if conn.Shares() != b.suite.Shares {
		b.Fatalf("it shares its claims: %v, want %v", conn.Shares(), b.suite.Shares)
	}
	if !conn.Shares() {
		b.Skip("this executor decides alone, and is asked by RPC")
	}
	fate := func(seq uint64, want plugins.Fate) {
		b.Helper()
		if got := conn.Fate(0, seq); got != want {
			b.Errorf("task %d: fate %v, want %v", seq, got, want)
		}
	}
	first := b.block(0)
	second, third, fourth := b.send(0, Echo, "2"), b.send(0, Echo, "3"), b.send(0, Echo, "4")
	fate(first, plugins.FateClaimed)
	fate(second, plugins.FateOpen)
	if claim := conn.Recall(0, second); claim != plugins.Recalled {
		b.Errorf("recall of an unread task: %v", claim)
	}
	if claim := b.recall(0, second); claim != plugins.Recalled {
		b.Errorf("recall, once more, by a call: %v", claim)
	}
	if claim := b.recall(0, third); claim != plugins.Recalled {
		b.Errorf("recall by a call: %v", claim)
	}
	if claim := conn.Recall(0, first); claim != plugins.Claimed {
		b.Errorf("recall of a running task: %v", claim)
	}
	fate(third, plugins.FateRecalled)
	b.cancel(0, first, plugins.StopCancelled)
	b.up[0].Wait(b, "ended", fourth)
	for seq, want := range map[uint64]plugins.Fate{first: plugins.FateDone, second: plugins.FateRecalled, third: plugins.FateRecalled, fourth: plugins.FateDone} {
		fate(seq, want)
	}
	b.unrun(0, second, third)
}

func stopped(b *bench) {
	if !b.worker.Description().CanCancel {
		b.Skip("this executor can't stop a task")
	}
	for reason, status := range map[plugins.StopReason]task.Status{plugins.StopCancelled: task.Cancelled, plugins.StopTimedOut: task.TimedOut} {
		seq := b.block(0)
		if claim := b.cancel(0, seq, reason); claim != plugins.Claimed {
			b.Fatalf("cancel of a running task: %v", claim)
		}
		if o := b.up[0].Wait(b, "ended", seq).Outcome; o.Status != status {
			b.Fatalf("reason %v: %s %+v", reason, o.Status, o.Error)
		}
		b.mustEcho("1") // the stop was for that task alone
	}
}

// timesOut gives a task little time, and one as much as there can be.
func timesOut(b *bench) {
	if !b.worker.Description().CanCancel {
		b.Skip("this executor can't stop a task")
	}
	for range 2 {
		seq := b.sendWithin(0, BlocksUntilStopped, "{}", 20*time.Millisecond)
		if o := b.up[0].Wait(b, "ended", seq).Outcome; o.Status != task.TimedOut {
			b.Fatalf("%s %+v", o.Status, o.Error)
		}
		seq = b.sendWithin(0, Echo, "1", math.MaxInt64)
		if o := b.up[0].Wait(b, "ended", seq).Outcome; o.Status != task.Completed {
			b.Fatalf("it had time, but: %s %+v", o.Status, o.Error)
		}
	}
}

// cancelRaces cancels tasks at about the time when they start: each is taken back
// or stopped.
func cancelRaces(b *bench) {
	for range 300 {
		seq := b.send(0, BlocksUntilStopped, "{}")
		for range rand.IntN(4) {
			if _, err := b.worker.Health(b.Context()); err != nil { // passes some time
				b.Fatal(err)
			}
		}
		if b.cancel(0, seq, plugins.StopCancelled) == plugins.Claimed {
			b.up[0].Wait(b, "ended", seq)
		} else {
			b.unrun(0, seq)
		}
	}
}

func drains(b *bench) {
	running := b.block(0)
	waiting := b.send(0, Echo, "1")
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		b.worker.Stop(b.Context())
	}()
	// The drain has begun when a task for the idle slot is refused.
	for refused := false; !refused; {
		seq := b.send(1, Echo, "1")
		refused = b.up[1].WaitAnswered(b, seq).Kind == "skipped"
	}
	b.cancel(0, running, plugins.StopCancelled)
	b.up[0].Wait(b, "ended", running)
	<-stopped
	b.up[0].WaitLost(b)
	if got := b.up[0].Of(waiting); got != "" && got != fmt.Sprintf("skipped %d", waiting) {
		b.Errorf("the task that waited gave: %s", got)
	}
	b.ended()
	if got := b.worker.Exit(); got != "exit status 0" {
		b.Errorf("asked to end, it did so with %q", got)
	}
}

func environment(b *bench) {
	o := b.run(Environment, "{}")
	var env map[string]string
	if err := json.Unmarshal(o.Data, &env); err != nil {
		b.Fatalf("%s %v: %v", o.Data, o.Error, err)
	}
	for name := range env {
		if name == reaper.MarkEnv {
			continue // by which what scripts start is found
		}
		plumbing := []string{plugins.Handshake().MagicCookieKey, plugins.LifelineEnv, plugins.ProgramEnv, plugins.OutputEnv, "NOTIFY_SOCKET"}
		if strings.HasPrefix(name, "PLUGIN_") || strings.HasPrefix(name, "LISTEN_") || slices.Contains(plumbing, name) {
			b.Errorf("a script sees %s", name)
		}
	}
	for _, name := range []string{"PATH", "MALLOC_ARENA_MAX", "OMP_NUM_THREADS", reaper.MarkEnv} {
		if env[name] == "" {
			b.Errorf("a script does not see %s", name)
		}
	}
}

func strayOutput(b *bench) {
	for range 3 {
		if o := b.run(StrayOutput, "{}"); o.Status != task.Completed {
			b.Fatalf("%s %+v", o.Status, o.Error)
		}
	}
	b.mustEcho("1")
}

func stats(b *bench) {
	b.mustEcho("1")
	seq := b.block(1)
	s, err := b.worker.Stats(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if s.TasksDone != 1 || s.SlotsBusy != 1 || s.RSSBytes < 1<<20 || s.Threads < 3 || s.CPUsAllowed == "" {
		b.Errorf("one task done, one running: %+v", s)
	}
	b.cancel(1, seq, plugins.StopCancelled)
	b.up[1].Wait(b, "ended", seq)
}
