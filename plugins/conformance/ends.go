package conformance

import (
	"fmt"
	"strings"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// What is promised of a worker's end. Where each task has a process of its own, what would
// end a worker may end its task alone.

// answerOrEnd waits for the answer to seq on slot 0, or for the end of the worker.
func (b *bench) answerOrEnd(seq uint64) Event {
	b.Helper()
	return b.up[0].wait(b, fmt.Sprintf("an answer to %d, or the end of the worker", seq),
		func(e Event) bool {
			return e.Kind == "lost" || e.Seq == seq && (e.Kind == "ended" || e.Kind == "skipped")
		})
}

// endsAlone runs what ends its process, and reports whether the task alone has ended. Else
// the worker has.
func (b *bench) endsAlone(behaviour Behaviour) bool {
	b.Helper()
	seq := b.send(0, behaviour, "{}")
	ev := b.answerOrEnd(seq)
	if ev.Kind == "lost" {
		b.ended()
		if got := b.up[0].Of(seq); got != fmt.Sprintf("started %d", seq) {
			b.Errorf("of the task that ended its worker, wanted Started, got: %s", got)
		}
		return false
	}
	if !b.worker.Description().CanIsolate {
		b.Fatalf("a task was to end its worker, and gave %s %s", ev, outcome(ev.Outcome))
	}
	if o := ev.Outcome; o.Status != task.Failed || o.Fault != plugins.NoFault {
		b.Errorf("a task ended its process: wanted a failed Result without a fault, got %s", outcome(o))
	}
	return true
}

func crash(b *bench) {
	if b.endsAlone(Crashes) {
		return
	}
	for _, up := range b.up {
		up.WaitLost(b)
	}
	if words := strings.Join(b.worker.LastStderr(), "\n"); !strings.Contains(words, "last words of a crash") {
		b.Errorf("last words: wanted %q among them, got %q", "last words of a crash", words)
	}
}

func faults(b *bench) {
	if b.endsAlone(Faults) {
		return
	}
	// A runtime may catch the signal to say more than the kernel does.
	if got := b.worker.Exit(); !strings.HasPrefix(got, "signal: segmentation fault") && !strings.Contains(got, "SIGSEGV") {
		b.Errorf("wanted its end by SIGSEGV, got %q", got)
	}
}

func exits(b *bench) {
	if b.endsAlone(Exits) {
		return
	}
	if got := b.worker.Exit(); got != "exit status 42" {
		b.Errorf("wanted its end with exit status 42, got %q", got)
	}
}

func childrenDie(b *bench) {
	c := child(b, b.run(SpawnsChild, "{}"))
	b.worker.Kill()
	c.WaitGone(b)
	b.ended()
}

func childrenDieOfCrash(b *bench) {
	c := child(b, b.run(SpawnsChild, "{}"))
	b.endsAlone(Crashes)
	c.WaitGone(b)
}

// childEscapes has a child that left the worker's session and holds all of its
// sockets and pipes: it ends, and nobody waits for it.
func childEscapes(b *bench) {
	c := child(b, b.run(ChildEscapes, "{}"))
	b.worker.Kill()
	c.WaitGone(b)
	b.ended()
	for _, up := range b.up {
		up.WaitLost(b)
	}
}

func childEscapesCrash(b *bench) {
	c := child(b, b.run(ChildEscapes, "{}"))
	if b.endsAlone(Crashes) {
		c.WaitGone(b)
		return
	}
	c.WaitGone(b)
	for _, up := range b.up {
		up.WaitLost(b)
	}
}

func childrenDieOfStop(b *bench) {
	c := child(b, b.run(ChildEscapes, "{}"))
	b.worker.Stop(b.Context())
	c.WaitGone(b)
}

// lifeline lets the worker believe that its daemon has gone.
func lifeline(b *bench) {
	if b.canBlock() {
		b.block(0)
	}
	b.worker.Abandon()
	b.ended()
}
