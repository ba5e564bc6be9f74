// Package canary decides whether an executor's new program is worse than its old one, from
// attempts that both have run side by side. It is arithmetic alone: no locks, clocks, I/O or
// goroutines, and the same observations give the same verdict.
//
// Two tests look at the observations when New has 5 of them, 10, 20, 40, and so on:
//
//   - failures: Fisher's exact test with one stratum for each entry point, one-sided (failures.go);
//   - run time: van Elteren's rank test with the same strata, one-sided, of New's times less a
//     margin: what is at most a quarter and 100 µs slower is not worse (times.go).
//
// Each gets half of Options.Alpha. Half of that is for the look at the end, when there may be
// few observations; of the other half look i may spend 1/(i(i+1)). As these sum to one,
// a New that is not worse is called worse with a probability of at most Alpha, however often
// it is looked at (Bonferroni's inequality).
//
// Few observations prove little: at a threshold of 0.0025 it takes 5 failures of 5 and 8
// successes of Old. So there is a rule for the end beside the tests: a New of which every attempt has
// failed, at least AllFailed, while none of as many of Old's did, is worse. Where both fail with the same
// probability, that happens with one of at most 1/64.
//
// That holds if, in each entry point, an attempt has the same chance to be observed on either
// side. It is the caller's part: observe attempts that began since both sides run, of both
// sides. One that observes what Old began before compares New's short attempts, which end
// first, with all of Old's. Strata make up for scripts that are more frequent on one side;
// inputs that differ between the sides within one entry point are not made up for.
//
// A Test keeps Entries entry points, the first that it sees, and leaves the others out. One
// stratum for the rest would mix scripts, and a mix that differs between the sides looks
// like a difference between the programs. Counts says how many observations that costs.
//
// Observe takes O(1), amortised, and a look less than a millisecond at most (BenchmarkLook).
package canary

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Side is which program has run an attempt.
type Side int

// The sides.
const (
	Old Side = iota
	New
)

// Options are a Test's figures; those that are 0 have their default.
type Options struct {
	// Alpha bounds the probability that a New that is not worse is called worse; 0.01.
	Alpha float64
	// Slower and Slack are the margin: New may take Slower times as long as Old, and Slack on
	// top; 1.25 and 100 µs. A negative Slack is none.
	Slower float64
	Slack  time.Duration
	// Cold is how many of New's first times of each entry point are left out, as a new
	// process loads the script then and has cold caches; 3, and a negative one is none. Each of New's processes is
	// cold once, so give three for each of them. Failures of cold runs count.
	Cold int
}

// What bounds a Test: 32 entry points with 512 times of each side are 256 KiB.
const (
	Entries   = 32
	samples   = 512
	firstLook = 5
)

// AllFailed is how many attempts have to have failed, without a success, to be worse at the end.
const AllFailed = 3

// Test is one canary's.
type Test struct {
	options Options
	entries map[string]*entry
	order   []*entry // of entries, as they came: sums of floats are the same every time
	random  *rand.Rand
	counts  Counts
	look    int // how often it has looked
	due     int // New's attempts at which it looks next
	verdict Verdict
}

// entry is one stratum.
type entry struct {
	name  string
	runs  [2]int // by Side
	fails [2]int
	times [2]reservoir
	cold  int // of New, yet to be left out
}

// Counts are what a Test has seen, by Side.
type Counts struct {
	Runs, Failures [2]int
	// LeftOut are observations of entry points beyond Entries; Runs and Failures are without them.
	LeftOut [2]int
	// Looks is how often the tests were done.
	Looks int
}

// NewTest returns a Test that has seen nothing.
func NewTest(o Options) *Test {
	if o.Alpha <= 0 {
		o.Alpha = 0.01
	}
	if o.Slower <= 0 {
		o.Slower = 1.25
	}
	if o.Slack == 0 {
		o.Slack = 100 * time.Microsecond
	}
	if o.Cold == 0 {
		o.Cold = 3
	}
	o.Slack, o.Cold = max(o.Slack, 0), max(o.Cold, 0)
	// The seed is fixed: which times are kept must not depend on them, and that is all.
	return &Test{options: o, entries: map[string]*entry{}, random: rand.New(rand.NewPCG(1, 2)), due: firstLook}
}

// Observe adds one attempt that has ended: which side ran it, its entry point (script and
// function), whether it failed, and its run time. Cancelled attempts, and those that ended
// because their worker was stopped, say nothing of either program and don't belong here.
func (t *Test) Observe(side Side, name string, failed bool, run time.Duration) {
	e := t.entry(name)
	if e == nil {
		t.counts.LeftOut[side]++
		return
	}
	e.runs[side]++
	t.counts.Runs[side]++
	if failed { // its time is left out: failing fast is not being fast
		e.fails[side]++
		t.counts.Failures[side]++
	} else if side == New && e.cold > 0 {
		e.cold--
	} else {
		e.times[side].add(int64(run), t.random)
	}
	if t.counts.Runs[New] >= t.due {
		t.due *= 2
		t.lookNow()
	}
}

