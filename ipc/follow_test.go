package ipc_test

import (
	"fmt"
	"net"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

func (s *stream) watch(id string) { s.send(fmt.Sprintf(`{"op":"watch","task_id":%q}`+"\n", id)) }

func TestAWatchIsAnsweredByTheResultOfATaskThatWasSubmittedElsewhere(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	first, second := open(t, socket), open(t, socket)
	held := first.submit(ipctest.Held, "")
	first.expect("accepted")
	ended := first.submit(ipctest.Echo, `,"params":[1]`)
	first.expect("accepted")
	first.expect("result")

	second.watch(held)
	second.watch(ended) // which does not wait behind the other one
	if ev := second.expect("result"); *ev.TaskID != ended || ev.Cursor != "1.1" || fmt.Sprint(ev.Result["data"]) != "[1]" {
		t.Fatalf("%+v", ev)
	}
	second.watch("01890000-0000-7000-8000-000000000000")
	if ev := second.expect("rejected"); ev.Line != 3 || ev.Problem["code"] != "task_not_found" {
		t.Fatalf("%+v", ev)
	}
	second.watch("banana")
	if ev := second.expect("rejected"); ev.Line != 4 || ev.Problem["code"] != "task_not_found" {
		t.Fatalf("%+v", ev)
	}
	id, _ := task.ParseID(held)
	engine.End(id, task.Result{Status: task.Completed})
	if ev := second.expect("result"); *ev.TaskID != held {
		t.Fatalf("%+v", ev)
	}
	first.expect("result")
}

func TestAClientThatHasEndedItsWritingStillGetsWhatItWatches(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	first, second := open(t, socket), open(t, socket)
	held := first.submit(ipctest.Held, "")
	first.expect("accepted")
	second.watch(held)
	if err := second.conn.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	id, _ := task.ParseID(held)
	engine.End(id, task.Result{Status: task.Completed})
	second.expect("result")
	second.expectEnd()
}

func TestWhoWatchesMoreThanItsShareTakesIsRefused(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{InFlight: func() int64 { return 64 << 10 }})
	first, second := open(t, socket), open(t, socket)
	held := first.submit(ipctest.Held, "")
	first.expect("accepted")
	for range 100 {
		second.watch(held)
	}
	if ev := second.expect("rejected"); ev.Problem["code"] != "too_many_watches" {
		t.Fatalf("%+v", ev)
	}
}
