package report_test

import (
	"math"
	"os"
	"strings"
	"testing"

	"cpulb/bench/part"
	"cpulb/bench/report"
	"cpulb/bench/result"
)

func TestThePageIsWhatThisProgramWritesOfItsResults(t *testing.T) {
	t.Parallel()
	r, err := result.Load("../../docs/benchmarks/results.json")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	if report.Page(r) != string(page) {
		t.Error("docs/benchmarks.md is not of docs/benchmarks/results.json: `go run ./bench -again` writes it")
	}
}

// row returns the line of the table of targets that begins so.
func row(t *testing.T, r *result.Results, figure string) string {
	t.Helper()
	for line := range strings.Lines(report.Targets(r)) {
		if strings.HasPrefix(line, "| "+figure) {
			return line
		}
	}
	t.Fatalf("no target %q in\n%s", figure, report.Targets(r))
	return ""
}

func TestATargetIsMetByTheMedianOfTheRoundsRatios(t *testing.T) {
	t.Parallel()
	r := result.New()
	for _, round := range []struct{ ours, theirs float64 }{{70, 10}, {700, 100}, {10, 10}} {
		r.Add("rate each", part.Go, round.ours)
		r.Add("rate each", part.Executor, round.theirs)
	}
	const figure = "no-ops/s, Go client"
	if got := row(t, r, figure); !strings.Contains(got, "| ≥ 7 | 7.00 (1.00–7.00) | met |") {
		t.Error(got)
	}
	r.Add("rate each", part.Go, 1)
	r.Add("rate each", part.Executor, 1)
	if got := row(t, r, figure); !strings.Contains(got, "| **not met** |") {
		t.Error(got)
	}
}

func TestASteadyTargetIsMetInTheWorstRound(t *testing.T) {
	t.Parallel()
	r := result.New()
	for _, beside := range []float64{1, 1, 1.2} {
		r.Add("p99 beside 0 long", part.Go, 1)
		r.Add("p99 beside 2 long", part.Go, beside)
	}
	if got := row(t, r, "p99 of 1 ms tasks"); !strings.Contains(got, "| **not met** |") {
		t.Error(got)
	}
}

func TestWhatWasNotMeasuredIsNotMet(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(report.Targets(result.New())) {
		if strings.Contains(line, " met ") {
			t.Error(line)
		}
	}
}

func TestClientsAreAsEvenAsTheirWorstThroughput(t *testing.T) {
	t.Parallel()
	r := result.New()
	for clients, rate := range map[float64]float64{1: 100, 2: 80, 64: 90, 128: 1} {
		r.Plot("clients", part.Go, clients, rate)
	}
	if got := row(t, r, "1 to 64 clients"); !strings.Contains(got, "| 0.80 |") {
		t.Error(got)
	}
}

func TestThePageSaysWhoIsBetterAndWhoIsMissing(t *testing.T) {
	t.Parallel()
	r := result.New()
	r.Add("p50 noop", part.Go, 100)
	r.Add("p50 noop", part.Python, math.NaN())
	r.Add("p50 noop", part.UWSGI, 40)
	r.Add("p50 noop", part.Celery, 2000)
	r.Lacks(part.Dask, "not installed: python3-distributed")
	page := report.Page(r)
	for _, want := range []string{"Round trip, p50: uWSGI 40.0; cpulb 100.", "- dask.distributed: not installed: python3-distributed", "| Celery with Redis | 2,000 | – |"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}
