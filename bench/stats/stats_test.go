package stats_test

import (
	"math"
	"slices"
	"testing"

	"cpulb/bench/stats"
)

func TestAFigureIsTheMiddleOfItsRounds(t *testing.T) {
	t.Parallel()
	s := stats.Sample{9, 1, 5}
	if s.Median() != 5 || s.Min() != 1 || s.Max() != 9 {
		t.Errorf("median %g (%g to %g) of %v", s.Median(), s.Min(), s.Max(), s)
	}
	if even := (stats.Sample{1, 2, 3, 10}); even.Median() != 2.5 {
		t.Errorf("median %g of %v", even.Median(), even)
	}
	if !slices.Equal(s, stats.Sample{9, 1, 5}) {
		t.Errorf("the rounds have changed places: %v", s)
	}
}

func TestAFigureThatNobodyMeasuredIsNotANumber(t *testing.T) {
	t.Parallel()
	if m := stats.Sample(nil).Over(stats.Sample{1}).Median(); !math.IsNaN(m) {
		t.Errorf("median of nothing: %g", m)
	}
}

func TestARatioIsOfOneRound(t *testing.T) {
	t.Parallel()
	// The second round was ten times slower for both.
	ratio := stats.Sample{2, 20, 2}.Over(stats.Sample{1, 10, 1})
	if !slices.Equal(ratio, stats.Sample{2, 2, 2}) {
		t.Errorf("ratios %v", ratio)
	}
}

func TestPercentilesLieBetweenTheirNeighbours(t *testing.T) {
	t.Parallel()
	var s stats.Sample
	for i := range 101 {
		s = append(s, float64(i))
	}
	for _, p := range []float64{0, 1, 50, 99, 100} {
		if s.Percentile(p) != p {
			t.Errorf("percentile %g of 0 to 100: %g", p, s.Percentile(p))
		}
	}
	if got := (stats.Sample{0, 10}).Percentile(25); got != 2.5 {
		t.Errorf("a quarter of the way from 0 to 10: %g", got)
	}
}
