package dashboard

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// counters are what the daemon has counted since its start, of all pools together.
type counters struct {
	submitted float64
	ended     map[string]float64 // by the status at the end
	wait, run histogram
}

// histogram has, for each upper bound in seconds, how many were at most as long.
type histogram map[float64]float64

// total is how many there were in all.
func (h histogram) total() float64 { return h[math.Inf(1)] }

// readCounters reads the daemon's metrics, in the text format of Prometheus. It takes what it
// knows and skips all else.
func readCounters(text []byte) *counters {
	c := &counters{ended: map[string]float64{}, wait: histogram{}, run: histogram{}}
	for line := range bytes.Lines(text) {
		metric, number, ok := strings.Cut(strings.TrimSpace(string(line)), " ")
		value, err := strconv.ParseFloat(number, 64)
		if !ok || err != nil {
			continue
		}
		name, labels, _ := strings.Cut(metric, "{")
		switch name {
		case "cpulb_tasks_submitted_total":
			c.submitted += value
		case "cpulb_tasks_ended_total":
			c.ended[label(labels, "status")] += value
		case "cpulb_task_wait_seconds_bucket":
			c.wait.count(label(labels, "le"), value)
		case "cpulb_task_run_seconds_bucket":
			c.run.count(label(labels, "le"), value)
		}
	}
	return c
}

func (h histogram) count(bound string, n float64) {
	if le, err := strconv.ParseFloat(bound, 64); err == nil {
		h[le] += n
	}
}

// label returns the value of a label of the daemon's: pools, statuses and bounds, none of
// which has a quote in it.
func label(labels, name string) string {
	for part := range strings.SplitSeq(strings.TrimSuffix(labels, "}"), ",") {
		if value, ok := strings.CutPrefix(part, name+"="); ok {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

// quantile returns below which duration a share q was of what was counted in h and not yet in
// before, by interpolation within a bucket; NaN: nothing was.
func (h histogram) quantile(q float64, before histogram) float64 {
	total := h.total() - before.total()
	if total <= 0 {
		return math.NaN()
	}
	lower, below := 0.0, 0.0
	for _, le := range slices.Sorted(maps.Keys(h)) {
		n := h[le] - before[le]
		if n >= q*total {
			if math.IsInf(le, 1) {
				return lower
			}
			return lower + (le-lower)*(q*total-below)/(n-below)
		}
		lower, below = le, n
	}
	return math.NaN()
}