// entry returns the stratum of name; nil: there are too many.
func (t *Test) entry(name string) *entry {
	e := t.entries[name]
	if e == nil && len(t.order) < Entries {
		e = &entry{name: name, cold: t.options.Cold}
		t.entries[name] = e
		t.order = append(t.order, e)
	}
	return e
}

// Verdict returns what the looks so far have found. It does not look itself. Worse stays.
func (t *Test) Verdict() Verdict { return t.verdict }

// Last looks at everything that has come, and returns the verdict. It is for the end of the
// canary's time, and to be called once: its part of Alpha is kept for it.
func (t *Test) Last() Verdict {
	t.lookAt(t.options.Alpha / 4)
	if t.verdict.Decision != Worse && t.allFailed() {
		t.verdict = t.worseAllFailed()
	}
	return t.verdict
}

// allFailed reports whether every attempt of New has failed, and none of Old, in the entry
// points that both have run.
func (t *Test) allFailed() bool {
	var runs, fails [2]int
	for _, e := range t.order {
		if e.runs[Old] > 0 && e.runs[New] > 0 {
			for side := range runs {
				runs[side] += e.runs[side]
				fails[side] += e.fails[side]
			}
		}
	}
	return fails[New] >= AllFailed && fails[New] == runs[New] && fails[Old] == 0 && runs[Old] >= AllFailed
}

// Counts returns what was seen.
func (t *Test) Counts() Counts {
	c := t.counts
	c.Looks = t.look
	return c
}

// lookNow is a look on the way.
func (t *Test) lookNow() {
	n := float64(t.look + 1)
	t.lookAt(t.options.Alpha / 4 / (n * (n + 1)))
}

// lookAt does both tests at a threshold, unless one has decided before.
func (t *Test) lookAt(threshold float64) {
	if t.verdict.Decision == Worse {
		return
	}
	t.look++
	if p, exact := failuresP(t.order); p <= threshold {
		t.verdict = t.worseFailures(p, threshold, exact)
	} else if p := timesP(t.order, t.options); p <= threshold {
		t.verdict = t.worseTimes(p, threshold)
	}
}

// Decision is what a Test has found.
type Decision int

// The decisions. There is no Better: to be not worse is all that a canary has to be, and
// that is what Undecided at its end means.
const (
	Undecided Decision = iota
	Worse
)

// Verdict is a Decision with its reasons. The others are zero while it is Undecided.
type Verdict struct {
	Decision Decision
	// Test is "failures", "run time" or "all failed".
	Test string
	// P is the p-value that the test found, Threshold the one that it had to reach in its look;
	// 0 where Test is "all failed".
	P, Threshold float64
	// Words says all that to people, with both sides' figures.
	Words string
}

func (t *Test) worseFailures(p, threshold float64, exact bool) Verdict {
	sign := "="
	if !exact {
		sign = "≤"
	}
	c := &t.counts
	words := fmt.Sprintf("more failures: %d of %d attempts of the new program failed (%s), %d of %d of the old one (%s); "+
		"Fisher's exact test by entry point, p %s %.2g, threshold %.3g in look %d",
		c.Failures[New], c.Runs[New], percent(c.Failures[New], c.Runs[New]), c.Failures[Old], c.Runs[Old], percent(c.Failures[Old], c.Runs[Old]),
		sign, p, threshold, t.look)
	if e := mostFailures(t.order); e != nil {
		words += fmt.Sprintf("; most in %s: %d of %d against %d of %d", e.name, e.fails[New], e.runs[New], e.fails[Old], e.runs[Old])
	}
	return Verdict{Decision: Worse, Test: "failures", P: p, Threshold: threshold, Words: words}
}

func (t *Test) worseAllFailed() Verdict {
	c := &t.counts
	return Verdict{Decision: Worse, Test: "all failed", Words: fmt.Sprintf("every attempt of the new program failed, %d of %d, and %d of %d of the old one",
		c.Failures[New], c.Runs[New], c.Failures[Old], c.Runs[Old])}
}

func (t *Test) worseTimes(p, threshold float64) Verdict {
	words := fmt.Sprintf("slower: the run times of the new program are more than %g times those of the old one and %v; "+
		"van Elteren's rank test by entry point, p = %.2g, threshold %.3g in look %d", t.options.Slower, t.options.Slack, p, threshold, t.look)
	if e := mostSlower(t.order, t.options); e != nil {
		n, o := &e.times[New], &e.times[Old]
		words += fmt.Sprintf("; most in %s: median %v of %d attempts against %v of %d", e.name, n.median(), n.seen, o.median(), o.seen)
	}
	return Verdict{Decision: Worse, Test: "run time", P: p, Threshold: threshold, Words: words}
}

func percent(part, all int) string {
	return fmt.Sprintf("%.3g %%", 100*float64(part)/float64(max(all, 1)))
}
