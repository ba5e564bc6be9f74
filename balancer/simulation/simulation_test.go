package simulation_test

import (
	"os"
	"strconv"
	"testing"

	"cpulb/balancer/simulation"
)

// `make bench-balancing` runs it with more tasks.
func TestOursIsNeverAboveRoundRobinOrPowerOfTwo(t *testing.T) {
	tasks := 3_000
	if text := os.Getenv("CPULB_SIMULATED_TASKS"); text != "" {
		var err error
		if tasks, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	workers := []int{2, 16, 128, 1024}
	if testing.Short() {
		workers = workers[:2]
	}
	for _, service := range simulation.Distributions() {
		for _, workers := range workers {
			for _, load := range []float64{0.5, 0.8, 0.95} {
				x := simulation.Setting{Workers: workers, Load: load, Service: service, Tasks: tasks}
				others := []simulation.Strategy{simulation.RoundRobin, simulation.PowerOfTwo}
				all := []simulation.Outcome{average(others[0], x), average(others[1], x)}
				for _, mine := range []simulation.Strategy{simulation.Ours, simulation.Windowed} {
					ours := average(mine, x)
					for i, theirs := range all {
						if ours.Mean > theirs.Mean || ours.P99 > theirs.P99 {
							t.Errorf("%s, %d workers, load %g: %s %+v, %s %+v", service.Name, workers, load, mine, ours, others[i], theirs)
						}
					}
				}
			}
		}
	}
}

// average is of several runs: with heavy tails one says little.
func average(s simulation.Strategy, x simulation.Setting) (sum simulation.Outcome) {
	const runs = 8
	for seed := range uint64(runs) {
		x.Seed = seed
		o := simulation.Run(s, x)
		sum.Mean += o.Mean / runs
		sum.P99 += o.P99 / runs
	}
	return sum
}

func TestTheSameSeedGivesTheSameFigures(t *testing.T) {
	x := simulation.Setting{Workers: 4, Load: 0.8, Service: simulation.Distributions()[1], Tasks: 5_000, Seed: 3}
	for _, s := range simulation.Strategies() {
		if a, b := simulation.Run(s, x), simulation.Run(s, x); a != b || a.Mean < 1 || a.P99 < a.Mean && a.P99 < 1 {
			t.Errorf("%s: %+v and %+v", s, a, b)
		}
	}
}
