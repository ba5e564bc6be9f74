package part

import (
	"context"
	"path/filepath"

	"cpulb/bench/stats"
	"cpulb/bench/subject"
)

// arrayBytes is the size of the numpy array that calls get as an argument.
const arrayBytes = 100_000_000

// futures measures the Executor of the Python client beside the one whose place it takes.
func (b *Bench) futures(ctx context.Context) error {
	command := []string{b.Python, filepath.Join(b.Drivers, "cpulb_executor.py"), "--bin", b.Bin}
	s, err := subject.Start(ctx, subject.Spec{Name: Futures, Command: command}, b.folder())
	if err != nil {
		return err
	}
	defer s.Stop()
	ours := b.system(s, Neighbour{Name: Futures, quick: true})
	for _, s := range []*system{b.of(Executor), ours} {
		if err := b.calls(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// calls adds what calls by one of them take.
func (b *Bench) calls(ctx context.Context, s *system) error {
	if err := b.roundTrip(ctx, s, " futures", "noop", subject.Range); err != nil {
		return err
	}
	for _, op := range []struct {
		op subject.Op
		n  int
	}{{subject.Each, pick(b, 20_000, 4000)}, {subject.Batch, pick(b, 200_000, 40_000)}} {
		a, err := s.Do(ctx, subject.Command{Op: op.op, Work: "noop", Params: subject.Range(op.n)})
		if err != nil {
			return err
		}
		b.Results.Add("rate "+string(op.op)+" futures", s.name(), float64(op.n)/a.Seconds)
		b.Results.Add("cpu "+string(op.op)+" futures", s.name(), float64(a.CPU.Nanoseconds())/1e3/float64(op.n))
	}
	a, err := s.Do(ctx, subject.Command{Op: subject.RoundTrip, Work: "add", Params: subject.Randoms(pick(b, arrayBytes, arrayBytes/10), 5)})
	if ok, err := b.can(err); !ok {
		return err
	}
	b.Results.Add("array futures", s.name(), stats.Sample(a.NS).Times(1e-6).Median())
	return nil
}
