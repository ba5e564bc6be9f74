package effects_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"cpulb/daemon/effects"
	"cpulb/daemon/task"
	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
)

// diary notes what is done.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) Send(t *plugins.Task)        { d.note("frame %d", t.Seq) }
func (d *diary) TaskEvent(ev *task.Event)    { d.note("event %s", ev.Kind) }
func (d *diary) Verbose() bool               { return true }
func (d *diary) Write(p []byte) (int, error) { d.note("log %s", text(p)); return len(p), nil }

func text(p []byte) string {
	_, text, _ := strings.Cut(strings.TrimSpace(string(p)), "] ")
	return strings.TrimSpace(text)
}

func TestEffectsComeKindByKindAndInOrder(t *testing.T) {
	d := &diary{}
	log := hclog.New(&hclog.LoggerOptions{Output: d, Level: hclog.Info})
	started := make(chan struct{})
	var fx effects.List
	fx.Log(hclog.Info, "one", "n", 1)
	fx.Log(hclog.Debug, "not logged at this level")
	fx.Process(func() { close(started) })
	fx.Answer(func() { d.note("answer") })
	fx.Event(d, &task.Event{Kind: task.EventLog})
	fx.Frame(d, &plugins.Task{Seq: 1})
	fx.Frame(d, &plugins.Task{Seq: 2})
	if len(d.lines) > 0 {
		t.Fatalf("done before Run: %q", d.lines)
	}
	fx.Run(log)
	<-started
	want := []string{"frame 1", "frame 2", "event log", "answer", "log one: n=1"}
	if !slices.Equal(d.lines, want) {
		t.Errorf("done: %q, want %q", d.lines, want)
	}
}
