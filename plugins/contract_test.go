package plugins

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins/proto"
)

// noter is a Handler that notes what it is handed.
type noter struct{ events []Event }

func (n *noter) Events(events []Event) error {
	n.events = append(n.events, events...)
	return nil
}
func (n *noter) Lost(error)           {}
func (n *noter) Room(int, int64) Room { return nil }

// read has the connection of slot 2, or of the loop slots 2 and 3, read an event as it comes.
func read(t *testing.T, loop bool, ev *proto.Event, payload string) ([]Event, error) {
	t.Helper()
	ev.PayloadLength = uint64(len(payload))
	wire, err := appendFrame(nil, ev)
	if err != nil {
		t.Fatal(err)
	}
	n := &noter{}
	c := &Conn{output: 1000, handler: n, first: 2, count: 2, loop: loop}
	if err := c.read(c.reader(bytes.NewReader(append(wire, payload...)), 1000)); err != io.EOF {
		return n.events, err
	}
	return n.events, nil
}

func resultOf(r *proto.Result) *proto.Event {
	return &proto.Event{Seq: 7, Kind: &proto.Event_Result{Result: r}}
}

func TestWhatTheContractDoesNotAllowEndsTheConnectionWithWords(t *testing.T) {
	err := &proto.Error{Type: "Error", Message: "it failed", Code: "exception"}
	for why, c := range map[string]struct {
		event   *proto.Event
		payload string
		loop    bool
	}{
		"Result of task 7: its outcome is 0":                            {resultOf(&proto.Result{}), "", false},
		"Result of task 7: its outcome is 9":                            {resultOf(&proto.Result{Outcome: 9}), "", false},
		"Result of task 7: its outcome is -1":                           {resultOf(&proto.Result{Outcome: -1}), "", false},
		"Result of task 7: its fault is 3":                              {resultOf(&proto.Result{Outcome: 2, Fault: 3, Error: err}), "", false},
		"it has a fault, and the outcome OUTCOME_COMPLETED":             {resultOf(&proto.Result{Outcome: 1, Fault: 1}), "", false},
		"it has completed, with an error":                               {resultOf(&proto.Result{Outcome: 1, Error: err}), "1", false},
		"it has data, and the outcome OUTCOME_FAILED":                   {resultOf(&proto.Result{Outcome: 2, Error: err}), "1", false},
		"it has data, and the outcome OUTCOME_CANCELLED":                {resultOf(&proto.Result{Outcome: 3}), "1", false},
		"it has failed, without an error":                               {resultOf(&proto.Result{Outcome: 2}), "", false},
		"without an error that has a code":                              {resultOf(&proto.Result{Outcome: 2, Error: &proto.Error{Type: "Error"}}), "", false},
		"Started of task 7: it has a payload of 1 bytes":                {&proto.Event{Seq: 7, Kind: &proto.Event_Started{}}, "1", false},
		"Skipped of task 7: it has a payload of 1 bytes":                {&proto.Event{Seq: 7, Kind: &proto.Event_Skipped{Skipped: &proto.Skipped{}}}, "1", false},
		"Log of task 7: it has a payload of 1 bytes":                    {&proto.Event{Seq: 7, Kind: &proto.Event_Log{Log: &proto.Log{}}}, "1", false},
		"Partial of task 7: its value is not JSON":                      {&proto.Event{Seq: 7, Kind: &proto.Event_Partial{Partial: &proto.Partial{Number: 1}}}, "{", false},
		"it is of slot 3, and came on the connection of slot 2":         {&proto.Event{Seq: 7, Slot: 3, Kind: &proto.Event_Log{Log: &proto.Log{}}}, "", false},
		"an event of slot 4, on the connection of slots 2 to 3":         {&proto.Event{Seq: 7, Slot: 4, Kind: &proto.Event_Log{Log: &proto.Log{}}}, "", true},
		"an event of slot 0, on the connection of slots 2 to 3":         {&proto.Event{Seq: 7, Kind: &proto.Event_Log{Log: &proto.Log{}}}, "", true},
		"not a frame of the slot protocol: a payload of 1001 bytes":     {resultOf(&proto.Result{Outcome: 1}), strings.Repeat("1", 1001), false},
		"not a frame of the slot protocol: an event of no task":         {&proto.Event{}, "", false},
		"not a frame of the slot protocol: a header of 20000000 bytes,": {nil, "", false},
		"string field contains invalid UTF-8":                           {nil, "", true},
	} {
		t.Run(why, func(t *testing.T) {
			var got error
			switch {
			case c.event != nil:
				_, got = read(t, c.loop, c.event, c.payload)
			case c.loop: // a text that is not UTF-8
				got = readRaw("\x08\x08\x07\x3a\x04\x12\x02\xff\xfe")
			default:
				got = readRaw("\x80\xda\xc4\x09")
			}
			if got == nil || !strings.Contains(got.Error(), why) || !errors.Is(got, ErrContract) && !errors.Is(got, ErrFrame) {
				t.Errorf("it is %v", got)
			}
		})
	}
}

