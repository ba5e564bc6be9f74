package ipc_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// events reads a task's events to their end, as kinds and cursors.
func (c *caller) events(path string) string {
	c.t.Helper()
	resp := c.open("GET", path, "")
	defer resp.Body.Close()
	var got []string
	for in := bufio.NewScanner(resp.Body); in.Scan(); {
		var ev event
		if err := json.Unmarshal(in.Bytes(), &ev); err != nil {
			c.t.Fatalf("%q: %v", in.Text(), err)
		}
		if err := lineAsDocumented("Event", in.Bytes()); err != nil {
			c.t.Errorf("%q is not as documented: %v", in.Text(), err)
		}
		got = append(got, ev.Event+" "+ev.Cursor)
	}
	return strings.Join(got, ", ")
}

func TestEventsAreToldFromTheBeginningOrAfterACursor(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	c := call(t, socket)
	_, v := c.do("POST", "/v1/tasks", body(ipctest.Chatty, ""))
	path := fmt.Sprintf("/v1/tasks/%s/events", v["task_id"])
	for after, want := range map[string]string{
		"":           "state 1.1, partial 1.2, progress 1.3, log 1.4, result 1.5",
		"?after=1.3": "log 1.4, result 1.5",
		"?after=1.5": "",
	} {
		if got := c.events(path + after); got != want {
			t.Errorf("%s: %s; want %s", after, got, want)
		}
	}
	engine.Forget(engine.Last().ID, 2)
	if got := c.events(path + "?after=1.1"); got != "gap 1.3, log 1.4, result 1.5" {
		t.Errorf("after some were dropped: %s", got)
	}
}

func TestEventsGoOnLiveToTheResult(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	c := call(t, socket)
	_, v := c.do("POST", "/v1/tasks", body(ipctest.Held, ""))
	resp := c.open("GET", fmt.Sprintf("/v1/tasks/%s/events", v["task_id"]), "") // answered before there is an event
	defer resp.Body.Close()
	engine.End(engine.Last().ID, task.Result{Status: task.Completed})
	if text, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(string(text), `{"event":"result",`) {
		t.Errorf("%q %v", text, err)
	}
}

func TestEventsAsServerSentEventsGoOnAfterTheLastID(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	c := call(t, socket)
	_, v := c.do("POST", "/v1/tasks", body(ipctest.Chatty, ""))
	resp := c.open("GET", fmt.Sprintf("/v1/tasks/%s/events", v["task_id"]), "", "Accept", "text/event-stream", "Last-Event-ID", "1.3")
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v %v", resp.Header, err)
	}
	frames := strings.Split(strings.TrimSuffix(string(text), "\n\n"), "\n\n")
	if len(frames) != 2 || !strings.HasPrefix(frames[0], "id: 1.4\nevent: log\ndata: {\"event\":\"log\"") || !strings.HasPrefix(frames[1], "id: 1.5\nevent: result\ndata: {") {
		t.Errorf("%q", text)
	}
	// A browser that reconnects sends the address that it began with, too.
	again := c.open("GET", fmt.Sprintf("/v1/tasks/%s/events?after=1.1", v["task_id"]), "", "Accept", "text/event-stream", "Last-Event-ID", "1.3")
	defer again.Body.Close()
	if same, err := io.ReadAll(again.Body); err != nil || string(same) != string(text) {
		t.Errorf("beside an earlier after: %q %v", same, err)
	}
	for _, frame := range frames {
		if data := strings.Split(frame, "\n"); len(data) != 3 || !json.Valid([]byte(strings.TrimPrefix(data[2], "data: "))) {
			t.Errorf("not one line of JSON: %q", frame)
		}
	}
}

func TestEventsThatAreKeptAreToldWithoutThoseToCome(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	c := call(t, socket)
	_, v := c.do("POST", "/v1/tasks", body(ipctest.Held, ""))
	path := fmt.Sprintf("/v1/tasks/%s/events?follow=", v["task_id"])
	if got := c.events(path + "false"); got != "" {
		t.Errorf("before the first: %s", got)
	}
	running := task.Running
	engine.Tell(engine.Last().ID, task.Event{Kind: task.EventState, Status: &running})
	if got := c.events(path + "false"); got != "state 1.1" {
		t.Errorf("while it runs: %s", got)
	}
	if got := c.events(path + "false&after=1.1"); got != "" {
		t.Errorf("after the last: %s", got)
	}
	engine.End(engine.Last().ID, task.Result{Status: task.Completed})
	for _, follow := range []string{"false", "true"} {
		if got := c.events(path + follow); got != "state 1.1, result 1.2" {
			t.Errorf("of one that has ended, with %s: %s", follow, got)
		}
	}
	if resp, p := c.do("GET", path+"maybe", ""); resp.StatusCode != 400 || p["code"] != "bad_query" || p["field"] != "follow" {
		t.Errorf("%s %v", resp.Status, p)
	}
}
