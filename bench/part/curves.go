package part

import (
	"context"
	"fmt"

	"cpulb/bench/cpulbd"
	"cpulb/bench/proc"
	"cpulb/bench/subject"
)

// curves measures how throughput follows depth, workers and clients.
func (b *Bench) curves(ctx context.Context) error {
	if !b.curved() {
		return nil
	}
	for _, measure := range []func(context.Context) error{b.depths, b.clients, b.workers} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bench) plotRate(ctx context.Context, curve string, s *system, x float64, n int, c subject.Command) error {
	if s == nil {
		return nil
	}
	c.Work, c.Params = "noop", subject.Range(n)
	a, err := s.Do(ctx, c)
	if ok, err := b.can(err); !ok {
		return err
	}
	b.Results.Plot(curve, s.name(), x, float64(n)/a.Seconds)
	return nil
}

// depths is by how many tasks are under way: for the Go client it is what its connection
// keeps so, for the others how many are handed over at once.
func (b *Bench) depths(ctx context.Context) error {
	deepest := pick(b, 100_000, 10_000)
	if b.Round == 0 && !b.Short {
		deepest = 1_000_000
	}
	for depth := 1; depth <= deepest; depth *= 10 {
		n := min(max(2*depth, 2000), 20_000)
		if err := b.plotRate(ctx, "depth", b.of(Go), float64(depth), max(n, depth), subject.Command{Op: subject.Each, Depth: depth}); err != nil {
			return err
		}
		if depth < 100 {
			continue
		}
		if depth <= 100_000 {
			if err := b.plotRate(ctx, "depth", b.of(Python), float64(depth), depth, subject.Command{Op: subject.Batch}); err != nil {
				return err
			}
		}
		if depth <= 10_000 {
			if err := b.plotRate(ctx, "depth", b.of(Executor), float64(depth), depth, subject.Command{Op: subject.Each}); err != nil {
				return err
			}
		}
	}
	return nil
}

// clients is by how many connections there are, each with 64 under way.
func (b *Bench) clients(ctx context.Context) error {
	for clients := 1; clients <= 256; clients *= 2 {
		n := pick(b, 16_384, 8192)
		c := subject.Command{Op: subject.Each, Clients: clients, Depth: 64}
		if err := b.plotRate(ctx, "clients", b.of(Go), float64(clients), n, c); err != nil {
			return err
		}
	}
	return nil
}

// workers is by how many processes there are, on two cores.
func (b *Bench) workers(ctx context.Context) error {
	for workers := 1; workers <= pick(b, 64, 4); workers *= 2 {
		d, err := cpulbd.Start(ctx, b.Bin, b.Dir, cpulbd.Config{Sync: "off", Pool: fmt.Sprintf("workers = %d\n  pin = false", workers)})
		if err != nil {
			return err
		}
		s, err := b.client(ctx, Go, d)
		if err == nil {
			err = b.crowd(ctx, s, workers, subject.Command{Op: subject.Each, Clients: 4, Depth: 64})
			s.Stop()
		}
		d.Stop()
		if err != nil {
			return err
		}
		pool, err := b.neighbour(ctx, Neighbours()[0], "--slots", fmt.Sprint(workers))
		if err != nil {
			return err
		}
		if pool == nil {
			continue
		}
		err = b.crowd(ctx, pool, workers, subject.Command{Op: subject.Each})
		pool.Stop()
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *Bench) crowd(ctx context.Context, s *system, workers int, c subject.Command) error {
	warm := c
	warm.Work, warm.Params = "noop", subject.Range(1000)
	_, err := s.Do(ctx, warm)
	if ok, err := b.can(err); !ok {
		return err
	}
	return b.plotRate(ctx, "workers", s, float64(workers), pick(b, 5000, 2000), c)
}

// cost counts switches and system calls a task, of all processes, at some depths.
func (b *Bench) cost(ctx context.Context) error {
	s := b.of(Go)
	for _, depth := range []int{1, 64, 1000} {
		n := pick(b, 10_000, 3000)
		c := subject.Command{Op: subject.Each, Work: "noop", Params: subject.Range(n), Depth: depth}
		pids := s.Processes()
		before := proc.Switches(pids)
		a, err := s.Do(ctx, c)
		if err != nil {
			return err
		}
		at := fmt.Sprintf(" at depth %d", depth)
		b.Results.Add("switches"+at, Go, (proc.Switches(pids)-before)/float64(n))
		b.Results.Add("cpu"+at, Go, float64(a.CPU.Microseconds())/float64(n))
		counted, err := proc.CountCalls(pids)
		if err != nil {
			b.Results.Lacks("system calls a task", "no perf: "+err.Error())
			continue
		}
		_, err = s.Do(ctx, c)
		calls, uncounted := counted()
		if err != nil {
			return err
		}
		if uncounted != nil {
			b.Results.Lacks("system calls a task", uncounted.Error())
			continue
		}
		b.Results.Add("calls"+at, Go, calls/float64(n))
	}
	return nil
}
