package ipc

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
)

// chunks counts how large the pieces are that are written.
type chunks struct {
	bytes.Buffer
	largest int
}

func (c *chunks) Write(p []byte) (int, error) {
	c.largest = max(c.largest, len(p))
	return c.Buffer.Write(p)
}

func TestAPenWritesWhatTheTypesSay(t *testing.T) {
	started := time.Now()
	awkward := strings.Repeat("aü\u2028<\x01\xff", 3000)
	view := &task.View{ID: task.NewID(), Status: task.Running, ScriptPath: "/" + awkward, Function: "main", Type: task.IOBound, Pool: "io", Priority: 3,
		Labels: map[string]string{"b": awkward, "a": "", "c": "x"}, Attempts: 2, Worker: fullResult("1").Worker, SubmittedAt: started, StartedAt: &started, FinishedAt: &started}
	large := fullResult(`"` + strings.Repeat("x", 100<<10) + `"`)
	large.Stdout, large.Stderr, large.Error.Message, large.Error.ExitCode = awkward, strings.Repeat("\xff", 9000), awkward, 3
	least := &task.Result{Status: task.Completed, Data: json.RawMessage("{\n}")}
	for name, x := range map[string]struct {
		v     any
		write func(*pen)
	}{
		"view":         {view, func(p *pen) { p.view(view) }},
		"least view":   {&task.View{}, func(p *pen) { p.view(&task.View{}) }},
		"result":       {large, func(p *pen) { p.result(large) }},
		"least result": {least, func(p *pen) { p.result(least) }},
		"last event":   {&task.Event{Kind: task.EventResult, Result: large}, func(p *pen) { p.event(&task.Event{Kind: task.EventResult, Result: large}) }},
		"a log line":   {&task.Event{Kind: task.EventLog, Message: "a\nb"}, func(p *pen) { p.event(&task.Event{Kind: task.EventLog, Message: "a\nb"}) }},
	} {
		var out chunks
		p := &pen{w: &out}
		x.write(p)
		p.flush()
		want, err := json.Marshal(x.v)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(decode(t, out.Bytes()), decode(t, want)) {
			t.Errorf("%s: wrote %.300s\nwant %.300s", name, out.Bytes(), want)
		}
		if out.largest > 16*penBytes && x.v != any(large) && name != "last event" { // but for data, of which there is no copy
			t.Errorf("%s: %d bytes at once", name, out.largest)
		}
	}
}
