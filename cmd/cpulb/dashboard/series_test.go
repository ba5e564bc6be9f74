package dashboard

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
)

// metricsText is what a daemon says that has ended so many tasks, of which some failed, each
// after a wait of about a second.
func metricsText(submitted, completed, failed int) string {
	n := completed + failed
	return strings.Join([]string{
		"# HELP cpulb_tasks_submitted_total Tasks.", "# TYPE cpulb_tasks_submitted_total counter", fmt.Sprint("cpulb_tasks_submitted_total ", submitted),
		fmt.Sprintf(`cpulb_tasks_ended_total{pool="cpu",status="completed"} %d`, completed),
		fmt.Sprintf(`cpulb_tasks_ended_total{pool="io",status="failed"} %d`, failed),
		`cpulb_task_wait_seconds_bucket{pool="cpu",le="0.5"} 0`,
		fmt.Sprintf(`cpulb_task_wait_seconds_bucket{pool="cpu",le="1.5"} %d`, n),
		fmt.Sprintf(`cpulb_task_wait_seconds_bucket{pool="cpu",le="+Inf"} %d`, n),
		"go_goroutines 12", "broken", "cpulb_tasks_submitted_total banana", ""}, "\n")
}

func read(pid, submitted, completed, failed int) *reading {
	return &reading{pid: pid, waiting: 7, running: 2, busy: 2, slots: 4, counters: readCounters([]byte(metricsText(submitted, completed, failed)))}
}

func TestRatesAreWhatHasHappenedSinceTheSampleBefore(t *testing.T) {
	var s series
	s.add(0, read(1, 100, 90, 5))
	s.add(2*time.Second, read(1, 120, 100, 7))
	first, second := s.samples[0], s.samples[1]
	if !math.IsNaN(first[colSubmitted]) || first[colWaiting] != 7 || first[colSlots] != 4 {
		t.Errorf("the first: %v", first)
	}
	if second[colSubmitted] != 10 || second[colCompleted] != 5 || second[colFailed] != 1 || second[colCancelled] != 0 {
		t.Errorf("the second: %v", second)
	}
	if math.Abs(second[colWaitMedian]-1) > 1e-9 || math.Abs(second[colWait95]-1.45) > 1e-9 || !math.IsNaN(second[colRun95]) {
		t.Errorf("waits: %v", second)
	}
}

func TestANewDaemonCountsFromNothing(t *testing.T) {
	var s series
	s.add(0, read(1, 1000, 1000, 0))
	s.add(time.Second, nil)
	s.add(2*time.Second, read(2, 10, 10, 0))
	s.add(3*time.Second, read(2, 12, 12, 0))
	s.add(4*time.Second, read(3, 5, 5, 0)) // there was no sample between the two
	for i, want := range []float64{math.NaN(), math.NaN(), math.NaN(), 2, math.NaN()} {
		if got := s.samples[i][colCompleted]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("sample %d: %v completed a second, not %v", i, got, want)
		}
	}
	if !math.IsNaN(s.samples[1][colWaiting]) || s.samples[1][colAt] != 1 {
		t.Errorf("while there was none: %v", s.samples[1])
	}
}

func TestAnHourIsKept(t *testing.T) {
	var s series
	for i := range kept + 50 {
		s.add(time.Duration(i)*time.Second, nil)
	}
	for after, want := range map[int64]int{0: kept, kept + 50: 0, kept + 47: 3, kept + 9999: kept} {
		if got := s.after(after); len(got) != want || want == 3 && got[0][colSeq] != kept+48 {
			t.Errorf("after %d: %d samples", after, len(got))
		}
	}
}

func TestAQuantileIsBetweenTheBoundsOfItsBucket(t *testing.T) {
	h := histogram{0.1: 10, 1: 30, math.Inf(1): 40}
	for q, want := range map[float64]float64{0.25: 0.1, 0.5: 0.55, 0.75: 1, 0.9: 1, 0.125: 0.05} {
		if got := h.quantile(q, nil); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: %v, not %v", q, got, want)
		}
	}
	if got := h.quantile(0.5, h); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
}

