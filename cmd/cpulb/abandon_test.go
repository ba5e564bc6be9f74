package main

import (
	"context"
	"strings"
	"testing"

	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// The daemon is away when Ctrl-C comes, and does not come back in time.
func TestWhatCouldNotBeCancelledIsSaidWithTheCommandThatDoesIt(t *testing.T) {
	engine := ipctest.New()
	socket, server := ipctest.Serve(t, engine, ipc.Options{})
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ran, mapped := make(chan outcome, 1), make(chan outcome, 1)
	go func() { ran <- cpulb(ctx, "", "--socket", socket, "--patience=2s", "run", ipctest.Held) }()
	go func() { mapped <- cpulb(ctx, "1\n", "--socket", socket, "--patience=2s", "map", ipctest.Held) }()
	if err := engine.AwaitTasks(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	_ = server.Shutdown(cut)
	interrupt()
	for name, c := range map[string]struct {
		ended <-chan outcome
		want  string
	}{"run": {ran, "cpulb cancel "}, "map": {mapped, "cpulb cancel --label cpulb.map="}} {
		got := <-c.ended
		if got.code != 1 || !strings.Contains(got.err, "could not be cancelled") || !strings.Contains(got.err, c.want) || strings.Contains(got.err, "is being cancelled") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
