package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// notHeld lets three tasks be read at once: a Result, with the next task there
// already, must leave before that one's script runs.
func notHeld(b *bench) {
	first := b.block(0)
	second, third := b.send(0, Echo, "1"), b.blocks(0)
	b.release(first)
	b.up[0].Wait(b, "ended", second)
	b.up[0].Wait(b, "started", third.seq)
	b.release(third)
	b.up[0].Wait(b, "ended", third.seq)
}

func independent(b *bench) {
	other := b.block(1)
	b.mustEcho("1")
	b.release(other)
	b.up[1].Wait(b, "ended", other.seq)
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
		b.Fatalf("recall of an unread task: got %s", answer(claim))
	}
	if claim := b.cancel(0, third, plugins.StopCancelled); claim != plugins.Recalled {
		b.Fatalf("cancel of an unread task: got %s", answer(claim))
	}
	b.release(first)
	b.up[0].Wait(b, "ended", fourth)
	b.unrun(0, second, third)
}

func claimedStays(b *bench) {
	t := b.block(0)
	if claim := b.recall(0, t.seq); claim != plugins.Claimed {
		b.Fatalf("recall of a running task: wanted claimed, got %s", answer(claim))
	}
	b.release(t)
	b.up[0].Wait(b, "ended", t.seq)
	if claim := b.recall(0, t.seq); claim != plugins.Claimed {
		b.Fatalf("recall of a task that has ended: wanted claimed, got %s", answer(claim))
	}
	if claim := b.cancel(0, t.seq, plugins.StopCancelled); claim != plugins.Claimed {
		b.Fatalf("cancel of a task that has ended: wanted claimed, got %s", answer(claim))
	}
}

func sharedClaims(b *bench) {
	conn := b.worker.Slot(0)
	fate := func(seq uint64, want plugins.Fate) {
		b.Helper()
		if got := conn.Fate(0, seq); got != want {
			b.Errorf("task %d: fate %v, want %v", seq, got, want)
		}
	}
	first := b.block(0)
	second, third, fourth := b.send(0, Echo, "2"), b.send(0, Echo, "3"), b.send(0, Echo, "4")
	fate(first.seq, plugins.FateClaimed)
	fate(second, plugins.FateOpen)
	if claim := conn.Recall(0, second); claim != plugins.Recalled {
		b.Errorf("recall of an unread task: got %s", answer(claim))
	}
	if claim := b.recall(0, second); claim != plugins.Recalled {
		b.Errorf("recall, once more, by a call: got %s", answer(claim))
	}
	if claim := b.recall(0, third); claim != plugins.Recalled {
		b.Errorf("recall by a call: got %s", answer(claim))
	}
	if claim := conn.Recall(0, first.seq); claim != plugins.Claimed {
		b.Errorf("recall of a running task: got %s", answer(claim))
	}
	fate(third, plugins.FateRecalled)
	b.release(first)
	b.up[0].Wait(b, "ended", fourth)
	for seq, want := range map[uint64]plugins.Fate{first.seq: plugins.FateDone, second: plugins.FateRecalled, third: plugins.FateRecalled, fourth: plugins.FateDone} {
		fate(seq, want)
	}
	b.unrun(0, second, third)
}

func stopped(b *bench) {
	for reason, status := range map[plugins.StopReason]task.Status{plugins.StopCancelled: task.Cancelled, plugins.StopTimedOut: task.TimedOut} {
		seq := b.block(0).seq
		if claim := b.cancel(0, seq, reason); claim != plugins.Claimed {
			b.Fatalf("cancel of a running task: got %s", answer(claim))
		}
		if o := b.up[0].Wait(b, "ended", seq).Outcome; o.Status != status {
			b.Fatalf("asked to stop: wanted %s, got %s", status, outcome(o))
		}
		b.mustEcho("1") // the stop was for that task alone
	}
}

// timesOut gives a task little time, and one as much as there can be.
func timesOut(b *bench) {
	for range 2 {
		seq := b.sendWithin(0, BlocksUntilStopped, "{}", 20*time.Millisecond)
		if o := b.up[0].Wait(b, "ended", seq).Outcome; o.Status != task.TimedOut {
			b.Fatalf("after its time: wanted timed_out, got %s", outcome(o))
		}
		seq = b.sendWithin(0, Echo, "1", math.MaxInt64)
		if o := b.up[0].Wait(b, "ended", seq).Outcome; o.Status != task.Completed {
			b.Fatalf("it had time, but: %s", outcome(o))
		}
	}
}

// cancelRaces cancels tasks at about the time when they start: each is taken back
// or stopped.
func cancelRaces(b *bench) {
	for range b.suite.races() {
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
	giveUp := time.Now().Add(b.suite.patience())
	for refused := false; !refused; {
		if time.Now().After(giveUp) {
			b.Fatalf("%v after Drain was called, tasks are run still; wanted that they are answered with Skipped", b.suite.patience())
		}
		seq := b.send(1, Echo, "1")
		refused = b.up[1].WaitAnswered(b, seq).Kind == "skipped"
	}
	b.release(running)
	b.up[0].Wait(b, "ended", running.seq)
	<-stopped
	b.up[0].WaitLost(b)
	if got := b.up[0].Of(waiting); got != "" && got != fmt.Sprintf("skipped %d", waiting) {
		b.Errorf("the task that waited gave: %s", got)
	}
	b.ended()
	if got := b.worker.Exit(); got != "exit status 0" {
		b.Errorf("asked to end: wanted exit status 0, got %q", got)
	}
}

func answer(c plugins.Claim) string {
	switch c {
	case plugins.Claimed:
		return "claimed"
	case plugins.Recalled:
		return "recalled"
	}
	return fmt.Sprintf("%d", c)
}
