package plugins

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins/proto"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// scripted is an executor with one slot, whose scripts are functions by path.
type scripted map[string]func(*Task, Emitter) Outcome

func (s scripted) Describe() Description                                    { return Description{Name: "scripted"} }
func (s scripted) Configure(context.Context, Configuration) (string, error) { return "", nil }
func (s scripted) OpenSlot(int) (Slot, error)                               { return s, nil }
func (s scripted) Health(context.Context) (time.Duration, error)            { return 0, nil }
func (s scripted) Cancel(uint64, StopReason)                                {}
func (s scripted) Close()                                                   {}
func (s scripted) Run(t *Task, emit Emitter) Outcome {
	if run := s[t.ScriptPath]; run != nil {
		return run(t, emit)
	}
	return Outcome{Status: task.Completed, Data: t.Params}
}

// serveSlot serves a slot over one end of a connection and returns the other.
func serveSlot(t testing.TB, scripts scripted) (fd int, w *worker) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	w = &worker{executor: scripts, log: hclog.NewNullLogger(), resultBytes: 64 << 20}
	w.openSlots(1)
	w.slots[0].open(new(claims))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.slots[0].run(ends[1])
	}()
	t.Cleanup(func() {
		unix.Close(ends[0])
		<-ended
	})
	return ends[0], w
}

// sendTasks sends tasks with the seqs from first on, one for each script, in one write.
func sendTasks(t testing.TB, fd int, first uint64, scripts ...string) {
	t.Helper()
	var wire []byte
	for i, script := range scripts {
		seq := first + uint64(i)
		params := fmt.Sprint(seq)
		var err error
		if wire, err = appendFrame(wire, &proto.Task{Seq: seq, ScriptPath: script, PayloadLength: uint64(len(params))}); err != nil {
			t.Fatal(err)
		}
		wire = append(wire, params...)
	}
	if err := writeAll(fd, wire, nil); err != nil {
		t.Fatal(err)
	}
}

// descriptor reads a descriptor.
type descriptor int