func readRaw(wire string) error {
	c := &Conn{output: 1000, handler: &noter{}}
	return c.read(c.reader(strings.NewReader(wire), 1000))
}

// What is only odd has a meaning all the same.
func TestWhatIsOddReachesTheDaemonAsSomethingThatCanBe(t *testing.T) {
	for name, f := range map[string]float64{"NaN": math.NaN(), "infinity": math.Inf(1), "-infinity": math.Inf(-1), "7": 7} {
		events, err := read(t, false, &proto.Event{Seq: 7, Kind: &proto.Event_Progress{Progress: &proto.Progress{Fraction: f}}}, "")
		if err != nil || len(events) != 1 || !(events[0].Fraction >= 0 && events[0].Fraction <= 1) {
			t.Errorf("%s: %+v, %v", name, events, err)
		}
	}
	for outcome, code := range map[proto.Outcome]string{proto.Outcome_OUTCOME_CANCELLED: "cancelled", proto.Outcome_OUTCOME_TIMED_OUT: "timed_out"} {
		events, err := read(t, false, resultOf(&proto.Result{Outcome: outcome}), "")
		if err != nil || events[0].Outcome.Error == nil || events[0].Outcome.Error.Code != code || events[0].Outcome.Error.Message == "" {
			t.Errorf("%s without an error: %+v, %v", outcome, events, err)
		}
	}
	events, err := read(t, false, resultOf(&proto.Result{Outcome: 1, RunNs: math.MaxUint64, CpuNs: math.MaxUint64, LockWaitNs: math.MaxUint64}), "")
	if o := events[0].Outcome; err != nil || o.RunTime < 0 || o.CPUTime < 0 || o.LockWait < 0 {
		t.Errorf("times: %+v, %v", o, err)
	}
	if events, err := read(t, false, &proto.Event{Seq: 7, Slot: 2, Kind: &proto.Event_Log{Log: &proto.Log{}}}, ""); err != nil || len(events) != 1 {
		t.Errorf("a slot that names itself: %v, %v", events, err)
	}
	if events, err := read(t, false, &proto.Event{Seq: 7}, "1"); err != nil || len(events) != 0 {
		t.Errorf("an event of an unknown kind: %v, %v", events, err)
	}
}

// Who serves an executor with this package keeps to the contract, whatever the Executor returns.
func TestWhateverAnExecutorReturnsCanBeSent(t *testing.T) {
	sentence := &task.Error{Message: "it failed"}
	for _, status := range []task.Status{0, task.Queued, task.Running, task.Completed, task.Failed, task.Cancelled, task.TimedOut, 99} {
		for _, fault := range []Fault{NoFault, Unrun, Ran} {
			for _, e := range []*task.Error{nil, sentence, {Code: "exception"}} {
				for _, data := range []string{"", "1"} {
					o := Outcome{Status: status, Fault: fault, Error: e, Data: []byte(data), RunTime: -time.Second}
					limitResult(&o, 100)
					events, err := read(t, false, resultEvent(7, &o), string(o.Data))
					if err != nil || len(events) != 1 || events[0].Outcome.Fault != fault {
						t.Errorf("%d %d %v %q: %+v, %v", status, fault, e, data, events, err)
					}
				}
			}
		}
	}
	if sentence.Code != "" {
		t.Error("the executor's error was written into")
	}
}

func TestTheDaemonConnectsToNoSocketOutsideTheWorkersFolder(t *testing.T) {
	for path, ok := range map[string]bool{"/run/w/slots.sock": true, "/run/w/./s": true, "": false, "s": false, "@s": false, "\x00s": false,
		"/run/w": false, "/run/w/../x/s": false, "/run/other/s": false, "/run/w/a/s": false, "/run/w/": false} {
		if err := checkSocket(path, "/run/w"); (err == nil) != ok || !ok && !errors.Is(err, ErrContract) {
			t.Errorf("%q: %v", path, err)
		}
	}
}
