package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// signalled is what a shell adds to the number of the signal that has ended a command.
const signalled = 128

// interruptible returns a context that the first SIGINT or SIGTERM ends. The second ends the
// program at once: what goes on then is said before.
func interruptible(t *terminal) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	ignored := signal.Ignored(os.Interrupt) // as in a script's command with &, and so it is again after Reset
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		s := <-signals
		t.leave()
		signal.Reset(s)
		if s == os.Interrupt && ignored {
			os.Exit(signalled + int(syscall.SIGINT))
		}
		_ = syscall.Kill(os.Getpid(), s.(syscall.Signal)) // to be seen to have ended by it, as shells and make want it
	}()
	return ctx
}

// cancelling says that a command cancels what it has begun, because of a signal; left is what
// there is to say if another signal ends that. Without what, left alone is noted.
func (t *terminal) cancelling(what, left string) {
	t.left.Store(&left)
	if what == "" {
		return
	}
	if b := t.shown.Load(); b != nil {
		b.hide()
		defer b.show()
	}
	fmt.Fprintf(t.err, "cpulb: cancelling %s; interrupt again to leave what still runs\n", what)
}

// leave says what goes on when the program ends before it has cancelled that.
func (t *terminal) leave() {
	left := t.left.Load()
	if left == nil {
		return
	}
	if b := t.shown.Load(); b != nil {
		b.hide()
	}
	fmt.Fprintln(t.err, "cpulb:", *left)
}
