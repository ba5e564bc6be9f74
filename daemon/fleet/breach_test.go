package fleet_test

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// ended is what a slot says at the end of a task.
func ended(seq uint64) plugins.Event {
	return plugins.Event{Kind: plugins.EventEnded, Seq: seq, Outcome: plugins.Outcome{Status: task.Completed, Data: []byte("7")}}
}

// Whatever comes by a slot that can't be true costs the worker, and is told in words. What it
// has begun runs again, what waited goes on elsewhere.
func TestASlotThatSaysWhatCannotBeTrueCostsTheWorkerAndNobodyElse(t *testing.T) {
	const runs, waits, last = 21, 22, 23 // the seqs of three tasks, after those of learn
	for name, x := range map[string]struct {
		says func(f *daemontest.Farm, p *fleettest.Process, ids []task.ID)
		log  string
		ran  int // attempts of the first; 0: it is over
		back int // how many of the others go on
	}{
		"of no task": {func(_ *daemontest.Farm, p *fleettest.Process, _ []task.ID) {
			p.Tell(0, plugins.Event{Kind: plugins.EventLog})
		}, "Log of task 0, which it was not sent", 2, 2},
		"of a task that it was not sent": {func(_ *daemontest.Farm, p *fleettest.Process, _ []task.ID) {
			p.Tell(0, ended(1000))
		}, "Result of task 1000, which it was not sent", 2, 2},
		"the Result of a task that waits": {func(_ *daemontest.Farm, p *fleettest.Process, _ []task.ID) {
			p.Tell(0, ended(waits))
		}, "Result of task 22, which has not begun", 2, 2},
		"the Result of a task that waits, claims and all": {func(_ *daemontest.Farm, p *fleettest.Process, _ []task.ID) {
			p.Claims(0, waits, plugins.FateDone)
			p.Tell(0, ended(waits))
		}, "Result of task 22, though task 21 has not ended", 2, 1}, // the other's claims say that it ran
		"an event of a task that waits": {func(_ *daemontest.Farm, p *fleettest.Process, _ []task.ID) {
			p.Tell(0, plugins.Event{Kind: plugins.EventPartial, Seq: waits, Number: 1, Value: []byte("7")})
		}, "Partial of task 22, which has not begun", 2, 2},
		"the Result of a task that runs": {func(_ *daemontest.Farm, p *fleettest.Process, _ []task.ID) {
			p.Tell(0, ended(runs))
		}, "Result of task 21, which has not ended", 2, 2},
		"a Result twice": {func(_ *daemontest.Farm, p *fleettest.Process, _ []task.ID) {
			p.Claims(0, runs, plugins.FateDone)
			p.Tell(0, ended(runs), ended(runs))
		}, "Result of task 21, which has ended", 0, 2},
		"more after the Result": {func(_ *daemontest.Farm, p *fleettest.Process, _ []task.ID) {
			p.Claims(0, runs, plugins.FateDone)
			p.Tell(0, ended(runs))
			p.Tell(0, plugins.Event{Kind: plugins.EventProgress, Seq: runs})
		}, "Progress of task 21, which has ended", 0, 2},
		"Started of a task that was recalled": {func(f *daemontest.Farm, p *fleettest.Process, ids []task.ID) {
			if err := f.Cancel(ids[1]); err != nil {
				f.Error(err)
			}
			p.Tell(0, plugins.Event{Kind: plugins.EventStarted, Seq: waits})
		}, "Started of task 22, which has ended, or was taken back", 2, 1},
		"that nothing of what runs has begun": {func(_ *daemontest.Farm, p *fleettest.Process, _ []task.ID) {
			p.Claims(0, runs, plugins.FateOpen)
			p.Tell(0, plugins.Event{Kind: plugins.EventLog, Seq: runs})
		}, "Log of task 21, which has not begun", 2, 2},
		"what is not a frame": {func(_ *daemontest.Farm, p *fleettest.Process, _ []task.ID) {
			p.Break(0, fmt.Errorf("%w: a header of 99999999 bytes", plugins.ErrFrame))
		}, "not a frame of the slot protocol: a header of 99999999 bytes", 2, 2},
		"nothing any more": {func(_ *daemontest.Farm, p *fleettest.Process, _ []task.ID) {
			p.Break(0, io.ErrUnexpectedEOF)
		}, "slot 0: unexpected EOF", 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
				learn(f)
				p := f.Ready("p-0")
				p.Pause()
				ids := f.Many(3, fleettest.Sleeps, brief)
				synctest.Wait()
				p.Claims(0, runs, plugins.FateClaimed)
				p.Tell(0, plugins.Event{Kind: plugins.EventStarted, Seq: runs})
				if f.Are(task.Running, ids[0]); placed(f, ids[1:]) != 2 {
					t.Fatalf("not all are in the worker: %+v", ids)
				}
				x.says(f, p, ids)
				f.Pass(time.Second)
				if f.Logged(x.log); !p.Ended() || f.Ready("p-0") == p || f.Figure("worker_deaths") != 1 {
					t.Errorf("the worker is there: %s", f.Launcher)
				}
				if x.ran == 0 {
					f.Ends("completed", 1, ids[0])
				} else {
					f.Ends("completed", x.ran, ids[0])
				}
				f.Ends("completed", 1, ids[3-x.back:]...)
			})
		})
	}
}

