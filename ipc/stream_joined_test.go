package ipc_test

import (
	"flag"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"

	"pgregory.net/rapid"
)

func TestLinesThatComeTogetherAreSubmittedTogether(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	s := open(t, socket)
	var all strings.Builder
	const n = 150
	for range n {
		fmt.Fprintf(&all, `{"op":"submit","task":{"script_path":%q}}`+"\n", ipctest.Echo)
	}
	s.send(all.String())
	for range n {
		s.expect("accepted")
		s.expect("result")
	}
	total, groups := 0, engine.Joined()
	for _, size := range groups {
		total += size
	}
	if total != n || len(groups) > 10 {
		t.Errorf("%d tasks came in groups of %v", total, groups)
	}
}

// aLine is one of a kind. Cancels are for earlier ids, or none of them.
func aLine(t *rapid.T, ids []task.ID) string {
	id := ids[len(ids)-1]
	switch rapid.SampledFrom([]string{"submit", "quiet", "events", "refused", "cancel", "held", "key", "bad", "blank", "long", "too long", "no id"}).Draw(t, "kind") {
	case "quiet":
		return fmt.Sprintf(`{"op":"submit","ack":false,"task":{"task_id":%q,"script_path":%q}}`, id, ipctest.Echo)
	case "events":
		return fmt.Sprintf(`{"op":"submit","events":true,"task":{"task_id":%q,"script_path":%q}}`, id, ipctest.Chatty)
	case "refused":
		return fmt.Sprintf(`{"op":"submit","task":{"task_id":%q,"script_path":%q}}`, id, ipctest.Missing)
	case "cancel":
		return fmt.Sprintf(`{"op":"cancel","task_id":%q}`, rapid.SampledFrom(ids).Draw(t, "id"))
	case "held":
		return fmt.Sprintf(`{"op":"submit","task":{"task_id":%q,"script_path":%q}}`, id, ipctest.Held)
	case "key":
		return fmt.Sprintf(`{"op":"submit","task":{"task_id":%q,"script_path":%q,"idempotency_key":%q}}`, id, ipctest.Echo, ids[0])
	case "bad":
		return `{"op":"submit","task":{}}`
	case "blank":
		return " "
	case "long":
		return fmt.Sprintf(`{"op":"submit","task":{"task_id":%q,"script_path":%q,"params":%q}}`, id, ipctest.Echo, strings.Repeat("x", 20_000))
	case "too long":
		return strings.Repeat("y", ipctest.BodyBytes+2)
	}
	return fmt.Sprintf(`{"op":"submit","task":{"task_id":%q,"script_path":%q}}`, id, ipctest.Echo)
}

// answersTo sends pieces of text, a whole line that is refused last, and returns the lines that
// come up to its answer, but for what two runs can't have in common.
func answersTo(t *rapid.T, outer *testing.T, socket string, pieces []string, lines int) (all []event) {
	s := open(outer, socket)
	go func() {
		for _, text := range pieces {
			if _, err := s.conn.Write([]byte(text)); err != nil {
				return
			}
		}
	}()
	for {
		ev, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		if ev.Result != nil {
			ev.Result = map[string]any{"task_id": ev.Result["task_id"], "status": ev.Result["status"], "data": ev.Result["data"]}
		}
		if all = append(all, ev); ev.Line == lines {
			s.conn.Close()
			return all
		}
	}
}

func TestLinesThatComeTogetherAreAnsweredAsIfEachCameAlone(t *testing.T) {
	outer := t
	one, other := ipctest.New(), ipctest.New()
	socket, _ := ipctest.Serve(t, one, ipc.Options{})
	otherSocket, _ := ipctest.Serve(t, other, ipc.Options{})
	if f := flag.Lookup("rapid.checks"); testing.Short() && f.Value.String() == f.DefValue {
		_ = f.Value.Set("20") // a number
		defer func() { _ = f.Value.Set(f.DefValue) }()
	}
	rapid.Check(t, func(t *rapid.T) {
		var ids []task.ID
		var lines []string
		for range rapid.IntRange(1, 100).Draw(t, "lines") {
			ids = append(ids, task.NewID())
			lines = append(lines, aLine(t, ids)+"\n")
		}
		lines = append(lines, "{}\n")
		alone := answersTo(t, outer, socket, lines, len(lines))
		together := answersTo(t, outer, otherSocket, []string{strings.Join(lines, "")}, len(lines))
		for i := range max(len(alone), len(together)) {
			if i >= len(alone) || i >= len(together) || !reflect.DeepEqual(alone[i], together[i]) {
				t.Fatalf("answer %d of %d, %d: alone %+v, together %+v", i, len(alone), len(together), alone[i:min(i+1, len(alone))], together[i:min(i+1, len(together))])
			}
		}
	})
}
