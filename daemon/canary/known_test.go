package canary

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// filled returns an entry with these attempts and failures of each side.
func filled(oldRuns, oldFails, newRuns, newFails int) *entry {
	return &entry{runs: [2]int{Old: oldRuns, New: newRuns}, fails: [2]int{Old: oldFails, New: newFails}}
}

func near(got, want, by float64) bool { return math.Abs(got-want) <= by }

func TestFailuresHaveTheTextbooksValues(t *testing.T) {
	for name, c := range map[string]struct {
		entries []*entry
		want    float64
	}{
		// R. A. Fisher, The Design of Experiments: of 4 cups with the milk first the lady finds 3, or all.
		"the lady tasting tea, 3 of 4": {[]*entry{filled(4, 1, 4, 3)}, 17.0 / 70},
		"the lady tasting tea, 4 of 4": {[]*entry{filled(4, 0, 4, 4)}, 1.0 / 70},
		// Fisher, Statistical Methods for Research Workers, §21.02: convictions of twins of criminals,
		// 10 of 13 against 2 of 17: 6,653 of 14,307,150 and so on, 1 in 2,150.
		"twins of criminals": {[]*entry{filled(17, 2, 13, 10)}, 619.0 / 1330665},
		// A. Agresti, Categorical Data Analysis, 1990, p. 231: penicillin in rabbits, in five strata of doses;
		// R's mantelhaen.test(exact = TRUE) has 0.03994 for both sides.
		"rabbits": {[]*entry{filled(5, 0, 6, 0), filled(6, 0, 6, 3), filled(6, 2, 6, 6), filled(6, 6, 6, 5), filled(5, 5, 2, 2)}, 0.01997},
	} {
		if got, exact := failuresP(c.entries); !exact || !near(got, c.want, 1e-5) {
			t.Errorf("%s: p = %v (exact: %v), want %v", name, got, exact, c.want)
		}
	}
}

// M. Hollander, D. A. Wolfe, Nonparametric Statistical Methods, 1973, p. 69: permeability of
// membranes at term and before; U = 35 of 50, and p = 0.1223 by the normal approximation with its correction (R's
// wilcox.test has it so; 0.1272 is exact).
func TestRunTimesHaveTheTextbooksValue(t *testing.T) {
	e := &entry{}
	for side, all := range map[Side][]float64{
		New: {0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46},
		Old: {1.15, 0.88, 0.90, 0.74, 1.21},
	} {
		for _, x := range all {
			e.times[side].add(int64(x*1000), nil)
		}
	}
	none := Options{Slower: 1}
	if u := longer(e, none); u != 35 {
		t.Errorf("U = %v, want 35", u)
	}
	if p := timesP([]*entry{e}, none); !near(p, 0.1223, 1e-4) {
		t.Errorf("p = %v, want 0.1223", p)
	}
}

// With strata of one size each, van Elteren's statistic is the mean of Mann's and Whitney's;
// with such that say nothing it is the others'.
func TestStrataAddUp(t *testing.T) {
	e, empty := &entry{}, &entry{}
	for i := range 10 {
		e.times[Old].add(int64(2*i), nil)
		e.times[New].add(int64(2*i+5), nil)
		empty.times[New].add(int64(i), nil)
	}
	none := Options{Slower: 1}
	z := func(p float64) float64 { return math.Sqrt2 * math.Erfcinv(2*p) }
	u, sd := longer(e, none)-50, math.Sqrt(10*10*21/12.0)
	for count := 1; count <= 4; count++ {
		entries := []*entry{empty}
		for range count {
			entries = append(entries, e)
		}
		want := (float64(count)*u - 0.5) / (math.Sqrt(float64(count)) * sd)
		if got := z(timesP(entries, none)); !near(got, want, 1e-6) {
			t.Errorf("%d strata: z = %v, want %v", count, got, want)
		}
	}
}

// The bound is never below the exact value, and not useless.
func TestTheBoundIsAboveTheExactValue(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var entries []*entry
		var tables []table
		for range 1 + random.IntN(4) {
			chance := random.Float64() / 2
			draw := func(runs int, chance float64) (fails int) {
				for range runs {
					if random.Float64() < chance {
						fails++
					}
				}
				return fails
			}
			o, n := 1+random.IntN(200), 1+random.IntN(100)
			e := filled(o, draw(o, chance), n, draw(n, min(1, chance*1.5)))
			entries, tables = append(entries, e), append(tables, tableOf(e))
		}
		p, exact := failuresP(entries)
		bound := boundedP(tables)
		if !exact || bound < p*(1-1e-9) || p < 1e-3 && bound > math.Cbrt(p) {
			t.Fatalf("the bound is %v, exactly (%v) it is %v", bound, exact, p)
		}
	}
}

// Many failures take the bound, which still finds what is worse.
func TestManyFailuresAreWithinTheBoundOnWork(t *testing.T) {
	p, exact := failuresP([]*entry{filled(900_000, 180_000, 100_000, 25_000), filled(900_000, 0, 100_000, 0)})
	if exact || p > 1e-10 {
		t.Errorf("p = %v, exact: %v", p, exact)
	}
	if p, exact = failuresP([]*entry{filled(900_000, 180_000, 100_000, 20_000)}); exact || p != 1 {
		t.Errorf("like rates: p = %v, exact: %v", p, exact)
	}
}

// A reservoir's times are from all of the time, not from its beginning or end.
func TestAReservoirHasAllOfTheTime(t *testing.T) {
	random, r, sum := rand.New(rand.NewPCG(1, 2)), reservoir{}, 0.0
	for i := range 100_000 {
		r.add(int64(i), random)
	}
	for i, x := range r.sorted {
		if sum += float64(x); i > 0 && x < r.sorted[i-1] {
			t.Fatal("it is out of order")
		}
	}
	// The mean's deviation is 100,000/√12/√512, some 1,276.
	if len(r.sorted) != samples || !near(sum/samples, 50_000, 4*1276) {
		t.Errorf("%d times with a mean of %v", len(r.sorted), sum/samples)
	}
}

func full(fails float64) *Test {
	t, random := NewTest(Options{}), rand.New(rand.NewPCG(1, 2))
	for i := range Entries * samples * 11 {
		side := Old
		if i%11 == 0 {
			side = New
		}
		t.Observe(side, string(rune('a'+i%Entries)), random.Float64() < fails, time.Duration(1e6+random.IntN(1e6)))
	}
	return t
}

func BenchmarkObserve(b *testing.B) {
	t := full(0.01)
	random := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		t.Observe(Old, "a", false, time.Duration(random.IntN(1e6)))
	}
}

// BenchmarkLook is the longest look: full reservoirs, and failures for the exact
// distribution, or for its bound.
func BenchmarkLook(b *testing.B) {
	for name, fails := range map[string]float64{"exact": 0.001, "bound": 0.2} {
		b.Run(name, func(b *testing.B) {
			t := full(fails)
			for b.Loop() {
				t.verdict = Verdict{}
				t.lookNow()
			}
			_, exact := failuresP(t.order)
			if exact != (name == "exact") {
				b.Errorf("exact: %v", exact)
			}
		})
	}
}
