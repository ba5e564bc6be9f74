package canary

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// script is how an entry point behaves on one side.
type script struct {
	name   string
	fails  float64 // the probability that it fails
	median time.Duration
	spread float64 // of the logarithm of its time
	tail   float64 // the probability that it takes a hundred times as long
}

// service simulates attempts on both sides.
type service struct {
	random *rand.Rand
	share  float64     // of New
	mix    [2][]script // by Side, each as likely as the others
	test   *Test
}

// run observes attempts until New has had count.
func (s *service) run(count int) *service {
	for s.test.counts.Runs[New] < count {
		side := Old
		if s.random.Float64() < s.share {
			side = New
		}
		all := s.mix[side]
		b := all[s.random.IntN(len(all))]
		run := float64(b.median) * math.Exp(b.spread*s.random.NormFloat64())
		if s.random.Float64() < b.tail {
			run *= 100
		}
		s.test.Observe(side, b.name, s.random.Float64() < b.fails, time.Duration(run))
	}
	return s
}

func simulated(seed uint64, old, fresh []script) *service {
	return &service{random: rand.New(rand.NewPCG(seed, 20)), share: 0.2, mix: [2][]script{old, fresh}, test: NewTest(Options{})}
}

// everyday is a mix of three scripts, of which one fails a lot, one has heavy tails.
func everyday() []script {
	return []script{
		{name: "a.py:main", fails: 0.02, median: 2 * time.Millisecond, spread: 0.3},
		{name: "b.py:main", fails: 0.2, median: 50 * time.Millisecond, spread: 1},
		{name: "c.py:main", median: 300 * time.Millisecond, spread: 0.5, tail: 0.05},
	}
}

// slower returns all with times of factor times theirs.
func slower(all []script, factor float64) (changed []script) {
	for _, b := range all {
		b.median = time.Duration(float64(b.median) * factor)
		changed = append(changed, b)
	}
	return changed
}

// failing returns all with more failures.
func failing(all []script, more float64) (changed []script) {
	for _, b := range all {
		b.fails += more
		changed = append(changed, b)
	}
	return changed
}

// worse counts the canaries that are found worse, by test.
func worse(t *testing.T, canaries, attempts int, old, fresh []script) map[string]int {
	t.Helper()
	found := map[string]int{}
	for seed := range canaries {
		s := simulated(uint64(seed), old, fresh).run(attempts)
		if v := s.test.Last(); v.Decision == Worse {
			found[v.Test]++
		}
	}
	return found
}

func TestLikeExecutorsAreCalledWorseNoMoreThanAlpha(t *testing.T) {
	flat := []script{{name: "f.py:main", fails: 0.5, median: 200 * time.Microsecond, spread: 0.01}}
	coarse := []script{{name: "z.py:main", median: 10 * time.Millisecond, tail: 0.03}} // two times only
	long := []script{{name: "l.py:main", median: 10 * time.Second, spread: 0.5}}       // Slack is nothing to it
	for name, c := range map[string]struct {
		old, fresh []script
		canaries   int
	}{
		"the same":                {everyday(), everyday(), 200},
		"one that fails a lot":    {flat, flat, 2000},
		"a harmless 2 %":          {everyday(), slower(everyday(), 1.02), 200},
		"slower by the margin":    {long, slower(long, 1.25), 2000},
		"better":                  {failing(everyday(), 0.1), slower(everyday(), 0.5), 200},
		"times of a coarse clock": {coarse, coarse, 200},
	} {
		found := worse(t, c.canaries, 160, c.old, c.fresh)
		t.Logf("%s: %v of %d", name, found, c.canaries)
		// Half of alpha is each test's. It bounds the probability, so of 2,000 it is 10
		// and, by chance, three times its root more.
		mean := 0.005 * float64(c.canaries)
		for _, test := range []string{"failures", "run time"} {
			if bound := mean + 3*math.Sqrt(mean); float64(found[test]) > bound {
				t.Errorf("%s: %d of %d like executors were called worse by their %s, at most %.0f may be", name, found[test], c.canaries, test, bound)
			}
		}
	}
}

func TestWhatIsWorseIsFound(t *testing.T) {
	calm := []script{{name: "a.py:main", median: 10 * time.Millisecond, spread: 0.1}}
	wild := []script{{name: "a.py:main", median: 10 * time.Millisecond, spread: 0.5, tail: 0.02}}
	for name, c := range map[string]struct {
		old, fresh []script
		within     int // of New's attempts
		test       string
	}{
		"a fifth fails, none before":      {calm, failing(calm, 0.2), 80, "failures"},
		"a fifth more fails, of a mix":    {everyday(), failing(everyday(), 0.2), 320, "failures"},
		"all fail, none before":           {calm, failing(calm, 1), 10, "failures"},
		"half as slow again":              {calm, slower(calm, 1.5), 40, "run time"},
		"half as slow again, heavy tails": {wild, slower(wild, 1.5), 640, "run time"},
		"half as slow again, of a mix":    {everyday(), slower(everyday(), 1.5), 640, "run time"},
		"twice as slow, of a mix":         {everyday(), slower(everyday(), 2), 160, "run time"},
	} {
		const canaries = 100
		found := worse(t, canaries, c.within, c.old, c.fresh)
		t.Logf("%s: within %d: %v of %d", name, c.within, found, canaries)
		if found[c.test] < canaries*95/100 {
			t.Errorf("%s: %d of %d were found by their %s within %d attempts", name, found[c.test], canaries, c.test, c.within)
		}
	}
}

func TestAnOldOneThatFailsAsMuchIsNoReason(t *testing.T) {
	bad := []script{{name: "a.py:main", fails: 0.2, median: time.Millisecond}}
	if found := worse(t, 200, 320, bad, bad); found["failures"] > 4 {
		t.Errorf("%v of 200 were called worse", found)
	}
}

