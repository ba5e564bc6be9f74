package daemon

import (
	"context"
	"slices"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// metrics are the figures for Prometheus. Labels are pools, statuses and workers, whose
// number the configuration bounds; never anything that a caller sends.
type metrics struct {
	registry  *prometheus.Registry
	submitted prometheus.Counter
	retries   prometheus.Counter
	results   *prometheus.CounterVec
	wait, run *prometheus.HistogramVec
	commits   prometheus.Histogram
	ops       prometheus.Counter
	// ofPool has those of results, wait and run that have been asked for; the engine's lock
	// guards it.
	ofPool map[string]*poolMetrics
}

// poolMetrics are those of one pool: to look one up in a vector costs as much as to count.
type poolMetrics struct {
	results   []prometheus.Counter // by status; nil: no task has ended so
	wait, run prometheus.Observer
}

// From 100 µs, which is about one hand-over, to some minutes.
func durations() []float64 { return prometheus.ExponentialBucketsRange(1e-4, 400, 14) }

func newMetrics(e *Engine) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(), ofPool: map[string]*poolMetrics{},
		submitted: prometheus.NewCounter(prometheus.CounterOpts{Name: "cpulb_tasks_submitted_total",
			Help: "Tasks accepted since the daemon started."}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{Name: "cpulb_task_retries_total",
			Help: "Attempts that failed and are followed by another."}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cpulb_tasks_ended_total",
			Help: "Tasks that have ended since the daemon started, by pool and terminal state."}, []string{"pool", "status"}),
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "cpulb_task_wait_seconds",
			Help: "Time from a task's submission to its last start.", Buckets: durations()}, []string{"pool"}),
		run: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "cpulb_task_run_seconds",
			Help: "Time that a task's last attempt ran.", Buckets: durations()}, []string{"pool"}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "cpulb_journal_commit_seconds",
			Help: "Time that one commit of the journal took.", Buckets: prometheus.ExponentialBucketsRange(5e-5, 10, 12)}),
		ops: prometheus.NewCounter(prometheus.CounterOpts{Name: "cpulb_journal_operations_total", Help: "Changes committed to the journal."}),
	}
	m.registry.MustRegister(m.submitted, m.retries, m.results, m.wait, m.run, m.commits, m.ops, &gauges{e},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// endedLocked counts r, which has.
func (m *metrics) endedLocked(r *ledger.Record) {
	of, res := m.poolLocked(r.Pool.Name()), r.Result()
	counter := of.results[res.Status]
	if counter == nil {
		counter = m.results.WithLabelValues(r.Pool.Name(), res.Status.String())
		of.results[res.Status] = counter
	}
	counter.Inc()
	if res.StartedAt != nil {
		of.wait.Observe(res.QueueSeconds)
		of.run.Observe(res.RunSeconds)
	}
}

func (m *metrics) poolLocked(name string) *poolMetrics {
	of := m.ofPool[name]
	if of == nil {
		of = &poolMetrics{results: make([]prometheus.Counter, len(task.Statuses())),
			wait: m.wait.WithLabelValues(name), run: m.run.WithLabelValues(name)}
		m.ofPool[name] = of
	}
	return of
}

// committed is journal.Options.Observe.
func (m *metrics) committed(took time.Duration, ops int) {
	m.commits.Observe(took.Seconds())
	m.ops.Add(float64(ops))
}

// Gather implements prometheus.Gatherer.
func (e *Engine) Gather() ([]*dto.MetricFamily, error) {
	g := e.gathered.get(context.Background())
	return slices.Clone(g.families), g.err
}

// gathered is what Gather returns.
type gathered struct {
	families []*dto.MetricFamily
	err      error
}

func (e *Engine) gatherAll(context.Context) (g gathered) {
	g.families, g.err = e.metrics.registry.Gather()
	return g
}

// gauges are read from the engine when they are asked for.
type gauges struct{ engine *Engine }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("cpulb_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector: it is unchecked, as all that Collect
// sends is made in one place.
func (g *gauges) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	var all []prometheus.Metric
	g.engine.do(func(*effects.List) {
		g.readLocked(func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
			all = append(all, prometheus.MustNewConstMetric(d, kind, value, labels...))
		})
	})
	for _, m := range all {
		to <- m
	}
}

// readLocked sends every figure.
func (g *gauges) readLocked(send func(*prometheus.Desc, prometheus.ValueType, float64, ...string)) {
	e := g.engine
	e.evictLocked()
	states := describe("tasks", "Known tasks by state.", "status")
	for _, s := range task.Statuses() {
		send(states, prometheus.GaugeValue, float64(e.store.Count(s)), s.String())
	}
	q := e.queue.Stats()
	send(describe("queue_bytes", "Size of the tasks that wait or run."), prometheus.GaugeValue, float64(q.Bytes))
	send(describe("queue_dropped_total", "Tasks refused or dropped because the queue was full, or a caller's share of it."), prometheus.CounterValue, float64(q.Dropped))
	send(describe("queue_expired_total", "Tasks that had not started in time."), prometheus.CounterValue, float64(q.Expired))
	send(describe("queue_blocked", "Submissions that wait for room."), prometheus.GaugeValue, float64(q.Blocked))
	send(describe("results", "Results kept."), prometheus.GaugeValue, float64(e.store.Size()))
	send(describe("results_bytes", "Size of the results kept, and of the events of tasks that have not ended."), prometheus.GaugeValue, float64(e.store.Bytes()))
	send(describe("watches", "Tasks that are waited for, on streams and in requests."), prometheus.GaugeValue, float64(e.watches.used))
	if e.traces != nil {
		sent, dropped := e.traces.sink.Counts()
		send(describe("spans_sent_total", "Spans of tasks that the collector has taken."), prometheus.CounterValue, float64(sent))
		send(describe("spans_dropped_total", "Spans of tasks that were dropped: the collector was slow, not there, or refused them."), prometheus.CounterValue, float64(dropped))
	}
	g.poolsLocked(send)
}

func (g *gauges) poolsLocked(send func(*prometheus.Desc, prometheus.ValueType, float64, ...string)) {
	depth := describe("queue_tasks", "Tasks that wait, by pool.", "pool")
	busy := describe("slots_busy", "Slots that have a task, by pool.", "pool")
	slots := describe("slots", "Slots of ready workers, by pool.", "pool")
	restarts := describe("worker_restarts_total", "Times that a worker was replaced, by worker.", "pool", "worker")
	deaths := describe("worker_deaths_total", "Workers that died, by pool.", "pool")
	unfit := describe("workers_unfit_total", "Workers that were replaced because they could not run tasks any more, by pool.", "pool")
	poisoned := describe("tasks_poisoned_total", "Tasks that ended because workers, or daemons, died of them, by pool.", "pool")
	for _, p := range g.engine.fleet.PoolsLocked() {
		name := p.Name()
		send(depth, prometheus.GaugeValue, float64(p.Waiting()), name)
		send(busy, prometheus.GaugeValue, float64(p.Busy()), name)
		send(slots, prometheus.GaugeValue, float64(p.Ready()), name)
		send(deaths, prometheus.CounterValue, float64(p.Deaths()), name)
		send(unfit, prometheus.CounterValue, float64(p.Unfit()), name)
		send(poisoned, prometheus.CounterValue, float64(p.Poisoned()), name)
		for worker, n := range p.Restarts {
			send(restarts, prometheus.CounterValue, float64(n), name, worker)
		}
	}
}
