package ipc_test

import (
	"context"
	"fmt"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

func TestLinesAreReadWhileEarlierOnesWaitForTheirCommit(t *testing.T) {
	engine := ipctest.New()
	engine.HoldAnswers()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	s := open(t, socket)
	const n = 200
	sent := map[string]bool{}
	for i := range n {
		sent[s.submit([]string{ipctest.Echo, ipctest.Chatty}[i%2], "")] = true
	}
	id := task.NewID().String()
	s.send(fmt.Sprintf(`{"op":"submit","task":{"task_id":%q,"script_path":%q}}`+"\n", id, ipctest.Missing))
	if err := engine.AwaitTasks(t.Context(), n); err != nil { // all were read
		t.Fatal(err)
	}
	s.send(`{"op":"cancel","task_id":"mine"}` + "\n") // answered at once
	if ev := s.expect("rejected"); ev.Line != n+2 {
		t.Fatalf("the cancel: %+v", ev)
	}
	engine.ReleaseAnswers() // in another order
	if ev := s.expect("rejected"); ev.Line != n+1 || *ev.TaskID != id {
		t.Errorf("refused late: %+v", ev)
	}
	accepted := map[string]bool{}
	for range 2 * n {
		ev, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		switch ev.Event {
		case "accepted":
			accepted[*ev.TaskID] = true
		case "result":
			if !accepted[*ev.TaskID] || !sent[*ev.TaskID] {
				t.Fatalf("a result before its accepted: %+v", ev)
			}
			delete(sent, *ev.TaskID)
		}
	}
	if len(sent) > 0 {
		t.Errorf("%d have no result", len(sent))
	}
}

func TestATaskThatGoesOnAtTheNextStartHoldsUpNoShutdown(t *testing.T) {
	socket, server := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	s := open(t, socket)
	s.submit(ipctest.Held, "")
	s.expect("accepted")
	ended := make(chan error, 1)
	go func() { ended <- server.Shutdown(t.Context()) }()
	s.expect("goaway")
	server.Settle()
	s.expectEnd()
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestAStreamThatWaitsForItsCommitsCanBeEnded(t *testing.T) {
	engine := ipctest.New()
	engine.HoldAnswers()
	socket, server := ipctest.Serve(t, engine, ipc.Options{})
	s := open(t, socket)
	for range 1001 { // one more than may be unanswered
		s.submit(ipctest.Held, "")
	}
	if err := engine.AwaitTasks(t.Context(), 1000); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = server.Shutdown(ctx) // returns
	engine.ReleaseAnswers()
}

func TestManyStreamsOfOneCallerKeepNobodysSubmissionsWaiting(t *testing.T) {
	engine := ipctest.New()
	engine.HoldAnswers()
	socket := ipctest.ServeAll(t, engine, ipc.Options{})
	for range 3 {
		s := dialAs(t, caller1, socket)
		s.send(upgrade)
		s.switched()
		for range 400 {
			s.submit(ipctest.Held, "")
		}
	}
	if err := engine.AwaitTasks(t.Context(), 1000); err != nil { // of 1200
		t.Fatal(err)
	}
	other := dialAs(t, caller2, socket)
	other.send(upgrade)
	other.switched()
	other.submit(ipctest.Held, "")
	if err := engine.AwaitTasks(t.Context(), 1001); err != nil {
		t.Fatal(err)
	}
	engine.ReleaseAnswers()
	other.expect("accepted")
	if err := engine.AwaitTasks(t.Context(), 1201); err != nil { // what has waited goes on
		t.Fatal(err)
	}
}
