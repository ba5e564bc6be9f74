package plugins

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"cpulb/daemon/task"
	"cpulb/plugins/proto"

	"github.com/hashicorp/go-hclog"
	"pgregory.net/rapid"
)

// watching is a lookout in virtual time, and when it has looked.
func watching() (l *lookout, looked *[]time.Duration) {
	began := time.Now()
	looked = new([]time.Duration)
	l = &lookout{interval: 250 * time.Millisecond, now: func() int64 { return int64(time.Since(began)) + 1 }}
	l.look = func() { *looked = append(*looked, time.Since(began)) }
	return l, looked
}

func TestATaskIsLookedAtFromItsIntervalOnAndNoShorterOneIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, looked := watching()
		for range 10 { // two seconds
			l.begin(l.now())
			time.Sleep(199 * time.Millisecond)
			l.end()
			time.Sleep(time.Millisecond)
		}
		if synctest.Wait(); len(*looked) > 0 {
			t.Fatalf("tasks of 199 ms are looked at after %v", *looked)
		}
		l.begin(l.now())
		time.Sleep(800 * time.Millisecond)
		l.end()
		synctest.Wait()
		ms := time.Millisecond
		if want := []time.Duration{2250 * ms, 2500 * ms, 2750 * ms}; !slices.Equal(*looked, want) {
			t.Errorf("looked at after %v, not %v", *looked, want)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(*looked) != 3 || l.armed.Load() {
			t.Errorf("an idle slot is looked at: %v", *looked)
		}
	})
}

func TestNobodyLooksWhereNobodyWantsOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, looked := watching()
		l.interval = 0
		l.begin(l.now())
		time.Sleep(time.Minute)
		if synctest.Wait(); len(*looked) > 0 || l.armed.Load() {
			t.Errorf("%v", *looked)
		}
	})
}

// However output comes in, and whatever it is, what is shown of it is how the text of the whole begins.
func TestWhatIsShownIsHowTheWholeBegins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.SampledFrom([]string{"a", "ü", "€", "😀", "\xff", "\xe2\x82", "\xe2", "\x82", "\xf0\x9f", "\uFFFD", "\xc0\xaf"})).Draw(t, "pieces")
		most := rapid.Int64Range(1, 40).Draw(t, "most")
		o := Output{most: most, shown: Shown{Most: most}}
		shown := ""
		for _, piece := range pieces {
			_, _ = o.Write([]byte(piece))
			shown += o.fresh()
		}
		whole, _ := o.kept()
		whole = wholeRunes(whole, most)
		if rest, ok := strings.CutPrefix(whole, shown); !ok || len(rest) > utf8.UTFMax {
			t.Fatalf("%q is shown of %q", shown, whole)
		}
	})
}

func TestMuchOutputIsSentInSeveralEvents(t *testing.T) {
	var sent []*proto.Event
	w := &eventWriter{worker: &worker{log: hclog.NewNullLogger(), outputInterval: 1}, lock: new(nobodys), to: sinkFunc(func(ev *proto.Event) { sent = append(sent, ev) })}
	text := strings.Repeat("ü", mostOutput)
	w.Output(Stderr, text)
	got := ""
	for _, ev := range sent {
		part := ev.GetOutput()
		if got += part.Text; part.Stream != proto.Stream_STREAM_STDERR || len(part.Text) > mostOutput {
			t.Errorf("%d bytes to %v", len(part.Text), part.Stream)
		}
	}
	if got != text || len(sent) != 2 {
		t.Errorf("%d events have %d bytes of %d", len(sent), len(got), len(text))
	}
	w.worker.outputInterval = 0
	if w.Output(Stdout, "x"); len(sent) != 2 {
		t.Error("output is sent to a daemon that has not asked for it")
	}
}

type nobodys struct{}

func (nobodys) Lock()   {}
func (nobodys) Unlock() {}

type sinkFunc func(*proto.Event)

func (f sinkFunc) write(ev *proto.Event, _ []byte) error { f(ev); return nil }

// said is an Emitter that keeps what is printed.
type said struct {
	heard
	all chan string
}

func (s said) Output(to Stream, text string) {
	if text != "" {
		s.all <- string('0'+rune(to)) + text
	}
}

func TestWhatAFunctionPrintsIsSeenWhileItRuns(t *testing.T) {
	printed, goOn := make(chan struct{}), make(chan struct{})
	e := &simple{output: 100, Simple: Simple{Run: func(_ context.Context, c *Call) (any, error) {
		_, _ = c.Stdout.Write([]byte("begun\xe2\x82"))
		_, _ = c.Stderr.Write([]byte("oops"))
		close(printed)
		<-goOn
		return nil, nil
	}}}
	s, _ := e.OpenSlot(0)
	to := said{all: make(chan string, 10)}
	s.(Printer).Printed() // before any task
	ended := make(chan Outcome)
	go func() { ended <- s.Run(&Task{Seq: 1}, to) }()
	<-printed
	s.(Printer).Printed()
	s.(Printer).Printed() // nothing is new
	close(goOn)
	o := <-ended
	s.(Printer).Printed() // after it
	if close(to.all); len(to.all) != 2 || <-to.all != "1begun" || <-to.all != "2oops" {
		t.Errorf("%d parts", len(to.all))
	}
	if o.Status != task.Completed || o.Stdout != "begun\uFFFD" || o.Stderr != "oops" {
		t.Errorf("%+v", o)
	}
}

// An executor that is newer than the daemon, or wrong, prints where the daemon knows nothing of.
func TestOutputOfAnUnknownStreamIsLeftOutAndTooMuchIsCut(t *testing.T) {
	read := func(ev *proto.Event) ([]Event, error) {
		frame, err := appendFrame(nil, ev)
		if err != nil {
			t.Fatal(err)
		}
		c := &Conn{output: 5}
		f := newFrameReader(bytes.NewReader(frame), 100)
		err = c.event(f)
		return c.events, err
	}
	output := func(to proto.Stream, text string) *proto.Event {
		return &proto.Event{Seq: 1, Kind: &proto.Event_Output{Output: &proto.Output{Stream: to, Text: text}}}
	}
	for _, ev := range []*proto.Event{output(0, "x"), output(7, "x"), output(proto.Stream_STREAM_STDOUT, "")} {
		if got, err := read(ev); err != nil || len(got) > 0 {
			t.Errorf("%v: %+v %v", ev, got, err)
		}
	}
	got, err := read(output(proto.Stream_STREAM_STDERR, "abcd€"))
	if err != nil || len(got) != 1 || got[0].Kind != EventOutput || got[0].Stream != Stderr || got[0].Text != "abcd" {
		t.Errorf("%+v %v", got, err)
	}
	withPayload := output(proto.Stream_STREAM_STDOUT, "x")
	withPayload.PayloadLength = 1
	if _, err := read(withPayload); err == nil || !strings.Contains(err.Error(), "Output of task 1: it has a payload") {
		t.Errorf("%v", err)
	}
}
