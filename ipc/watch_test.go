package ipc_test

import (
	"fmt"
	"net"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

const submitKeyed = `{"op":"submit","task":{"task_id":%q,"script_path":%q,"idempotency_key":"k"},"events":%v,"ack":%v}` + "\n"

func watchersOf(t *testing.T, engine *ipctest.Engine, id string, n int) {
	t.Helper()
	parsed, err := task.ParseID(id)
	if err == nil {
		err = engine.AwaitWatchers(t.Context(), parsed, n)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func end(t *testing.T, engine *ipctest.Engine, id string) {
	t.Helper()
	parsed, err := task.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	engine.End(parsed, task.Result{Status: task.Completed})
}

func TestATaskThatIsSentAgainOnItsStreamIsWatchedOnce(t *testing.T) {
	for name, key := range map[string]string{"by its id": "", "by its key": `,"idempotency_key":"k"`} {
		t.Run(name, func(t *testing.T) {
			engine := ipctest.New()
			socket, _ := ipctest.Serve(t, engine, ipc.Options{})
			s := open(t, socket)
			first := s.submit(ipctest.Held, key)
			s.expect("accepted")
			for range 200 {
				id := first
				if key != "" {
					id = task.NewID().String()
				}
				s.send(fmt.Sprintf(`{"op":"submit","task":{"task_id":%q,"script_path":%q%s}}`+"\n", id, ipctest.Held, key))
				if ev := s.expect("accepted"); *ev.TaskID != first {
					t.Fatalf("%+v", ev)
				}
			}
			watchersOf(t, engine, first, 1)
			end(t, engine, first)
			s.expect("result")
			s.send(fmt.Sprintf(`{"op":"submit","task":{"task_id":%q,"script_path":%q%s}}`+"\n", first, ipctest.Held, key))
			s.expect("accepted")
			s.expect("result") // it has ended: sent again, it is answered again
			s.submit(ipctest.Echo, "")
			s.expect("accepted")
			s.expect("result")
		})
	}
}

func TestSendingATaskAgainWithEventsBringsItsEvents(t *testing.T) {
	for _, keyed := range []bool{false, true} {
		engine := ipctest.New()
		socket, _ := ipctest.Serve(t, engine, ipc.Options{})
		s := open(t, socket)
		first := task.NewID().String()
		again := first
		if keyed {
			again = task.NewID().String()
		}
		s.send(fmt.Sprintf(submitKeyed, first, ipctest.Held, false, true))
		s.expect("accepted")
		s.send(fmt.Sprintf(submitKeyed, again, ipctest.Held, true, true))
		s.expect("accepted")
		watchersOf(t, engine, first, 1)
		parsed, _ := task.ParseID(first)
		engine.Tell(parsed, task.Event{Kind: task.EventLog, Level: "info", Message: "hello"})
		s.expect("log")
		end(t, engine, first)
		s.expect("result")
	}
}

func TestWatchesLeaveWithTheirStream(t *testing.T) {
	for name, held := range map[string]bool{"answered": false, "not answered": true} {
		t.Run(name, func(t *testing.T) {
			engine := ipctest.New()
			socket, _ := ipctest.Serve(t, engine, ipc.Options{})
			stays := open(t, socket)
			first := task.NewID().String()
			stays.send(fmt.Sprintf(submitKeyed, first, ipctest.Held, true, true))
			stays.expect("accepted")
			if held {
				engine.HoldAnswers()
			}
			goes := open(t, socket)
			ids := []string{first, task.NewID().String(), task.NewID().String()}
			for _, id := range ids {
				goes.send(fmt.Sprintf(submitKeyed, id, ipctest.Held, false, false))
			}
			plain := goes.submit(ipctest.Held, "")
			if err := engine.AwaitTasks(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
			watchersOf(t, engine, plain, 1)
			goes.conn.Close()
			if held {
				if err := engine.AwaitLeft(t.Context(), 4); err != nil {
					t.Fatal(err)
				}
				engine.ReleaseAnswers()
			}
			watchersOf(t, engine, first, 1)
			watchersOf(t, engine, plain, 0)
			end(t, engine, first)
			stays.expect("result")
		})
	}
}

func TestAWaitLeavesItsTaskWhenItsTimeIsOverOrItsClientGoes(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	c := call(t, socket)
	_, view := c.do("POST", "/v1/tasks?wait=1ms", body(ipctest.Held, ""))
	watchersOf(t, engine, view["task_id"].(string), 0)

	for _, held := range []bool{false, true} {
		if held {
			engine.HoldAnswers()
		}
		id := task.NewID()
		text := fmt.Sprintf(`{"task_id":%q,"script_path":%q}`, id, ipctest.Held)
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /v1/tasks?wait=1h HTTP/1.1\r\nHost: cpulb\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		if err := engine.AwaitWatchers(t.Context(), id, 1); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if held {
			if err := engine.AwaitLeft(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			engine.ReleaseAnswers()
		}
		watchersOf(t, engine, id.String(), 0)
	}
}
