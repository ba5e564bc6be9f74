package daemon_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/daemon/tracing"
)

const caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func from(traceparent string) daemontest.Option {
	return func(t *task.Task) { t.Extra.Traceparent = traceparent }
}

// told is what spans say, one a line.
func told(all []tracing.Span) string {
	var text strings.Builder
	for _, s := range all {
		fmt.Fprintf(&text, "%s %d %s", s.Name, s.Attempt, s.End.Sub(s.Start).Round(time.Millisecond))
		if s.Status != task.Pending {
			fmt.Fprintf(&text, " %s", s.Status)
		}
		if s.Error != nil {
			fmt.Fprintf(&text, " %s", s.Error.Code+strings.TrimSuffix(s.Error.Type, "Error"))
		}
		text.WriteString("\n")
	}
	return text.String()
}

// inPlace checks that all spans are of one trace, and beneath each other as they should be.
func inPlace(t *testing.T, all []tracing.Span, parent tracing.Context) {
	t.Helper()
	var submit tracing.Span
	runs := map[uint32]tracing.Context{}
	for _, s := range all {
		if s.Name == tracing.Submit {
			submit = s
		}
		if s.Name == tracing.Run {
			runs[s.Attempt] = s.Context
		}
	}
	if submit.Parent != parent || !submit.Context.Valid() {
		t.Errorf("submit is beneath %s", submit.Parent)
	}
	for _, s := range all {
		if s.Context.Trace != submit.Context.Trace || s.Name != tracing.Submit && s.Parent != submit.Context || s.Before != runs[s.Attempt-1] && s.Name == tracing.Run {
			t.Errorf("%s of attempt %d: %s beneath %s behind %s", s.Name, s.Attempt, s.Context, s.Parent, s.Before)
		}
	}
}

func TestTheSpansOfATaskAreSubmitQueueAndRun(t *testing.T) {
	daemontest.Traced(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		first := f.Submit(fleettest.Sleeps, daemontest.Params("2s"), from(caller))
		waits := f.Submit(fleettest.Echo)
		f.Ends("completed", 1, first, waits)
		var one, two []tracing.Span
		for _, s := range f.Spans.Take() {
			if s.Task.ID == first {
				one = append(one, s)
			} else {
				two = append(two, s)
			}
		}
		if got, want := told(one), "submit 0 0s\nqueue 1 0s\nrun 1 2s completed\n"; got != want {
			f.Errorf("the first:\n%s", got)
		}
		if got, want := told(two), "submit 0 0s\nqueue 1 2s\nrun 1 0s completed\n"; got != want {
			f.Errorf("the one that waits:\n%s", got)
		}
		parent, _ := tracing.Parse(caller)
		inPlace(t, one, parent)
		inPlace(t, two, tracing.Context{})
		if r := one[len(one)-1]; r.Worker == nil || r.Worker.ID != "p-0" || r.Pool != "p" {
			f.Errorf("it ran in %+v", r.Worker)
		}
	})
}

func TestEachAttemptHasARunOfItsOwn(t *testing.T) {
	daemontest.Traced(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Fails, daemontest.Retries(2), from(caller))
		f.Ends("exception", 3, id)
		all := f.Spans.Take()
		got := told(all)
		if strings.Count(got, "run ") != 3 || strings.Count(got, " failed exceptionValue\n") != 3 || strings.Count(got, "queue ") != 3 {
			f.Errorf("%s", got)
		}
		for _, s := range all { // the pauses between the attempts are waits
			if s.Name == tracing.Queue && s.Attempt > 1 && s.End.Sub(s.Start) < 100*time.Millisecond {
				f.Errorf("the wait for attempt %d took %s", s.Attempt, s.End.Sub(s.Start))
			}
		}
		parent, _ := tracing.Parse(caller)
		inPlace(t, all, parent)
	})
}

func TestAWorkersDeathIsAnErrorOfItsRun(t *testing.T) {
	daemontest.Traced(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		id := f.Submit(fleettest.Crashes)
		f.Ends("worker_lost", 2, id)
		all := f.Spans.Take()
		if got := told(all); strings.Count(got, "run ") != 2 || strings.Count(got, " failed worker_lostWorkerLost\n") != 2 {
			f.Errorf("%s", got)
		}
		inPlace(t, all, tracing.Context{})
	})
}

