package canary

import "math"

// workBound is up to how many multiplications the exact distribution is worked out.
const workBound = 50_000

// table is an entry point's 2×2 table: of all attempts, of which fails failed, fresh were
// New's, with hits failures.
type table struct{ all, fails, fresh, hits int }

func tableOf(e *entry) table {
	return table{all: e.runs[Old] + e.runs[New], fails: e.fails[Old] + e.fails[New], fresh: e.runs[New], hits: e.fails[New]}
}

// lowest and highest are what hits can be, given the other three.
func (t table) lowest() int  { return max(0, t.fails-(t.all-t.fresh)) }
func (t table) highest() int { return min(t.fresh, t.fails) }

// expected is hits' mean where failures have nothing to do with the side.
func (t table) expected() float64 { return float64(t.fails) * float64(t.fresh) / float64(t.all) }

// failuresP returns the one-sided p-value of New's failures: the probability that as many
// or more of each entry point's failures fall on New, if they fall on attempts of that entry
// point whatever their side. Given the tables' margins, New's failures in one are
// hypergeometric then, and the sum over all is the test's statistic. With one table it is
// Fisher's exact test (R. A. Fisher, The Design of Experiments, 1935, chapter 2), with many
// the exact form of Cochran's, Mantel's and Haenszel's (M. W. Birch, The Detection of
// Partial Association, I: The 2×2 Case, J. R. Stat. Soc. B 26, 1964; A. Agresti,
// Categorical Data Analysis). Nothing is assumed of the entry points' failure rates, and no sample is too
// small for it.
//
// Where the exact distribution is too much work, which takes many failures, p is an upper
// bound of it instead and exact is false: the test stays within its alpha.
func failuresP(entries []*entry) (p float64, exact bool) {
	var tables []table
	work, width, hits := 0, 1, 0
	for _, e := range entries {
		t := tableOf(e)
		span := t.highest() - t.lowest() + 1
		if span <= 1 {
			continue // it says nothing: one side only, no failures, or failures only
		}
		tables = append(tables, t)
		work += span * (width + 4)
		width += span - 1
		hits += t.hits - t.lowest()
	}
	if work > workBound {
		return boundedP(tables), false
	}
	sum := []float64{1} // of hits above lowest, the probability of each
	for _, t := range tables {
		sum = convolved(sum, hypergeometric(t))
	}
	for _, each := range sum[min(hits, len(sum)):] {
		p += each
	}
	return min(p, 1), true
}

// hypergeometric returns the probabilities of t.hits from lowest to highest. It goes both
// ways from the likeliest, so that nothing that matters underflows.
func hypergeometric(t table) []float64 {
	low, high := t.lowest(), t.highest()
	mode := min(max((t.fresh+1)*(t.fails+1)/(t.all+2), low), high)
	p := make([]float64, high-low+1)
	p[mode-low] = 1
	ratio := func(x int) float64 { // of x+1's probability to x's
		return float64(t.fails-x) * float64(t.fresh-x) / (float64(x+1) * float64(t.all-t.fails-t.fresh+x+1))
	}
	total := 1.0
	for x := mode; x < high; x++ {
		p[x+1-low] = p[x-low] * ratio(x)
		total += p[x+1-low]
	}
	for x := mode - 1; x >= low; x-- {
		p[x-low] = p[x+1-low] / ratio(x)
		total += p[x-low]
	}
	for i := range p {
		p[i] /= total
	}
	return p
}

// convolved is the distribution of the sum of two independent numbers.
func convolved(a, b []float64) []float64 {
	sum := make([]float64, len(a)+len(b)-1)
	for i, x := range a {
		for j, y := range b {
			sum[i+j] += x * y
		}
	}
	return sum
}

// boundedP returns Chernoff's bound of the p-value. What a hypergeometric number has for a
// moment generating function is at most what the binomial one has that draws with replacement (W.
// Hoeffding, Probability Inequalities for Sums of Bounded Random Variables, J. Am. Stat.
// Assoc. 58, 1963, theorem 4), and it is the same number whether New's attempts are drawn
// and failures counted or the other way round, so the narrower of the two holds.
func boundedP(tables []table) float64 {
	hits, expected := 0.0, 0.0
	for _, t := range tables {
		hits += float64(t.hits)
		expected += t.expected()
	}
	if hits <= expected {
		return 1
	}
	low, high := 0.0, 50.0 // any λ gives a bound, so it need not be the best one
	for range 40 {
		lambda := (low + high) / 2
		if _, slope := cumulants(tables, lambda); slope < hits {
			low = lambda
		} else {
			high = lambda
		}
	}
	value, _ := cumulants(tables, low)
	return min(math.Exp(value-low*hits), 1)
}

// cumulants returns the logarithm of the sum's generating function at lambda, and its slope.
func cumulants(tables []table, lambda float64) (value, slope float64) {
	up := math.Exp(lambda)
	for _, t := range tables {
		draws, chance := float64(t.fresh), float64(t.fails)/float64(t.all)
		if t.fails < t.fresh {
			draws, chance = float64(t.fails), float64(t.fresh)/float64(t.all)
		}
		value += draws * math.Log1p(chance*(up-1))
		slope += draws * chance * up / (1 + chance*(up-1))
	}
	return value, slope
}

// mostFailures returns the entry point that has the most failures of New beyond what is expected.
func mostFailures(entries []*entry) (most *entry) {
	best := 0.0
	for _, e := range entries {
		t := tableOf(e)
		if beyond := float64(t.hits) - t.expected(); t.all > 0 && beyond > best {
			best, most = beyond, e
		}
	}
	return most
}
