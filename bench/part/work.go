package part

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"time"

	"cpulb/bench/cpulbd"
	"cpulb/bench/stats"
	"cpulb/bench/subject"
)

// work measures tasks that do something, on two cores: their time over the best there
// can be.
func (b *Bench) work(ctx context.Context) error {
	for _, s := range b.subjects {
		if durable(s.name()) {
			continue
		}
		n := pick(b, 600, 300)
		if s.slow {
			n /= 10
		}
		skewed, ideal := lengths(n / 2)
		if !s.numbers {
			if err := b.against(ctx, s, "spin", float64(n)*0.001/2, subject.Repeat(n, 0.001)); err != nil {
				return err
			}
			if err := b.against(ctx, s, "sleep", ideal, skewed); err != nil {
				return err
			}
		}
		if err := b.roundTrip(ctx, s, "", "total", func(n int) any { return subject.Repeat(n, 1000) }); err != nil {
			return err
		}
	}
	return nil
}

// against adds the time over the ideal.
func (b *Bench) against(ctx context.Context, s *system, work string, ideal float64, params any) error {
	a, err := s.Do(ctx, subject.Command{Op: subject.Each, Work: work, Params: params, Depth: 1 << 20})
	if ok, err := b.can(err); !ok {
		return err
	}
	b.Results.Add("ideal "+work, s.name(), a.Seconds/ideal)
	return nil
}

// lengths returns n lengths of waiting of a Pareto distribution with a bound, and the
// time that they take at best by two: shared out evenly, or the longest alone.
func lengths(n int) (all []float64, ideal float64) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var sum, longest float64
	for range n {
		t := min(0.25, 0.002/rnd.Float64())
		all = append(all, t)
		sum, longest = sum+t, max(longest, t)
	}
	return all, max(sum/2, longest)
}

// payload measures strings that go to the script and back.
func (b *Bench) payload(ctx context.Context) error {
	for bytes := 1000; bytes <= pick(b, 100_000_000, 10_000_000); bytes *= 10 {
		for _, s := range b.subjects {
			if durable(s.name()) || s.largest < bytes {
				continue
			}
			a, err := s.Do(ctx, subject.Command{Op: subject.RoundTrip, Work: "noop", Params: subject.Text(bytes, min(max(10_000_000/bytes, 1), 100))})
			if ok, err := b.can(err); err != nil {
				return err
			} else if ok {
				b.Results.Plot("payload", s.name(), float64(bytes), stats.Sample(a.NS).Median()/1e6)
			}
		}
	}
	return nil
}

// waiting measures tasks that sleep 100 ms, 64 at a time.
func (b *Bench) waiting(ctx context.Context) error {
	if b.Short || !b.curved() {
		return nil
	}
	const slots, rounds = 64, 10
	measure := func(s *system, err error) error {
		if err != nil || s == nil {
			return err
		}
		defer s.Stop()
		a, err := s.Do(ctx, subject.Command{Op: subject.Each, Work: "sleep", Params: subject.Repeat(slots*rounds, 0.1), Depth: 1 << 20})
		if ok, err := b.can(err); !ok {
			return err
		}
		b.Results.Add("ideal waiting", s.name(), a.Seconds/(rounds*0.1))
		return nil
	}
	d, err := cpulbd.Start(ctx, b.Bin, b.Dir, cpulbd.Config{Sync: "off", Pool: "workers = 1\n  threads = 64\n  pin = false"})
	if err != nil {
		return err
	}
	defer d.Stop()
	for _, name := range []string{Go, Python} {
		if err := measure(b.client(ctx, name, d)); err != nil {
			return err
		}
	}
	for _, n := range Neighbours() {
		if err := measure(b.neighbour(ctx, n, "--slots", "64", "--waiting")); err != nil {
			return err
		}
	}
	return nil
}

// start measures the default configuration, from exec to the first answer that says it
// is ready.
func (b *Bench) start(ctx context.Context) error {
	for range pick(b, 3, 1) {
		dir := b.folder()
		if err := mkdir(dir); err != nil {
			return err
		}
		d, err := cpulbd.StartFile(ctx, b.Bin, dir, filepath.Join(b.Drivers, "..", "..", "config.hcl"))
		if err != nil {
			return err
		}
		b.Results.Add("ready", Go, float64(d.Ready)/float64(time.Millisecond))
		if err := d.Stop(); err != nil {
			return err
		}
	}
	return nil
}