// A worker that answers, and yet a task does not get on: it is not for ever.
func TestWhatDoesNotComeIsMissed(t *testing.T) {
	t.Run("the Result of a task that has run", func(t *testing.T) {
		daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
			p := f.Ready("p-0")
			neighbour := f.Submit(fleettest.Sleeps, daemontest.Params("5s"))
			p.HoldResults()
			id := f.Submit(fleettest.Sleeps, daemontest.Params("2s"))
			f.Pass(5 * time.Second)
			p.TellResults()
			f.Ends("completed", 1, id, neighbour)
			p.HoldResults()
			id = f.Submit(fleettest.Sleeps, daemontest.Params("2s"))
			f.Pass(time.Minute)
			f.Logged("the result of a task does not come")
			f.Ends("completed", 2, id)
			if !p.Ended() {
				t.Errorf("the worker is there: %s", f.Launcher)
			}
		})
	})
	t.Run("the beginning of a task that somebody else has read", func(t *testing.T) {
		daemontest.On(t, daemontest.One(1, 2), func(f *daemontest.Farm) {
			p := f.Ready("p-0")
			neighbour := f.Submit(fleettest.Sleeps, daemontest.Params("40s"))
			synctest.Wait()
			p.Loses(0, 1)
			p.Loses(1, 1)
			id := f.Submit(fleettest.Echo)
			f.Pass(45 * time.Second)
			f.Logged("a slot does not begin the task that it was sent")
			f.Ends("completed", 1, id)
			f.Ends("completed", 1, neighbour) // fenced: it may finish
			f.Pass(time.Minute)
			if !p.Ended() {
				t.Errorf("the worker is there: %s", f.Launcher)
			}
			f.Blameless()
		})
	})
	t.Run("not sooner than a busy machine may need", func(t *testing.T) {
		c := daemontest.One(1, 1)
		c.Limits.GILStall = 50 * time.Millisecond
		daemontest.On(t, c, func(f *daemontest.Farm) {
			p := f.Ready("p-0")
			p.HoldResults()
			id := f.Submit(fleettest.Sleeps, daemontest.Params("2s"))
			f.Pass(2900 * time.Millisecond)
			p.TellResults()
			f.Ends("completed", 1, id)
			if p.Ended() {
				t.Errorf("the worker was ended: %s", f.Log)
			}
		})
	})
	t.Run("not before its time", func(t *testing.T) {
		daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
			p := f.Ready("p-0")
			ids := f.Many(3, fleettest.Sleeps, daemontest.Params("15m"))
			f.Pass(46 * time.Minute)
			f.Ends("completed", 1, ids...)
			if p.Ended() {
				t.Errorf("the worker was ended: %s", f.Log)
			}
		})
	})
}
