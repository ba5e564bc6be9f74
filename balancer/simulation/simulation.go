// Package simulation compares strategies of assigning tasks to workers, on a virtual
// clock. One is the product's: a central queue from which the Balancer of package
// balancer assigns each task to a free worker. The others bind a task to a worker
// when it arrives, as load balancers without a queue of their own do, or know in
// advance how long tasks take.
//
// It ignores the cost of a hand-over, and that tasks of one process may share a core.
// The same seed gives the same figures.
package simulation

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"cpulb/balancer"
)

// Strategy is a way to assign tasks to workers.
type Strategy string

// The strategies.
const (
	// Ours is the central queue with the real Balancer, first come, first served.
	Ours Strategy = "cpulb"
	// Windowed is the same with short tasks behind those that run, see windowed.go.
	Windowed Strategy = "cpulb, windows"
	// Random, RoundRobin, PowerOfTwo and ShortestQueue choose a worker at arrival:
	// any; the next; the one of two at random, drawn with replacement, with fewer
	// tasks (Mitzenmacher 2001); the one of all with fewest.
	Random        Strategy = "random"
	RoundRobin    Strategy = "round robin"
	PowerOfTwo    Strategy = "power of two"
	ShortestQueue Strategy = "shortest queue"
	// Clairvoyant is a central queue that knows how long each task will take and
	// runs the shortest first. It does not interrupt.
	Clairvoyant Strategy = "clairvoyant"
)

// Strategies lists them, ours first.
func Strategies() []Strategy {
	return []Strategy{Ours, Windowed, Random, RoundRobin, PowerOfTwo, ShortestQueue, Clairvoyant}
}

// Distribution is a distribution of service times, in seconds, with a mean of about
// 1.
type Distribution struct {
	Name string
	Draw func(*rand.Rand) float64
}

// Distributions returns those that are compared, from a light tail to heavy ones.
func Distributions() []Distribution {
	return []Distribution{
		{"exponential", func(r *rand.Rand) float64 { return r.ExpFloat64() }},
		{"lognormal, sigma 2", func(r *rand.Rand) float64 { return math.Exp(2*r.NormFloat64() - 2) }},
		{"Pareto, alpha 1.1, 1 to 10,000", pareto},
		{"bimodal, 1 in 100 is 1000 times as long", func(r *rand.Rand) float64 {
			if r.IntN(100) == 0 {
				return 1000 / 10.99
			}
			return 1 / 10.99
		}},
	}
}

// pareto is bounded, and scaled to a mean of 1.
func pareto(r *rand.Rand) float64 {
	const alpha, high = 1.1, 1e4
	x := math.Pow(1-r.Float64()*(1-math.Pow(high, -alpha)), -1/alpha)
	mean := alpha / (alpha - 1) * (1 - math.Pow(high, 1-alpha)) / (1 - math.Pow(high, -alpha))
	return x / mean
}

// Setting is one case of the comparison.
type Setting struct {
	Workers int
	// Load is the share of the workers' time that the tasks need; they arrive as a
	// Poisson process.
	Load    float64
	Service Distribution
	Tasks   int
	Seed    uint64
}

// Outcome summarises the bounded slowdowns: the time from a task's arrival to its
// end, divided by its service time. The least is 1.
type Outcome struct{ Mean, P99 float64 }

// job is one task.
type job struct {
	arrives, takes float64
	lease          balancer.Lease
}

// Run simulates one strategy.
func Run(s Strategy, x Setting) Outcome {
	sim := &simulation{rnd: rand.New(rand.NewPCG(x.Seed, 2)), workers: make([]worker, x.Workers), slowdowns: make([]float64, 0, x.Tasks)}
	jobs := draw(x)
	switch s {
	case Ours, Clairvoyant:
		sim.central(jobs, s == Clairvoyant)
	case Windowed:
		sim.windowed(jobs)
	default:
		sim.bound(jobs, s)
	}
	slices.Sort(sim.slowdowns)
	sum := 0.0
	for _, v := range sim.slowdowns {
		sum += v
	}
	n := len(sim.slowdowns)
	return Outcome{sum / float64(n), sim.slowdowns[n*99/100]}
}

// draw returns the same tasks for every strategy.
func draw(x Setting) []job {
	rnd := rand.New(rand.NewPCG(x.Seed, 1))
	jobs := make([]job, x.Tasks)
	at := 0.0
	for i := range jobs {
		at += rnd.ExpFloat64() / (x.Load * float64(x.Workers))
		jobs[i] = job{arrives: at, takes: x.Service.Draw(rnd)}
	}
	return jobs
}

