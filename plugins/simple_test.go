package plugins

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/task"
)

// heard is an Emitter for nobody.
type heard struct{}

func (heard) Partial([]byte)           {}
func (heard) Progress(float64, string) {}
func (heard) Log(string, string)       {}
func (heard) Output(Stream, string)    {}

func TestAFunctionIsStoppedByItsContext(t *testing.T) {
	waits := &simple{Simple: Simple{Run: func(ctx context.Context, _ *Call) (any, error) { <-ctx.Done(); return nil, ctx.Err() }}}
	for name, c := range map[string]struct {
		task   Task
		cancel func(Slot)
		want   task.Status
		after  time.Duration
	}{
		"cancelled while it runs":  {Task{Seq: 1}, func(s Slot) { time.Sleep(time.Second); s.Cancel(1, StopCancelled) }, task.Cancelled, time.Second},
		"cancelled before it runs": {Task{Seq: 2}, nil, task.Cancelled, 0},
		"out of time":              {Task{Seq: 1, Timeout: time.Minute}, nil, task.TimedOut, time.Minute},
		"told to by the daemon":    {Task{Seq: 1}, func(s Slot) { s.Cancel(1, StopTimedOut) }, task.TimedOut, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, _ := waits.OpenSlot(0)
			began := time.Now()
			if c.cancel != nil {
				go func() { synctest.Wait(); c.cancel(s) }()
			} else if c.task.Timeout == 0 {
				s.Cancel(c.task.Seq, StopCancelled)
			}
			if o := s.Run(&c.task, heard{}); o.Status != c.want || time.Since(began) != c.after || o.Error.Code == "" {
				t.Errorf("%s: %+v after %v", name, o, time.Since(began))
			}
		})
	}
}

func TestACancelThatComesLateStopsNoOther(t *testing.T) {
	s, _ := (&simple{Simple: Simple{Run: func(ctx context.Context, _ *Call) (any, error) { return 1, context.Cause(ctx) }}}).OpenSlot(0)
	for seq := uint64(1); seq <= 3; seq++ {
		if o := s.Run(&Task{Seq: seq}, heard{}); o.Status != task.Completed || string(o.Data) != "1" {
			t.Errorf("%+v", o)
		}
		s.Cancel(seq, StopCancelled)
	}
	if asked := s.(*simpleSlot).asked; len(asked) > 0 {
		t.Errorf("%d are remembered", len(asked))
	}
}

func TestWhatAFunctionReturnsIsTheOutcome(t *testing.T) {
	for name, c := range map[string]struct {
		result any
		err    error
		code   string
	}{
		"a value":            {map[string]int{"a": 1}, nil, ""},
		"an error":           {nil, errors.New("no"), "exception"},
		"one with a code":    {nil, &Failure{"X", "script_syntax", "no"}, "script_syntax"},
		"what is no JSON":    {func() {}, nil, "bad_return_value"},
		"a script not there": {nil, nil, "script_not_found"},
	} {
		s, _ := (&simple{output: 4, Simple: Simple{Run: func(_ context.Context, call *Call) (any, error) {
			_, _ = call.Stdout.Write([]byte("12345"))
			if name == "a script not there" {
				return call.Script()
			}
			return c.result, c.err
		}}}).OpenSlot(0)
		o := s.Run(&Task{Seq: 1, ScriptPath: "/nonexistent"}, heard{})
		if (o.Error == nil) != (c.code == "") || o.Error != nil && o.Error.Code != c.code || o.Stdout != "1234" || !o.Truncated {
			t.Errorf("%s: %+v %+v", name, o, o.Error)
		}
	}
}
