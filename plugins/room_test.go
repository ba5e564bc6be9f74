package plugins

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"cpulb/plugins/proto"
)

// reader is a Handler, and the Room that it gives, that notes what is held of it.
type reader struct {
	notes []string
	keeps bool
	kept  *Held
}

func (r *reader) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *reader) Room(_ int, n int64) Room { r.note("takes %d", n); return r }
func (r *reader) Give(n int64)             { r.note("gives %d", n) }
func (r *reader) Lost(error)               { r.note("lost") }

func (r *reader) Events(events []Event) error {
	for i := range events {
		switch ev := &events[i]; ev.Kind {
		case EventEnded:
			r.note("ended")
			if r.keeps {
				r.kept = ev.Outcome.Held.Keep()
			}
		case EventPartial:
			r.note("partial")
		}
	}
	return nil
}

// reads has a connection read events with payloads of so many bytes.
func (r *reader) reads(t *testing.T, ev *proto.Event, payload string) {
	t.Helper()
	ev.PayloadLength = uint64(len(payload))
	wire, err := appendFrame(nil, ev)
	if err != nil {
		t.Fatal(err)
	}
	c := &Conn{output: 1000, handler: r, count: 1}
	if err := c.read(c.reader(bytes.NewReader(append(wire, payload...)), 1<<20)); err != io.EOF {
		t.Fatal(err)
	}
}

func TestWhatIsLargeIsReadOnceThereIsRoomAndHeldUntilItIsKept(t *testing.T) {
	const n = 200_000
	large := strings.Repeat("1", n)
	result := func(printed string) *proto.Event {
		return &proto.Event{Kind: &proto.Event_Result{Result: &proto.Result{Outcome: proto.Outcome_OUTCOME_COMPLETED, Stdout: printed}}}
	}
	header, err := appendFrame(nil, result(large))
	if err != nil {
		t.Fatal(err)
	}
	headers := 2 * (len(header) - 3) // less what tells its length
	for name, c := range map[string]struct {
		event   *proto.Event
		payload string
		keeps   bool
		want    []string
	}{
		"small":   {result("x"), "1", true, []string{"ended"}},
		"dropped": {result("x"), large, false, []string{"takes 400000", "gives 200000", "ended", "gives 200000"}},
		"kept":    {result("x"), large, true, []string{"takes 400000", "gives 200000", "ended"}},
		"printed": {result(large), "", true, []string{fmt.Sprint("takes ", headers), fmt.Sprint("gives ", headers), "ended"}},
		"yielded": {&proto.Event{Kind: &proto.Event_Partial{Partial: &proto.Partial{}}}, large, false, []string{"takes 400000", "partial", "gives 400000"}},
	} {
		r := &reader{keeps: c.keeps}
		if r.reads(t, c.event, c.payload); !slices.Equal(r.notes, c.want) {
			t.Errorf("%s: %q, want %q", name, r.notes, c.want)
		}
		if r.kept.Give(); r.kept != nil && r.notes[len(r.notes)-1] != "gives 200000" {
			t.Errorf("%s: %q", name, r.notes)
		}
	}
}

// What a worker prints beyond its bound is not held while the payload waits for room.
func TestTheTextsOfALargeHeaderAreBoundedBeforeItsRoomIsGivenBack(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	e := &proto.Error{Type: long, Message: long, Traceback: long, Code: long}
	ev := &proto.Event{Kind: &proto.Event_Result{Result: &proto.Result{Stdout: long, Stderr: long, Error: e}}}
	if limitTexts(ev, 1000); len(ev.GetResult().Stdout)+len(ev.GetResult().Stderr) != 2000 || !ev.GetResult().Truncated {
		t.Error("what it printed is not bounded")
	}
	if n := len(e.Type) + len(e.Message) + len(e.Traceback) + len(e.Code); n > mostType+mostMessage+mostTraceback+mostCode {
		t.Errorf("its error has %d bytes", n)
	}
	for _, ev := range []*proto.Event{{}, {Kind: &proto.Event_Result{}}, {Kind: &proto.Event_Log{Log: &proto.Log{}}}, {Kind: &proto.Event_Progress{Progress: &proto.Progress{}}}} {
		limitTexts(ev, 1000)
	}
}

func TestNothingIsKeptOfALargeHeaderThatHasBeenHandedOver(t *testing.T) {
	wire, err := appendFrame(nil, &proto.Event{Kind: &proto.Event_Result{Result: &proto.Result{Outcome: proto.Outcome_OUTCOME_COMPLETED, Stdout: strings.Repeat("x", 1<<20)}}})
	if err != nil {
		t.Fatal(err)
	}
	c := &Conn{output: 1 << 20, handler: &reader{}, count: 1}
	if err := c.read(c.reader(bytes.NewReader(wire), 1<<20)); err != io.EOF || c.header.Kind != nil {
		t.Errorf("%d bytes are kept, %v", len(c.header.GetResult().GetStdout()), err)
	}
}
