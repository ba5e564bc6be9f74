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
	task.Heard
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) PassOn()                     { d.Each(func(ev *task.Event) { d.note("event %s", ev.Kind) }) }
func (d *diary) Verbose() bool               { return true }
func (d *diary) Outlet() task.Outlet         { return d }
func (d *diary) Cork()                       { d.note("cork") }
func (d *diary) Uncork()                     { d.note("uncork") }
func (d *diary) Write(p []byte) (int, error) { d.note("log %s", text(p)); return len(p), nil }

func (d *diary) Send(tasks ...*plugins.Task) {
	for _, t := range tasks {
		d.note("frame %d", t.Seq)
	}
	d.note("%d sent", len(tasks))
}

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
	want := []string{"frame 1", "frame 2", "2 sent", "cork", "event log", "answer", "uncork", "log one: n=1"}
	if !slices.Equal(d.lines, want) {
		t.Errorf("done: %q, want %q", d.lines, want)
	}
}

func TestFramesOfASlotLeaveTogetherAndInOrder(t *testing.T) {
	one, two := &diary{}, &diary{}
	var fx effects.List
	for i, d := range []*diary{one, two, one, two, one} {
		fx.Frame(d, &plugins.Task{Seq: uint64(i)})
	}
	fx.Run(nil)
	if want := []string{"frame 0", "frame 2", "frame 4", "3 sent"}; !slices.Equal(one.lines, want) {
		t.Errorf("the first: %q, want %q", one.lines, want)
	}
	if want := []string{"frame 1", "frame 3", "2 sent"}; !slices.Equal(two.lines, want) {
		t.Errorf("the second: %q, want %q", two.lines, want)
	}
}

func TestEachOutletIsCorkedOnceWhileItsEventsAndAnswersCome(t *testing.T) {
	one, two := &diary{}, &diary{}
	var fx effects.List
	fx.Event(one, &task.Event{Kind: task.EventState})
	fx.Event(one, &task.Event{Kind: task.EventResult})
	fx.Tell(two, func(task.View, error) { two.note("answer") }, task.View{}, nil)
	fx.Tell(one, func(task.View, error) { one.note("answer") }, task.View{}, nil)
	fx.Run(nil)
	if want := []string{"cork", "event state", "event result", "answer", "uncork"}; !slices.Equal(one.lines, want) {
		t.Errorf("the first: %q, want %q", one.lines, want)
	}
	if want := []string{"cork", "answer", "uncork"}; !slices.Equal(two.lines, want) {
		t.Errorf("the second: %q, want %q", two.lines, want)
	}
}

func TestALoneEventIsNotCorked(t *testing.T) {
	d := &diary{}
	var fx effects.List
	fx.Event(d, &task.Event{Kind: task.EventResult})
	fx.Run(nil)
	if want := []string{"event result"}; !slices.Equal(d.lines, want) {
		t.Errorf("done: %q, want %q", d.lines, want)
	}
}

func TestAListThatHasRunIsEmpty(t *testing.T) {
	d := &diary{}
	var fx effects.List
	for range 2 {
		fx.Frame(d, &plugins.Task{Seq: 1})
		fx.Event(d, &task.Event{Kind: task.EventState})
		fx.Tell(d, func(v task.View, err error) { d.note("%s %v", v.Pool, err) }, task.View{Pool: "p"}, task.ErrNotFound)
		fx.Process(func() {})
		fx.Run(nil)
		fx.Run(nil)
	}
	once := []string{"frame 1", "1 sent", "cork", "event state", "p " + task.ErrNotFound.Error(), "uncork"}
	if want := slices.Concat(once, once); !slices.Equal(d.lines, want) {
		t.Errorf("done: %q, want %q", d.lines, want)
	}
}

// Two operations leave the lock one after the other, and the first may be the last to run.
func TestAWatchersEventsKeepTheOrderInWhichTheyWereAdded(t *testing.T) {
	var d diary
	var first, second effects.List
	first.Event(&d, &task.Event{Kind: task.EventProgress})
	first.Event(&d, &task.Event{Kind: task.EventLog})
	second.Event(&d, &task.Event{Kind: task.EventResult})
	second.Run(hclog.NewNullLogger())
	first.Run(hclog.NewNullLogger())
	if want := []string{"event progress", "event log", "event result", "cork", "uncork"}; !slices.Equal(d.lines, want) {
		t.Errorf("%q, not %q", d.lines, want)
	}
}
