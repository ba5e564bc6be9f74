package executortest

import (
	"fmt"
	"strings"
	"time"
)

// What the suite promises of a worker's end.

func crash(b *bench) {
	seq := b.send(0, Crashes, "{}")
	b.ended()
	for _, up := range b.up {
		up.WaitLost(b)
	}
	if got := b.up[0].Of(seq); got != fmt.Sprintf("started %d", seq) {
		b.Errorf("the task gave: %s", got)
	}
	if words := strings.Join(b.worker.LastStderr(), "\n"); !strings.Contains(words, "last words of a crash") {
		b.Errorf("last words: %s", words)
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
	b.send(0, Crashes, "{}")
	c.WaitGone(b)
	b.ended()
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
	b.send(0, Crashes, "{}")
	c.WaitGone(b)
	b.ended()
	for _, up := range b.up {
		up.WaitLost(b)
	}
}

func childrenDieOfStop(b *bench) {
	c := child(b, b.run(ChildEscapes, "{}"))
	b.worker.Stop(b.Context())
	c.WaitGone(b)
}

func faults(b *bench) {
	b.send(0, Faults, "{}")
	b.ended()
	// A runtime may catch the signal to say more than the kernel does.
	if got := b.worker.Exit(); !strings.HasPrefix(got, "signal: segmentation fault") && !strings.Contains(got, "SIGSEGV") {
		b.Errorf("it ended with %q", got)
	}
}

func exits(b *bench) {
	b.send(0, Exits, "{}")
	b.ended()
	if got := b.worker.Exit(); got != "exit status 42" {
		b.Errorf("it ended with %q", got)
	}
}

// ended waits for the worker's end.
func (b *bench) ended() {
	b.Helper()
	select {
	case <-b.worker.Done():
	case <-time.After(patience):
		b.Fatal("the worker's end was not noticed")
	}
}
