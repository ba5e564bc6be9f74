package ipc_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/config"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// The least that the configuration allows to be in flight is enough for one caller, who has
// a share of it alone, to send the largest body in every way.
func TestTheLargestTaskFindsRoomHoweverLittleMayBeInFlight(t *testing.T) {
	const most = 1 << 20
	limits := config.Limits{BodyBytes: most, ResultBytes: 1, InFlightBytes: 1}
	socket := ipctest.ServeAll(t, ipctest.New(), ipc.Options{BodyBytes: most, InFlight: limits.InFlight, StallTimeout: time.Minute})
	// fill returns text with params that make it as long as may be.
	fill := func(before, after string) string {
		return before + strings.Repeat("x", most-len(before)-len(after)) + after
	}
	one := fill(`{"script_path":"`+ipctest.Held+`","params":"`, `"}`)
	for name, x := range map[string]struct{ path, kind, text string }{
		"a task":                   {"/v1/tasks", "application/json", one},
		"a batch of one":           {"/v1/batches", "application/json", fill(`{"tasks":[{"script_path":"`+ipctest.Held+`","params":"`, `"}]}`)},
		"a batch of one line":      {"/v1/batches", "application/x-ndjson", one},
		"a batch of unnamed lines": {"/v1/batches", "application/octet-stream", one},
	} {
		s := dialAs(t, caller1, socket)
		s.post(x.path, len(x.text), "Content-Type: "+x.kind+"\r\n", x.text)
		if resp, text := s.whole(); resp.StatusCode != 202 || strings.Contains(text, "code") {
			t.Errorf("%s: %s %.300s", name, resp.Status, text)
		}
		s.conn.Close()
		s = dialAs(t, caller1, socket)
		s.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: cpulb\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", x.path, x.kind, len(x.text), x.text))
		if resp, text := s.whole(); resp.StatusCode != 202 || strings.Contains(text, "code") {
			t.Errorf("%s in chunks: %s %.300s", name, resp.Status, text)
		}
		s.conn.Close()
	}
	s := dialAs(t, caller1, socket)
	s.send(upgrade)
	s.switched()
	s.conn.SetReadDeadline(time.Now().Add(10 * time.Minute)) // it would wait for room for ever
	s.send(fill(`{"op":"submit","task":{"script_path":"`+ipctest.Held+`","params":"`, `"}}`) + "\n")
	s.expect("accepted")
}

// What is held of a long line is in the way of others of its caller's that wait, too: it
// gives up.
func TestALongLineThatFindsNoRoomIsRejected(t *testing.T) {
	const most = 1 << 20
	engine := ipctest.New()
	limits := config.Limits{BodyBytes: most, ResultBytes: 1}
	socket := ipctest.ServeAll(t, engine, ipc.Options{BodyBytes: most, InFlight: limits.InFlight, StallTimeout: time.Second})
	engine.HoldAnswers() // what it has been sent it holds
	long := `{"op":"submit","task":{"script_path":"` + ipctest.Held + `","params":"` + strings.Repeat("x", most-100) + "\"}}\n"
	var all [2]*stream
	for i := range all {
		all[i] = dialAs(t, caller1, socket)
		all[i].send(upgrade)
		all[i].switched()
		all[i].conn.SetReadDeadline(time.Now().Add(10 * time.Minute))
		all[i].send(long)
		if i == 0 {
			if err := engine.AwaitTasks(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if ev := all[1].expect("rejected"); ev.Problem["code"] != "too_many_in_flight" {
		t.Errorf("%v", ev)
	}
	engine.ReleaseAnswers()
	all[0].expect("accepted")
	all[1].send(long)
	all[1].expect("accepted")
}