// worker is what a strategy that binds at arrival knows about a worker.
type worker struct {
	free  float64 // when it will have nothing to do
	tasks int     // that it has
}

type simulation struct {
	rnd       *rand.Rand
	workers   []worker
	turn      int
	slowdowns []float64
	ends      ends
}

func (s *simulation) ended(j *job, at float64) {
	s.slowdowns = append(s.slowdowns, max(1, (at-j.arrives)/max(j.takes, shortest)))
}

// shortest is the least service time that counts: bounded slowdown (Feitelson 1998).
// Otherwise the very shortest tasks would decide the mean, which some distributions
// do not have.
const shortest = 0.01

// bound binds each task to a worker when it arrives.
func (s *simulation) bound(jobs []job, how Strategy) {
	for i := range jobs {
		j := &jobs[i]
		for len(s.ends) > 0 && s.ends[0].at <= j.arrives {
			s.workers[heap.Pop(&s.ends).(end).worker].tasks--
		}
		w := s.choose(how)
		at := max(s.workers[w].free, j.arrives) + j.takes
		s.workers[w].free = at
		s.workers[w].tasks++
		heap.Push(&s.ends, end{at: at, worker: w})
		s.ended(j, at)
	}
}

func (s *simulation) choose(how Strategy) int {
	n := len(s.workers)
	switch how {
	case RoundRobin:
		s.turn++
		return s.turn % n
	case PowerOfTwo:
		i, j := s.rnd.IntN(n), s.rnd.IntN(n)
		if s.workers[j].tasks < s.workers[i].tasks {
			return j
		}
		return i
	case ShortestQueue:
		least := s.rnd.IntN(n) // ties by chance
		for k := range n {
			if i := (least + k) % n; s.workers[i].tasks < s.workers[least].tasks {
				least = i
			}
		}
		return least
	}
	return s.rnd.IntN(n)
}

// central keeps tasks until a worker is free, which the Balancer chooses.
func (s *simulation) central(jobs []job, shortestFirst bool) {
	b := balancer.New(balancer.Options{})
	for range s.workers {
		b.Add(1)
	}
	base := time.Unix(0, 0)
	clock := func(t float64) time.Time { return base.Add(time.Duration(t * 1e6)) } // µs for s: a Duration is bounded
	waiting := &line{shortestFirst: shortestFirst}
	next := 0
	for next < len(jobs) || len(s.ends) > 0 {
		var now float64
		if next < len(jobs) && (len(s.ends) == 0 || jobs[next].arrives < s.ends[0].at) {
			now = jobs[next].arrives
			heap.Push(waiting, &jobs[next])
			next++
		} else {
			e := heap.Pop(&s.ends).(end)
			now = e.at
			b.Release(e.job.lease, clock(now))
			s.ended(e.job, now)
		}
		for waiting.Len() > 0 && b.Room() {
			j := heap.Pop(waiting).(*job)
			j.lease, _ = b.Acquire(clock(now), 0) // there is room
			heap.Push(&s.ends, end{at: now + j.takes, job: j})
		}
	}
}

// end is when a task is to end.
type end struct {
	at     float64
	worker int
	job    *job
}

// ends implements heap.Interface.
type ends []end

func (h ends) Len() int           { return len(h) }
func (h ends) Less(i, j int) bool { return h[i].at < h[j].at }
func (h ends) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *ends) Push(x any) { *h = append(*h, x.(end)) }

// Pop implements heap.Interface.
func (h *ends) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// line is the central queue; it implements heap.Interface.
type line struct {
	jobs          []*job
	shortestFirst bool
}

func (l *line) Len() int      { return len(l.jobs) }
func (l *line) Swap(i, j int) { l.jobs[i], l.jobs[j] = l.jobs[j], l.jobs[i] }

func (l *line) Less(i, j int) bool {
	if l.shortestFirst {
		return l.jobs[i].takes < l.jobs[j].takes
	}
	return l.jobs[i].arrives < l.jobs[j].arrives
}

// Push implements heap.Interface.
func (l *line) Push(x any) { l.jobs = append(l.jobs, x.(*job)) }

// Pop implements heap.Interface.
func (l *line) Pop() any {
	last := len(l.jobs) - 1
	j := l.jobs[last]
	l.jobs = l.jobs[:last]
	return j
}
