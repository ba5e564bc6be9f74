package report

import (
	"math"

	"cpulb/bench/part"
	"cpulb/bench/result"
	"cpulb/bench/stats"
)

// target is a ratio of one run, or a figure, that is to be reached.
type target struct {
	figure  string
	atLeast bool // else at most
	bound   float64
	// steady ones hold in the worst round; others at the median.
	steady  bool
	measure func(*result.Results) stats.Sample
}

// verdict says whether the rounds reach the target.
func (t target) verdict(s stats.Sample) string {
	reached := s.Median()
	if t.steady && t.atLeast {
		reached = s.Min()
	} else if t.steady {
		reached = s.Max()
	}
	switch {
	case math.IsNaN(reached):
		return "not measured"
	case t.atLeast && reached >= t.bound, !t.atLeast && reached <= t.bound:
		return "met"
	}
	return "**not met**"
}

// ratio is of a figure of two systems, in each round.
func ratio(figure, system, over, of string) func(*result.Results) stats.Sample {
	return func(r *result.Results) stats.Sample { return r.Of(figure, system).Over(r.Of(over, of)) }
}

func figure(name string) func(*result.Results) stats.Sample {
	return func(r *result.Results) stats.Sample { return r.Of(name, part.Go) }
}

// targets returns all of them, in the order of their table.
func targets() []target {
	const p50, pinned = "p50 noop", "p50 noop pinned"
	const submitters, batch, pipelined = "journal submitters", "journal batch", "journal pipelined"
	return []target{
		{"no-ops/s, Python client (batch and results) ÷ ProcessPoolExecutor.submit", true, 5, false,
			ratio("rate batch", part.Python, "rate each", part.Executor)},
		{"no-ops/s, Go client 64 deep on one connection ÷ ProcessPoolExecutor.submit", true, 7, false,
			ratio("rate each", part.Go, "rate each", part.Executor)},
		{"CPU a no-op over all processes, Python client in batches ÷ bare embedded call", false, 8, false,
			ratio("cpu batch", part.Python, "cpu batch", part.Bare)},
		{"round trip p50, Go client ÷ C relay, not pinned", false, 1.8, false, ratio(p50, part.Go, p50, part.Relay)},
		{"round trip p50, Go client ÷ C relay, pinned", false, 1.8, false, ratio(pinned, part.Go, pinned, part.Relay)},
		{"round trip p50, Python client ÷ C relay, not pinned", false, 2.8, false, ratio(p50, part.Python, p50, part.Relay)},
		{"round trip p50, Python client ÷ C relay, pinned", false, 2.8, false, ratio(pinned, part.Python, pinned, part.Relay)},
		{"round trip p50, Python client ÷ ProcessPoolExecutor, not pinned", false, 0.6, false, ratio(p50, part.Python, p50, part.Executor)},
		{"round trip p50, Python client ÷ ProcessPoolExecutor, pinned", false, 0.6, false, ratio(pinned, part.Python, pinned, part.Executor)},
		{"round trip p50 with `group` ÷ (without journal + one fdatasync)", false, 1.2, false, func(r *result.Results) stats.Sample {
			return r.Of(p50, part.GoGroup).Over(r.Of(p50, part.Go).Plus(r.Of(p50, part.Fdatasync)))
		}},
		{"32 submitters, `group` ÷ `off`", true, 0.7, false, ratio(submitters, part.GoGroup, submitters, part.Go)},
		{"batch of 20,000, `group` ÷ `off`", true, 0.85, false, ratio(batch, part.GoGroup, batch, part.Go)},
		{"32 submitters, `interval` ÷ `off`", true, 0.9, false, ratio(submitters, part.GoInterval, submitters, part.Go)},
		{"64 deep on one connection, `interval` ÷ `off`", true, 0.9, false, ratio(pipelined, part.GoInterval, pipelined, part.Go)},
		{"a million queued with `group`: rate at the end ÷ at the start", true, 0.9, false,
			ratio("queued at the end", part.Go, "queued at the start", part.Go)},
		{"a million queued with `group`: bytes of heap a task, beyond its payload", false, 512, false, figure("queued bytes")},
		{"computing on two workers ÷ on one, time", false, 0.53, false, ratio("computing by 2", part.Go, "computing by 1", part.Go)},
		{"skewed lengths on two workers, end ÷ best there can be", false, 1.1, false, figure("ideal sleep")},
		{"p99 of 1 ms tasks beside 5 s ones ÷ without, in each round", false, 1.1, true,
			ratio("p99 beside 2 long", part.Go, "p99 beside 0 long", part.Go)},
		{"script importing numpy ÷ `python3 script.py`", false, 0.01, false, ratio("p50 total", part.Python, "p50 total", part.Script)},
		{"no-op in a process of its own ÷ `python3 script.py`, p50", false, 0.25, false, ratio("p50 noop walls", part.Process, "p50 noop walls", part.Script)},
		{"no-op in a process of its own − in a thread, a process being ready, p50 in ms", false, 1, false, func(r *result.Results) stats.Sample {
			return r.Of("p50 ready walls", part.Process).Plus(r.Of("p50 ready walls", part.Thread).Times(-1)).Times(1e-3)
		}},
		{"end of a hung task in a process of its own after its timeout, ms", false, 50, true, func(r *result.Results) stats.Sample { return r.Of("hung walls", part.Process) }},
		{"100 MB as params and back, Python client ÷ ProcessPoolExecutor", false, 2, false, func(r *result.Results) stats.Sample {
			return at(r, "payload", part.Python, 100e6).Over(at(r, "payload", part.Executor, 100e6))
		}},
		{"calls/s, Executor.submit ÷ ProcessPoolExecutor.submit", true, 4, false, ratio("rate each futures", part.Futures, "rate each futures", part.Executor)},
		{"calls/s, Executor.map(chunksize=100) ÷ ProcessPoolExecutor's", true, 0.7, false, ratio("rate batch futures", part.Futures, "rate batch futures", part.Executor)},
		{"round trip p50, Executor ÷ ProcessPoolExecutor", false, 0.7, false, ratio("p50 noop futures", part.Futures, "p50 noop futures", part.Executor)},
		{"100 MB of numpy as an argument, Executor ÷ ProcessPoolExecutor", false, 0.5, false, ratio("array futures", part.Futures, "array futures", part.Executor)},
		{"1 to 64 clients, each 64 deep: least throughput ÷ most", true, 0.9, false, evenness},
		{"exec → ready, default configuration, ms", false, 250, false, figure("ready")},
	}
}

// at returns a curve's rounds at x.
func at(r *result.Results, curve, system string, x float64) stats.Sample {
	for _, p := range r.Curves[curve][system] {
		if p.X == x {
			return p.Y
		}
	}
	return nil
}

// evenness is the least ÷ the most of the throughputs of a round with up to 64 clients.
func evenness(r *result.Results) stats.Sample {
	var all stats.Sample
	for round := 0; ; round++ {
		var rates stats.Sample
		for _, p := range r.Curves["clients"][part.Go] {
			if p.X <= 64 && round < len(p.Y) {
				rates = append(rates, p.Y[round])
			}
		}
		if len(rates) == 0 {
			return all
		}
		all = append(all, rates.Min()/rates.Max())
	}
}