func TestATaskThatEndsInTheQueueHasNoRun(t *testing.T) {
	daemontest.Traced(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Submit(fleettest.Sleeps)
		late := f.Submit(fleettest.Echo, func(t *task.Task) { t.Extra.ExpiresAt = f.Now().Add(time.Second) })
		gone := f.Submit(fleettest.Echo)
		f.Spans.Take()
		f.Pass(500 * time.Millisecond)
		if err := f.Cancel(gone); err != nil {
			f.Fatal(err)
		}
		f.Ends("expired", 0, late)
		if got, want := told(f.Spans.Take()), "queue 1 500ms cancelled\nqueue 1 1s failed expiredTaskExpired\n"; got != want {
			f.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

func TestARefusedSubmissionIsAnError(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Queue.MaxTasks = 3
	daemontest.Traced(t, c, func(f *daemontest.Farm) {
		f.Submit(fleettest.Sleeps)
		for range 4 {
			k := &task.Task{ID: task.NewID(), ScriptPath: f.Dir + "/" + fleettest.Echo, Function: "main", Params: []byte("1"), Type: task.IOBound, Priority: 5}
			f.Engine.Submit(f.Context(), daemontest.Who(), k, nil, func(task.View, error) {})
		}
		f.Pass(0)
		if got := told(f.Spans.Take()); strings.Count(got, "submit 0 0s Refused\n") != 1 {
			f.Errorf("%s", got)
		}
	})
}

func TestWhatIsNotSampledMakesNoSpans(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Tracing.Sample = 0
	daemontest.Traced(t, c, func(f *daemontest.Farm) {
		f.Ends("completed", 1, f.Submit(fleettest.Echo), f.Submit(fleettest.Echo, from(strings.TrimSuffix(caller, "1")+"0")))
		if all := f.Spans.Take(); len(all) > 0 {
			f.Errorf("%s", told(all))
		}
		f.Ends("completed", 1, f.Submit(fleettest.Echo, from(caller)))
		if got := told(f.Spans.Take()); strings.Count(got, "\n") != 3 {
			f.Errorf("whose caller samples has\n%s", got)
		}
	})
}

// The next daemon makes the spans of a task in the same trace, beneath the same submit.
func TestATaskIsInOneTraceOverARestart(t *testing.T) {
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Spans = &daemontest.Spans{}
		f.Restart() // now it makes spans
		id := f.Submit(fleettest.Sleeps, daemontest.Params("5s"))
		f.Pass(time.Second)
		f.Crash()
		f.Ends("completed", 2, id)
		all := f.Spans.Take()
		// It may have left the queue before it was accepted.
		first := slices.IndexFunc(all, func(s tracing.Span) bool { return s.Name == tracing.Submit })
		all[0], all[first] = all[first], all[0]
		if got, want := told(all), "submit 0 0s\nqueue 1 0s\n"; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "run 2 5s completed\n") {
			f.Errorf("%s", got)
		}
		for _, s := range all[1:] {
			if s.Context.Trace != all[0].Context.Trace || s.Parent != all[0].Context {
				f.Errorf("%s %d is elsewhere", s.Name, s.Attempt)
			}
		}
	})
}

// A script's own spans are children of the run that it is told of.
func TestTheScriptIsToldOfItsRun(t *testing.T) {
	c := daemontest.One(1, 1)
	daemontest.Traced(t, c, func(f *daemontest.Farm) {
		id := f.Submit(fleettest.FailsOnce, daemontest.Retries(1), from(caller))
		f.Ends("completed", 2, id)
		seen := traceparents(f, id)
		var want []string
		for _, s := range f.Spans.Take() {
			if s.Name == tracing.Run {
				want = append(want, s.Context.String())
			}
		}
		if fmt.Sprint(seen) != fmt.Sprint(want) || len(seen) != 2 || seen[0] == seen[1] {
			f.Errorf("told were %v, the runs are %v", seen, want)
		}
	})
	daemontest.On(t, c, func(f *daemontest.Farm) { // who does not trace passes on what there is
		id := f.Submit(fleettest.Echo, from("anything"))
		f.Ends("completed", 1, id)
		if seen := traceparents(f, id); len(seen) != 1 || seen[0] != "anything" {
			f.Errorf("told were %v", seen)
		}
	})
}

// traceparents are what the attempts of a task were told.
func traceparents(f *daemontest.Farm, id task.ID) (all []string) {
	for _, run := range f.Launcher.Runs.Of(id.String()) {
		all = append(all, run.Traceparent)
	}
	return all
}