func (d descriptor) Read(p []byte) (int, error) {
	n, err := unix.Read(int(d), p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

// eventsUntil reads events, and returns them as text, until the one that is asked for.
func eventsUntil(t testing.TB, frames *frameReader, last string) string {
	t.Helper()
	var all []string
	for {
		var ev proto.Event
		if err := frames.next(&ev); err != nil {
			t.Fatalf("after %q: %v", all, err)
		}
		if _, err := frames.payload(ev.PayloadLength); err != nil {
			t.Fatal(err)
		}
		name := strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", ev.Kind), "*proto.Event_"))
		all = append(all, fmt.Sprintf("%s %d", name, ev.Seq))
		if all[len(all)-1] == last {
			return strings.Join(all, ", ")
		}
	}
}

func TestNobodyWakesForTheResultsOfLongTasks(t *testing.T) {
	asked, at := 0, int64(1)
	f := &flusher{now: func() int64 { return at }, set: func(time.Duration) bool { asked++; return true }}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	u := &upward{fd: ends[1], gate: new(gate), flusher: f, long: true}
	frames := newFrameReader(descriptor(ends[0]), 1<<20)
	for seq := uint64(1); seq <= 3; seq++ {
		u.gate.enter()
		if err := u.begin(seq); err != nil {
			t.Fatal(err)
		}
		eventsUntil(t, frames, fmt.Sprint("started ", seq)) // and the Result before comes with it
		at += int64(longTask)
		if err := u.answer(seq, &Outcome{Status: task.Completed}); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 0 || u.heldSince() == 0 {
		t.Errorf("the flusher was asked %d times; held since %d", asked, u.heldSince())
	}
	if err := u.sendHeld(); err != nil || eventsUntil(t, frames, "result 3") != "result 3" {
		t.Error("the last Result has not come", err)
	}
	u.gate.enter()
	if err := u.begin(4); err != nil {
		t.Fatal(err)
	}
	at++
	if err := u.answer(4, &Outcome{Status: task.Completed}); err != nil || asked != 1 {
		t.Errorf("after a short one it was asked %d times, %v", asked, err)
	}
}

func TestNothingFinishedWaitsWhileOthersHaveTheProcessor(t *testing.T) {
	at := int64(1)
	f := &flusher{now: func() int64 { return at }, set: func(time.Duration) bool { return true }}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	s := &slotServer{}
	s.up.fd, s.up.gate, s.up.flusher = ends[1], new(gate), f
	for seq, takes := range []time.Duration{1, longTask} {
		s.up.gate.enter()
		if err := s.up.begin(uint64(seq) + 1); err != nil {
			t.Fatal(err)
		}
		at += int64(takes)
		if err := s.up.answer(uint64(seq)+1, &Outcome{Status: task.Completed}); err != nil {
			t.Fatal(err)
		}
		s.yield()
		if s.up.heldSince() != 0 {
			t.Errorf("after a task of %v its Result is held", takes)
		}
	}
}

func TestASlotKeepsNothingOfWhatItsTaskHasPrinted(t *testing.T) {
	f := &flusher{now: func() int64 { return 1 }, set: func(time.Duration) bool { return true }}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	u := &upward{fd: ends[1], gate: new(gate), flusher: f}
	u.gate.enter()
	ended := make(chan error, 1)
	go func() { ended <- u.answer(1, &Outcome{Status: task.Completed, Stdout: strings.Repeat("x", 1<<20)}) }()
	eventsUntil(t, newFrameReader(descriptor(ends[0]), 1<<20), "result 1")
	if err := <-ended; err != nil || cap(u.held) > keptHeld || u.result.result.Stdout != "" {
		t.Errorf("%d bytes and %d of the text are kept, %v", cap(u.held), len(u.result.result.Stdout), err)
	}
}

func TestAResultDoesNotWaitForTheTaskThatRunsAfterIt(t *testing.T) {
	release := make(chan struct{})
	fd, w := serveSlot(t, scripted{"blocks": func(*Task, Emitter) Outcome {
		<-release
		return Outcome{Status: task.Completed}
	}})
	frames := newFrameReader(descriptor(fd), 1<<20)
	sendTasks(t, fd, 1, "", "", "", "blocks", "")
	eventsUntil(t, frames, "started 4") // the three Results, too, for they come before
	if fate := w.slots[0].claims.fate(4); fate != FateClaimed {
		t.Errorf("the task that runs: %v", fate)
	}
	if fate := w.slots[0].claims.fate(3); fate != FateDone {
		t.Errorf("the one before: %v", fate)
	}
	close(release)
	eventsUntil(t, frames, "result 5")
}

func TestAStartedIsNotSentBesideItsResult(t *testing.T) {
	fd, _ := serveSlot(t, nil)
	frames := newFrameReader(descriptor(fd), 1<<20)
	sendTasks(t, fd, 1, "")
	eventsUntil(t, frames, "result 1")
	sendTasks(t, fd, 2, make([]string, 50)...)
	all := eventsUntil(t, frames, "result 51")
	if n := strings.Count(all, "started"); n > 25 { // where one takes long, the next is told of
		t.Errorf("%d of 50: %s", n, all)
	}
}

func TestAnEventFollowsWhatIsHeldAndThenItsTasksStarted(t *testing.T) {
	release := make(chan struct{})
	fd, _ := serveSlot(t, scripted{
		"reports": func(_ *Task, emit Emitter) Outcome {
			emit.Progress(0.5, "half way")
			emit.Partial([]byte("1"))
			<-release
			return Outcome{Status: task.Completed}
		},
	})
	frames := newFrameReader(descriptor(fd), 1<<20)
	sendTasks(t, fd, 1, "")
	eventsUntil(t, frames, "result 1")
	sendTasks(t, fd, 2, "", "reports")
	want := "result 2, started 3, progress 3, partial 3"
	if got := strings.TrimPrefix(eventsUntil(t, frames, "partial 3"), "started 2, "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	close(release)
	if got := eventsUntil(t, frames, "result 3"); got != "result 3" {
		t.Error(got)
	}
}

func TestADrainEndsWhenTheLastResultHasLeft(t *testing.T) {
	release := make(chan struct{})
	fd, w := serveSlot(t, scripted{"blocks": func(*Task, Emitter) Outcome {
		<-release
		return Outcome{Status: task.Completed}
	}})
	frames := newFrameReader(descriptor(fd), 1<<20)
	sendTasks(t, fd, 1, "", "blocks", "")
	eventsUntil(t, frames, "started 2")
	empty := w.gate.close()
	select {
	case <-empty:
		t.Error("one runs")
	default:
	}
	close(release)
	<-empty
	if all := eventsUntil(t, frames, "skipped 3"); !strings.Contains(all, "result 2") {
		t.Error(all)
	}
}

func TestAReaderThatSleepsHoldsUpNobodyButItsSlot(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	c := &clock{now: 1}
	f := &flusher{now: func() int64 { return c.now }, set: c.timer}
	u := &upward{fd: ends[1], gate: &gate{}, flusher: f}
	f.holders = []holder{u}
	data := bytes.Repeat([]byte("1"), joined-100)
	sent, full := 0, false
	for seq := uint64(1); !full; seq++ {
		u.gate.enter()
		if err := u.begin(seq); err != nil {
			t.Fatal(err)
		}
		if err := u.answer(seq, &Outcome{Status: task.Completed, Data: data}); err != nil {
			t.Fatal(err)
		}
		c.pass(f, heldAtMost) // which must return
		sent++
		full = u.heldSince() != 0
	}
	if n := u.gate.count(); n != 1 {
		t.Errorf("%d Results have not left, of one is known that it has not", n)
	}
	frames := newFrameReader(descriptor(ends[0]), 1<<20)
	read := make(chan string)
	go func() { read <- eventsUntil(t, frames, fmt.Sprintf("result %d", sent)) }()
	for u.heldSince() != 0 {
		c.pass(f, heldAtMost)
	}
	if all := <-read; strings.Count(all, "result") != sent || u.gate.count() != 0 {
		t.Errorf("%d results, %d inside: %s", sent, u.gate.count(), all)
	}
}

func TestAResultThatCannotBeSentFailsItsTaskOnly(t *testing.T) {
	fd, _ := serveSlot(t, scripted{"not text": func(*Task, Emitter) Outcome {
		return Outcome{Status: task.Completed, Stdout: "\xff"}
	}})
	frames := newFrameReader(descriptor(fd), 1<<20)
	sendTasks(t, fd, 1, "", "not text", "")
	if all := eventsUntil(t, frames, "result 3"); !strings.Contains(all, "result 2") {
		t.Error(all)
	}
}
