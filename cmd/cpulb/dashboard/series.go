package dashboard

import (
	"math"
	"strconv"
	"time"
)

// kept is how many samples there are at most: an hour of them.
const kept = 3600

// span is over how many samples the quantiles are.
const span = 10

// The columns of a sample.
const (
	colSeq = iota // numbers the samples, from 1
	colAt         // seconds since the dashboard's start
	colWaiting
	colRunning
	colBusy
	colSlots
	colSubmitted // per second, as the next three
	colCompleted
	colFailed
	colCancelled
	colWaitMedian // seconds, as the next three
	colWait95
	colRunMedian
	colRun95
	columns
)

// columnNames are the columns as the page knows them.
func columnNames() [columns]string {
	return [columns]string{"seq", "at", "waiting", "running", "busy", "slots", "submitted", "completed", "failed", "cancelled",
		"wait_median", "wait_95", "run_median", "run_95"}
}

// sample is what was seen at one time. NaN is what is not known: everything while no daemon
// answers.
type sample [columns]float64

// MarshalJSON implements json.Marshaler: an array, as there are many.
func (s sample) MarshalJSON() ([]byte, error) {
	text := []byte{'['}
	for i, v := range s {
		if i > 0 {
			text = append(text, ',')
		}
		switch {
		case math.IsNaN(v):
			text = append(text, "null"...)
		case i == colAt:
			text = strconv.AppendFloat(text, v, 'f', 2, 64)
		case v == math.Trunc(v):
			text = strconv.AppendFloat(text, v, 'f', 0, 64)
		default:
			text = strconv.AppendFloat(text, v, 'g', 4, 64)
		}
	}
	return append(text, ']'), nil
}

// reading is what the daemon has said at one time.
type reading struct {
	pid                           int
	waiting, running, busy, slots int
	counters                      *counters // nil: it has not said
}

// series is the last hour. It is pure: its owner says what time it is.
type series struct {
	samples []sample
	seq     int64
	// before are the last readings of one daemon, the latest last, and when they were.
	before []reading
	times  []time.Duration
}

// add adds what was read at a time; nil: no daemon answered.
func (s *series) add(at time.Duration, r *reading) {
	var now sample
	for i := range now {
		now[i] = math.NaN()
	}
	s.seq++
	now[colSeq], now[colAt] = float64(s.seq), at.Seconds()
	if r != nil {
		now[colWaiting], now[colRunning] = float64(r.waiting), float64(r.running)
		now[colBusy], now[colSlots] = float64(r.busy), float64(r.slots)
		s.compare(&now, at, r)
	} else {
		s.before, s.times = nil, nil
	}
	if s.samples = append(s.samples, now); len(s.samples) > kept {
		s.samples = s.samples[len(s.samples)-kept:]
	}
}

// compare fills in what follows from the readings before.
func (s *series) compare(now *sample, at time.Duration, r *reading) {
	if n := len(s.before); n > 0 && (r.counters == nil || s.before[n-1].pid != r.pid) { // another daemon counts from 0
		s.before, s.times = nil, nil
	}
	if r.counters == nil {
		return
	}
	if n := len(s.before); n > 0 && at > s.times[n-1] {
		last, seconds := s.before[n-1].counters, (at - s.times[n-1]).Seconds()
		rate := func(now, before float64) float64 { return max(0, now-before) / seconds }
		now[colSubmitted] = rate(r.counters.submitted, last.submitted)
		now[colCompleted] = rate(r.counters.ended["completed"], last.ended["completed"])
		now[colCancelled] = rate(r.counters.ended["cancelled"], last.ended["cancelled"])
		now[colFailed] = rate(r.counters.ended["failed"]+r.counters.ended["timed_out"], last.ended["failed"]+last.ended["timed_out"])
		first := s.before[0].counters
		now[colWaitMedian], now[colWait95] = r.counters.wait.quantile(0.5, first.wait), r.counters.wait.quantile(0.95, first.wait)
		now[colRunMedian], now[colRun95] = r.counters.run.quantile(0.5, first.run), r.counters.run.quantile(0.95, first.run)
	}
	s.before, s.times = append(s.before, *r), append(s.times, at)
	if len(s.before) > span {
		s.before, s.times = s.before[1:], s.times[1:]
	}
}

// after returns the samples after one that is known by its number.
func (s *series) after(seq int64) []sample {
	n := min(max(s.seq-seq, 0), int64(len(s.samples)))
	if seq > s.seq { // of another dashboard
		n = int64(len(s.samples))
	}
	return s.samples[int64(len(s.samples))-n:]
}