// ended is a task that has.
func ended(path string, status task.Status, seconds float64) task.View {
	start := time.Unix(1_800_000_000, 0)
	end := start.Add(time.Duration(seconds * float64(time.Second)))
	return task.View{ID: task.NewID(), Status: status, ScriptPath: path, Function: "main", StartedAt: &start, FinishedAt: &end}
}

func TestScriptsAreReportedOfTheLastQuarterOfAnHour(t *testing.T) {
	var s scripts
	slow := ended("/slow.py", task.Completed, 3)
	s.add(0, slow)
	s.add(0, slow) // seen twice
	for i := range 10 {
		s.add(time.Minute, ended("/quick.py", task.Completed, float64(i)/10))
	}
	failed := ended("/fails.py", task.Failed, 0.5)
	s.add(time.Minute, failed)
	s.add(2*time.Minute, ended("/fails.py", task.Completed, 0.5))
	s.add(-window, ended("/before.py", task.Failed, 1)) // when nobody looked
	never := ended("/never.py", task.Cancelled, 0)
	never.StartedAt = nil
	s.add(2*time.Minute, never)
	r := s.report(3 * time.Minute)
	if len(r) != 4 || r[0].Path != "/fails.py" || r[0].Failed != 1 || r[0].Seen != 2 || *r[0].LastFailure != failed.ID || r[1].Path != "/slow.py" || r[1].Seen != 1 {
		t.Fatalf("%+v", r)
	}
	if q := r[2]; q.Seen != 10 || *q.Median != 0.5 || *q.Max != 0.9 || math.Abs(q.Total-4.5) > 1e-9 || r[3].Median != nil {
		t.Errorf("%+v", r)
	}
	if recent := s.recent(scriptKey{"/fails.py", "main"}); len(recent) != 2 || s.recent(scriptKey{"/none", ""}) == nil {
		t.Errorf("%+v", recent)
	}
	if r := s.report(window + 90*time.Second); len(r) != 2 || r[0].LastFailure != nil {
		t.Errorf("later: %+v", r)
	}
}

func TestWhatIsKeptOfScriptsIsBounded(t *testing.T) {
	var s scripts
	for i := range 3 * mostScripts {
		s.add(time.Duration(i), ended(fmt.Sprintf("/%d.py", i), task.Failed, 1))
	}
	for range 5 * mostRuns {
		s.add(time.Hour, ended("/often.py", task.Completed, 1))
	}
	often := s.all[scriptKey{"/often.py", "main"}]
	if len(s.all) != mostScripts || len(often.runs) != mostRuns || len(often.others) != mostRecent || len(s.seen)+len(s.older) > 2*seenAtOnce {
		t.Errorf("%d scripts, %d runs, %d tasks, %d ids", len(s.all), len(often.runs), len(often.others), len(s.seen)+len(s.older))
	}
	if s.all[scriptKey{"/0.py", "main"}] != nil || len(s.report(time.Hour)) > shownScripts {
		t.Error("the oldest is kept")
	}
}

func TestATaskThatRanAndIsGoneIsAskedFor(t *testing.T) {
	a, b, c := ended("/a", task.Running, 1), ended("/b", task.Running, 1), ended("/c", task.Running, 1)
	if ids := gone([]task.View{a, b, c}, []task.View{a}, []task.View{b}); len(ids) != 1 || ids[0] != c.ID {
		t.Errorf("%v", ids)
	}
}

func TestTheDaemonIsAskedForTasksOnlyIfSomeHaveEnded(t *testing.T) {
	at := func(completed, failed int) *counters { return readCounters([]byte(metricsText(0, completed, failed))) }
	failures, others := []string{"failed", "timed_out"}, []string{"completed", "cancelled"}
	for _, c := range []struct {
		now, before *counters
		of          []string
		want        int
	}{
		{at(90, 4), at(90, 4), others, 0}, {at(95, 4), at(90, 4), others, 30}, {at(95, 4), at(90, 4), failures, 0}, {at(95, 5), at(90, 4), failures, 22},
		{at(99999, 0), at(0, 0), others, 1000}, {at(3, 0), at(90, 4), others, 1000}, {at(3, 0), nil, others, 26}, {nil, at(3, 0), others, 1000},
	} {
		if got := asked(c.now, c.before, c.of); got != c.want {
			t.Errorf("%v after %v: asked for %d of %v, not %d", c.now, c.before, got, c.of, c.want)
		}
	}
}
