package canary

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// reservoir is a sample of all times of one side of an entry point, in order of length.
// Each that came is in it with the same probability (J. S. Vitter, Random Sampling with a
// Reservoir, ACM Trans. Math. Softw. 11, 1985, algorithm R), so both sides' samples are of the
// same hours although one side has more attempts.
type reservoir struct {
	sorted []int64 // nanoseconds
	seen   int
}

func (r *reservoir) add(ns int64, random *rand.Rand) {
	r.seen++
	if r.seen > samples {
		out := random.IntN(r.seen)
		if out >= samples {
			return
		}
		r.sorted = slices.Delete(r.sorted, out, out+1)
	}
	i, _ := slices.BinarySearch(r.sorted, ns)
	r.sorted = slices.Insert(r.sorted, i, ns)
}

func (r *reservoir) median() time.Duration {
	if len(r.sorted) == 0 {
		return 0
	}
	return time.Duration(r.sorted[len(r.sorted)/2]).Round(time.Microsecond)
}

// timesP returns the one-sided p-value of New's times less the margin against Old's: Mann's
// and Whitney's count of the pairs in which New's is the longer, for each entry point by
// itself, summed with the weights that P. van Elteren found best (On the Combination of
// Independent Two-Sample Tests of Wilcoxon, Bull. Inst. Int. Stat. 37, 1960; E. L. Lehmann,
// Nonparametrics, 1975, chapter 3.3). Ranks don't mind how the times are distributed, nor
// that one of them is an hour. The hypothesis is that New's are at most Slower times Old's
// and Slack, so that a difference that harms nobody is not found, however many have seen it.
//
// p is the normal approximation with a correction for continuity. The count has a
// symmetric distribution with lighter tails than the normal one has, so p is too large where it is
// small. Of a pair of like times Old's counts as the longer: that errs on New's side, too, and
// a coarse clock can't skew the distribution.
func timesP(entries []*entry, o Options) float64 {
	var statistic, variance, correction float64
	for _, e := range entries {
		n, m := float64(len(e.times[New].sorted)), float64(len(e.times[Old].sorted))
		if n == 0 || m == 0 {
			continue
		}
		weight := 1 / (n + m + 1)
		statistic += weight * (longer(e, o) - n*m/2)
		variance += weight * weight * n * m * (n + m + 1) / 12
		correction = max(correction, weight/2)
	}
	if variance == 0 {
		return 1
	}
	return math.Erfc((statistic-correction)/math.Sqrt(2*variance)) / 2
}

// longer counts the pairs of an entry point's times in which New's, less the margin, is the
// longer one.
func longer(e *entry, o Options) float64 {
	old, below, pairs := e.times[Old].sorted, 0, 0
	for _, ns := range e.times[New].sorted {
		least := float64(ns-int64(o.Slack)) / o.Slower
		for below < len(old) && float64(old[below]) < least {
			below++
		}
		pairs += below
	}
	return float64(pairs)
}

// mostSlower returns the entry point that is the most of timesP's statistic.
func mostSlower(entries []*entry, o Options) (most *entry) {
	best := 0.0
	for _, e := range entries {
		n, m := float64(len(e.times[New].sorted)), float64(len(e.times[Old].sorted))
		if part := (longer(e, o) - n*m/2) / (n + m + 1); part > best {
			best, most = part, e
		}
	}
	return most
}
