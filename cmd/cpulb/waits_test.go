package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

func TestAWaitIsSaidOnceAndTheSameNotTooOften(t *testing.T) {
	full, gone := &api.Problem{Code: "queue_full", Detail: "it is full"}, client.ErrNoDaemon
	begin := time.Unix(1, 0)
	at := func(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }
	var w words
	for _, look := range []struct {
		why        error
		since, now int
		want       string
	}{
		{nil, 0, 0, ""},
		{full, 0, 1, "waiting for room: it is full [queue_full]"},
		{full, 0, 9, ""},
		{full, 10, 11, ""}, // another wait, soon after
		{gone, 12, 13, "waiting for the daemon: no daemon answers"},
		{&api.Problem{Code: "draining", Detail: "it drains"}, 14, 15, "waiting for the daemon: it drains [draining]"},
		{full, 16, 17, "waiting for room: it is full [queue_full]"},
		{full, 16, 200, ""}, // the same one still
		{full, 201, 202, "waiting for room: it is full [queue_full]"},
	} {
		if got := w.of(look.why, at(look.since), at(look.now)); got != look.want {
			t.Errorf("at %d: %q, want %q", look.now, got, look.want)
		}
	}
	for want, why := range map[string]error{"": nil, "waiting for room [too_many_in_flight]": &api.Problem{Code: "too_many_in_flight"},
		"waiting for the daemon [draining]": &api.Problem{Code: "draining"}, "waiting for the daemon": errors.Join(gone)} {
		if got := inShort(why); got != want {
			t.Errorf("%v: %q, want %q", why, got, want)
		}
	}
}

func TestAMapThatWaitsForRoomSaysSo(t *testing.T) {
	engine := administrator(t)
	engine.Refuse(task.ErrQueueFull)
	read, write := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"map", ipctest.Echo}, newTerminal(strings.NewReader("1\n2\n"), io.Discard, write))
		write.Close()
	}()
	lines := bufio.NewScanner(read)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "cpulb: waiting for room: ") || !strings.HasSuffix(lines.Text(), "[queue_full]") {
		t.Errorf("%q", lines.Text())
	}
	engine.Refuse(nil)
	if lines.Scan() {
		t.Errorf("%q", lines.Text())
	}
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestWhereABarIsDrawnTheWaitIsInIt(t *testing.T) {
	tty, shown := terminalPair(t)
	t.Setenv("TERM", "xterm")
	screen := newTerminal(nil, io.Discard, tty)
	b, long := screen.bar(), time.Now().Add(-saidAfter)
	for want, why := range map[string]error{"": nil, "waiting for room [queue_full]": &api.Problem{Code: "queue_full"}} {
		screen.sayWait(new(words), why, long)
		b.mu.Lock()
		if b.state.waits != want {
			t.Errorf("%q, want %q", b.state.waits, want)
		}
		b.mu.Unlock()
	}
	screen.sayWait(new(words), client.ErrNoDaemon, time.Now()) // not long enough
	b.end()
	screen.sayWait(new(words), client.ErrNoDaemon, long)
	if got := shown(); strings.Count(got, "cpulb:") != 1 || !strings.Contains(got, "cpulb: waiting for the daemon: no daemon answers") {
		t.Errorf("%q", got)
	}
}

// Any call about tasks waits for the next daemon.
func TestACommandThatWaitsForTheNextDaemonSaysSo(t *testing.T) {
	engine := ipctest.New()
	socket, server := ipctest.Serve(t, engine, ipc.Options{})
	t.Setenv("CPULB_SOCKET", socket)
	id := submitted(t, ipctest.Held)
	engine.Tell(engine.Last().ID, task.Event{Kind: task.EventLog, Level: "info", Message: "begun"})
	out, toOut := io.Pipe()
	read, write := io.Pipe()
	ctx, enough := context.WithCancel(t.Context())
	go func() {
		run(ctx, []string{"events", id}, newTerminal(nil, toOut, write))
		write.Close()
	}()
	if events := bufio.NewScanner(out); !events.Scan() { // it is connected
		t.Fatal(events.Err())
	}
	go io.Copy(io.Discard, out)
	cut, now := context.WithCancel(t.Context())
	now()
	_ = server.Shutdown(cut)
	lines := bufio.NewScanner(read)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "cpulb: waiting for the daemon: no daemon answers") {
		t.Errorf("%q", lines.Text())
	}
	enough()
	_, _ = io.Copy(io.Discard, read)
	toOut.Close()
}
