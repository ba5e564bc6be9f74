// Package stats reduces what was measured several times to a figure with its spread.
// It keeps every value, so that figures of one round can be compared with each other:
// a ratio is the median of the rounds' ratios, not the ratio of two medians, and what
// slows a whole round down does not show in it.
package stats

import (
	"math"
	"slices"
)

// Sample is one figure, measured once a round.
type Sample []float64

// Median returns the middle value, or NaN for none.
func (s Sample) Median() float64 { return s.Percentile(50) }

// Min returns the least value, or NaN for none.
func (s Sample) Min() float64 { return s.Percentile(0) }

// Max returns the greatest value, or NaN for none.
func (s Sample) Max() float64 { return s.Percentile(100) }

// Percentile returns the value that p percent of the others are below. Between two
// values it takes their mean by distance.
func (s Sample) Percentile(p float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	at := p / 100 * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// Over returns s ÷ t, round by round. A round that one of them lacks is left out.
func (s Sample) Over(t Sample) Sample {
	return s.with(t, func(a, b float64) float64 { return a / b })
}

// Plus returns s + t, round by round.
func (s Sample) Plus(t Sample) Sample {
	return s.with(t, func(a, b float64) float64 { return a + b })
}

// Times returns every value of s multiplied.
func (s Sample) Times(factor float64) Sample {
	var all Sample
	for _, v := range s {
		all = append(all, v*factor)
	}
	return all
}

func (s Sample) with(t Sample, f func(a, b float64) float64) Sample {
	var all Sample
	for i := range min(len(s), len(t)) {
		all = append(all, f(s[i], t[i]))
	}
	return all
}