// In each entry point New is like Old, but New has more of the one that fails and is slow, as in
// E. H. Simpson's paradox.
func TestAMixThatDiffersIsNoDifference(t *testing.T) {
	good := script{name: "good.py:main", fails: 0.01, median: time.Millisecond, spread: 0.2}
	bad := script{name: "bad.py:main", fails: 0.5, median: time.Second, spread: 0.2}
	old, fresh := []script{good, good, good, good, bad}, []script{good, bad, bad, bad, bad}
	if found := worse(t, 200, 320, old, fresh); found["failures"]+found["run time"] > 6 {
		t.Errorf("%v of 200 were called worse", found)
	}
	// The same without strata is found every time: the simulation has the paradox in it.
	for _, mix := range [][]script{old, fresh} {
		for i := range mix {
			mix[i].name = "one"
		}
	}
	if found := worse(t, 50, 320, old, fresh); found["failures"]+found["run time"] != 50 {
		t.Errorf("without strata %v of 50 were called worse", found)
	}
}

func TestColdRunsDoNotCount(t *testing.T) {
	calm := script{name: "a.py:main", median: 10 * time.Millisecond, spread: 0.1}
	for cold, want := range map[int]Decision{-1: Worse, 20: Undecided} {
		s := simulated(1, []script{calm}, slower([]script{calm}, 50))
		s.test = NewTest(Options{Cold: cold})
		if v := s.run(20).test.Last(); v.Decision != want {
			t.Errorf("with Cold %d, 20 slow runs are %+v", cold, v)
		}
	}
}

func TestWordsNameTheTestAndBothSides(t *testing.T) {
	calm := []script{{name: "a.py:main", median: 10 * time.Millisecond, spread: 0.1}}
	for test, c := range map[string]struct {
		fresh []script
		words []string
	}{
		"failures": {failing(calm, 1), []string{"5 of 5 attempts of the new program failed (100 %)", "0 of ", "Fisher's exact test", "threshold 0.00125 in look 1", "a.py:main"}},
		"run time": {slower(calm, 3), []string{"more than 1.25 times", "100µs", "van Elteren's", "median 3", "against 1", "a.py:main"}},
	} {
		v := simulated(3, calm, c.fresh).run(40).test.Last()
		if v.Test != test || v.P > v.Threshold {
			t.Errorf("%+v, want one of %s", v, test)
		}
		for _, word := range c.words {
			if !strings.Contains(v.Words, word) {
				t.Errorf("%q is not in %q", word, v.Words)
			}
		}
	}
}

func TestAWorseOneStaysWorse(t *testing.T) {
	calm := []script{{name: "a.py:main", median: time.Millisecond}}
	s := simulated(1, calm, failing(calm, 1)).run(40)
	before := s.test.Verdict()
	s.mix[New] = calm
	if after := s.run(2000).test.Last(); before.Decision != Worse || after != before {
		t.Errorf("%+v, before %+v", after, before)
	}
}

func TestEntryPointsBeyondTheBoundAreLeftOutAndCounted(t *testing.T) {
	test := NewTest(Options{})
	for i := range Entries + 8 {
		test.Observe(Old, fmt.Sprint(i), false, 1)
		test.Observe(New, fmt.Sprint(i), true, 1)
	}
	if c := test.Counts(); c.Runs != [2]int{Entries, Entries} || c.Failures != [2]int{0, Entries} || c.LeftOut != [2]int{8, 8} {
		t.Errorf("%+v", c)
	}
}

// The parts of alpha sum to it, and the looks come at 5, 10, 20, 40, …
func TestLooksAreAtDoublesAndNoMoreThanAlphaIsSpent(t *testing.T) {
	test, spent, at := NewTest(Options{}), 0.0, []int{}
	for i := range 5000 {
		before := test.look
		test.Observe(New, "a.py:main", false, time.Millisecond)
		if test.look != before {
			at = append(at, i+1)
			spent += 1 / float64(test.look*(test.look+1))
		}
	}
	if fmt.Sprint(at) != "[5 10 20 40 80 160 320 640 1280 2560]" || spent > 1 {
		t.Errorf("looks at %v, %v of alpha spent", at, spent)
	}
}

// At low rates a canary ends after a handful of attempts.
func TestAFewThatAllFailAreWorseAtTheEnd(t *testing.T) {
	for _, c := range []struct {
		old, fresh, oldFails int
		test                 string
	}{
		{3, 3, 0, "all failed"},
		{5, 5, 0, "all failed"},
		{16, 4, 0, "failures"},
		{25, 6, 0, "failures"},
		{3, 2, 0, ""},   // too few
		{2, 3, 0, ""},   // of Old, too
		{20, 3, 16, ""}, // Old fails as well
	} {
		x := NewTest(Options{})
		for i := range c.old {
			x.Observe(Old, "a.py:main", i < c.oldFails, time.Millisecond)
		}
		for range c.fresh {
			x.Observe(New, "a.py:main", true, time.Millisecond)
		}
		if v := x.Last(); v.Test != c.test {
			t.Errorf("%d of %d failed, of the old one %d of %d: %q, want %q", c.fresh, c.fresh, c.oldFails, c.old, v.Test, c.test)
		}
	}
}

func TestAnEntryThatOldHasNotRunSaysNothing(t *testing.T) {
	x := NewTest(Options{})
	for range 10 {
		x.Observe(Old, "sound.py:main", false, time.Millisecond)
		x.Observe(New, "broken.py:main", true, time.Millisecond)
	}
	if v := x.Last(); v.Decision != Undecided {
		t.Errorf("%+v", v)
	}
}
