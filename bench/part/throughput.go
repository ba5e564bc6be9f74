package part

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"cpulb/bench/proc"
	"cpulb/bench/subject"
)

// throughput measures no-ops whose results are all fetched, and what they cost.
func (b *Bench) throughput(ctx context.Context) error {
	for _, s := range b.subjects {
		b.Results.Add("memory idle", s.name(), proc.Memory(s.Processes())/1e6)
	}
	for _, op := range []subject.Op{subject.Each, subject.Batch} {
		if err := b.bare(op); err != nil {
			return err
		}
		for _, s := range b.subjects {
			if err := b.rate(ctx, s, op); err != nil {
				return err
			}
		}
	}
	for _, s := range b.subjects {
		b.Results.Add("memory", s.name(), proc.Memory(s.Processes())/1e6)
	}
	return nil
}

// rate adds tasks a second, and CPU time a task in µs.
func (b *Bench) rate(ctx context.Context, s *system, op subject.Op) error {
	params := subject.Objects
	if s.numbers {
		params = subject.Range
	}
	c := subject.Command{Op: op, Work: "noop"}
	n, err := b.enough(ctx, s, c, params, pick(b, 1000*time.Millisecond, 300*time.Millisecond), 50, pick(b, 20_000, 4000))
	if ok, err := b.can(err); !ok {
		return err
	}
	c.Params = params(n)
	a, err := s.Do(ctx, c)
	if ok, err := b.can(err); !ok {
		return err
	}
	b.Results.Add("rate "+string(op), s.name(), float64(n)/a.Seconds)
	b.Results.Add("cpu "+string(op), s.name(), float64(a.CPU.Microseconds())/float64(n))
	return nil
}

// bare is the limit of what a task costs: its params decoded, the call and its result
// encoded by C's interface to CPython, in one thread that does nothing else. It is measured
// beside each way to hand tasks over.
func (b *Bench) bare(op subject.Op) error {
	took := func(rounds int) (time.Duration, error) {
		cmd := exec.Command(filepath.Join(b.Tools, "bare"), filepath.Join(b.Tools, "returns_params.py"), `{"value": 21, "name": "ada"}`, fmt.Sprint(rounds))
		cmd.Stderr = os.Stderr
		err := cmd.Run()
		if err != nil {
			return 0, fmt.Errorf("bare: %w", err)
		}
		return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
	}
	start, err := took(1)
	if err != nil {
		return err
	}
	rounds := pick(b, 200_000, 50_000)
	all, err := took(rounds)
	b.Results.Add("cpu "+string(op), Bare, float64((all-start).Nanoseconds())/1e3/float64(rounds))
	return err
}
