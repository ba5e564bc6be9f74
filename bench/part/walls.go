package part

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"cpulb/bench/cpulbd"
	"cpulb/bench/proc"
	"cpulb/bench/stats"
	"cpulb/bench/subject"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// inProcesses are the lines of a pool whose tasks have a process each.
const inProcesses = "\n  isolation = \"process\""

// walls measures what a process for each task costs, beside a thread and beside a new
// interpreter.
func (b *Bench) walls(ctx context.Context) error {
	script, err := b.neighbour(ctx, script())
	if err != nil {
		return err
	}
	if script != nil {
		defer script.Stop()
		if err := b.roundTrip(ctx, script, " walls", "noop", subject.Range); err != nil {
			return err
		}
	}
	for _, kind := range []struct{ name, lines string }{{Thread, ""}, {Process, inProcesses}} {
		if err := b.behind(ctx, kind.name, kind.lines); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return b.preloaded(ctx, script)
}

// script is `python3 script.py`.
func script() Neighbour {
	all := Neighbours()
	return all[len(all)-1]
}

// behind measures the tasks of one kind of pool.
func (b *Bench) behind(ctx context.Context, name, lines string) error {
	d, err := cpulbd.Start(ctx, b.Bin, b.Dir, cpulbd.Config{Sync: "off", Pool: "workers = 2\n  threads = 2" + lines})
	if err != nil {
		return err
	}
	defer d.Stop()
	s, err := b.client(ctx, name, d)
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := b.roundTrip(ctx, s, " walls", "noop", subject.Range); err != nil {
		return err
	}
	n := pick(b, 2000, 400)
	a, err := s.Do(ctx, subject.Command{Op: subject.Each, Work: "noop", Params: subject.Objects(n), Depth: 64})
	if err != nil {
		return err
	}
	b.Results.Add("rate walls", name, float64(n)/a.Seconds)
	w := behindWalls{client: client.New(d.Socket), script: filepath.Join(b.Drivers, "works.py")}
	if err := w.ready(ctx, b, name); err != nil {
		return err
	}
	if lines != "" { // a thread that hangs costs its worker, and is another measurement
		if err := w.hung(ctx, b, name); err != nil {
			return err
		}
	}
	return b.idle(ctx, name, lines)
}

// behindWalls runs single tasks.
type behindWalls struct {
	client *client.Client
	script string
}

func (w behindWalls) run(ctx context.Context, function, params string, timeout time.Duration) (*task.Result, time.Duration, error) {
	t := &task.Task{ID: task.NewID(), ScriptPath: w.script, Function: function, Params: []byte(params), Type: task.CPUBound, Priority: task.DefaultPriority,
		Timeout: task.Duration(timeout)}
	began := time.Now()
	r, err := w.client.Run(ctx, t)
	return r, time.Since(began), err
}

// ready adds the round trip of a task that comes after a pause, for which the process
// ahead is there, in µs.
func (w behindWalls) ready(ctx context.Context, b *Bench, name string) error {
	var took stats.Sample
	for range pick(b, 100, 40) {
		time.Sleep(20 * time.Millisecond)
		r, each, err := w.run(ctx, "noop", "1", 0)
		if err == nil && r.Status != task.Completed {
			err = fmt.Errorf("a no-op ended %s: %+v", r.Status, r.Error)
		}
		if err != nil {
			return err
		}
		took = append(took, float64(each.Microseconds()))
	}
	b.Results.Add("p50 ready walls", name, took.Percentile(50))
	return nil
}

// hung adds how long after its timeout a task ends that no exception gets at, in ms.
func (w behindWalls) hung(ctx context.Context, b *Bench, name string) error {
	const timeout = 200 * time.Millisecond
	for range pick(b, 5, 2) {
		r, took, err := w.run(ctx, "hang", "1", timeout)
		if err == nil && r.Status != task.TimedOut {
			err = fmt.Errorf("a task that hangs ended %s: %+v", r.Status, r.Error)
		}
		if err != nil {
			return err
		}
		b.Results.Add("hung walls", name, float64((took-timeout).Microseconds())/1000)
	}
	return nil
}

// idle adds the memory of a worker of 16 slots that has run a task in each, and then
// none, in MB: all but the daemon's.
func (b *Bench) idle(ctx context.Context, name, lines string) error {
	d, err := cpulbd.Start(ctx, b.Bin, b.Dir, cpulbd.Config{Sync: "off", Pool: "workers = 1\n  threads = 16\n  pin = false" + lines})
	if err != nil {
		return err
	}
	defer d.Stop()
	s, err := b.client(ctx, name, d)
	if err != nil {
		return err
	}
	defer s.Stop()
	if _, err := s.Do(ctx, subject.Command{Op: subject.Each, Work: "sleep", Params: subject.Repeat(64, 0.02)}); err != nil {
		return err
	}
	time.Sleep(time.Second) // the processes ahead are there again
	b.Results.Add("memory walls", name, proc.Memory(proc.Tree(d.PID)[1:])/1e6)
	return nil
}

// preloaded measures a script that uses numpy and pandas, which the template has loaded
// and a new interpreter has to.
func (b *Bench) preloaded(ctx context.Context, script *system) error {
	if exec.Command(b.Python, "-c", "import numpy, pandas").Run() != nil {
		b.Results.Lacks(Process+", numpy and pandas preloaded", "not installed: python3-numpy, python3-pandas")
		return nil
	}
	d, err := cpulbd.Start(ctx, b.Bin, b.Dir, cpulbd.Config{Sync: "off", Pool: "workers = 1" + inProcesses, Executor: "preload = [\"numpy\", \"pandas\"]"})
	if err != nil {
		return err
	}
	defer d.Stop()
	s, err := b.client(ctx, Process, d)
	if err != nil {
		return err
	}
	defer s.Stop()
	params := func(n int) any { return subject.Repeat(n, 1000) }
	if err := b.roundTrip(ctx, s, " walls", "frame", params); err != nil || script == nil {
		return err
	}
	return b.roundTrip(ctx, script, " walls", "frame", params)
}
