package part

import (
	"context"

	"cpulb/bench/subject"
)

// journal compares the settings of the journal: 32 clients that wait for each result,
// batches, and one connection with 64 under way.
func (b *Bench) journal(ctx context.Context) error {
	for _, kind := range []struct {
		figure  string
		command subject.Command
		n       int
	}{
		{"submitters", subject.Command{Op: subject.Each, Clients: 32, Depth: 1}, pick(b, 6400, 1600)},
		{"batch", subject.Command{Op: subject.Batch}, pick(b, 20_000, 5000)},
		{"pipelined", subject.Command{Op: subject.Each, Depth: 64}, pick(b, 10_000, 3000)},
	} {
		for _, n := range []int{kind.n / 10, kind.n} { // first a warm-up
			for _, name := range []string{Go, GoInterval, GoGroup} {
				c := kind.command
				c.Work, c.Params = "noop", subject.Range(n)
				a, err := b.of(name).Do(ctx, c)
				if err != nil {
					return err
				}
				if n == kind.n {
					b.Results.Add("journal "+kind.figure, name, float64(n)/a.Seconds)
				}
			}
		}
	}
	return nil
}
