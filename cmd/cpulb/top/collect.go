package top

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// Source is the daemon.
type Source interface {
	// Status is GET /v1/status.
	Status(context.Context) (json.RawMessage, error)
	// List is GET /v1/tasks, page by page.
	List(context.Context, api.Filter) iter.Seq2[task.View, error]
	// Newest is List, beginning with what was submitted last.
	Newest(context.Context, api.Filter) iter.Seq2[task.View, error]
	// Task is GET /v1/tasks/{task_id}.
	Task(context.Context, task.ID) (task.View, error)
}

// Collector makes Snapshots of one daemon, each compared with the one before.
type Collector struct {
	source Source
	now    func() time.Time
	last   *Snapshot   // nil: there was none
	counts counts      // of last
	ran    []task.View // of last: those that ran
	seen   []task.View // that have ended since they were seen to run, the latest last
}

// counts are the totals of which rates are made.
type counts struct{ put, ended, dropped uint64 }

// New returns a Collector that has not asked yet.
func New(source Source) *Collector { return &Collector{source: source, now: time.Now} }

// status is the part of the daemon's answer that is read.
type status struct {
	Engine     api.EngineStatus `json:"engine"`
	Components struct {
		Input struct {
			part
			Metrics struct {
				Size     int    `json:"size"`
				Capacity int    `json:"capacity"`
				Bytes    int64  `json:"bytes"`
				Blocked  int    `json:"blocked"`
				Put      uint64 `json:"total_put"`
				Dropped  uint64 `json:"total_dropped"`
				Expired  uint64 `json:"total_expired"`
			} `json:"metrics"`
		} `json:"input_queue"`
		Output struct {
			part
			Metrics struct {
				Put uint64 `json:"total_put"`
			} `json:"metrics"`
		} `json:"output_queue"`
		Workers struct {
			part
			Metrics struct {
				Workers []api.WorkerStatus `json:"workers"`
			} `json:"metrics"`
		} `json:"process_pool"`
		Journal struct{ part } `json:"journal"`
	} `json:"components"`
}

type part struct {
	Health api.Health `json:"health"`
	Reason string     `json:"reason"`
}

// Next asks the daemon. If that fails, it returns the figures of before, with the error in
// them, beside the error itself.
func (c *Collector) Next(ctx context.Context) (Snapshot, error) {
	s, n, err := c.ask(ctx)
	if err != nil {
		s = Snapshot{}
		if c.last != nil {
			s = *c.last
		}
		s.Error, s.Rates = err.Error(), nil
		return s, err
	}
	c.compare(&s, n)
	c.last, c.counts = &s, n
	return s, nil
}

func (c *Collector) ask(ctx context.Context) (Snapshot, counts, error) {
	raw, err := c.source.Status(ctx)
	if err != nil {
		return Snapshot{}, counts{}, err
	}
	var st status
	if err := json.Unmarshal(raw, &st); err != nil {
		return Snapshot{}, counts{}, fmt.Errorf("status: %w", err)
	}
	s := st.snapshot(c.now())
	input := st.Components.Input.Metrics
	n := counts{put: input.Put, ended: st.Components.Output.Metrics.Put, dropped: input.Dropped}
	err = c.tasks(ctx, &s) // which fills s: in one statement with it Go might copy s before
	return s, n, err
}

func (st *status) snapshot(at time.Time) Snapshot {
	in := st.Components.Input.Metrics
	s := Snapshot{At: at, Workers: []Worker{}, Tasks: st.Engine.Tasks,
		Daemon: Daemon{Version: st.Engine.Version, PID: st.Engine.PID, UptimeSeconds: st.Engine.UptimeSeconds, State: state(st.Engine)},
		Queue:  Queue{Size: in.Size, Capacity: in.Capacity, Bytes: in.Bytes, Blocked: in.Blocked, Dropped: in.Dropped, Expired: in.Expired},
	}
	s.Troubles = st.troubles()
	for _, w := range st.Components.Workers.Metrics.Workers {
		s.Workers = append(s.Workers, Worker{WorkerStatus: w})
	}
	s.Pools = pools(s.Workers)
	for _, p := range s.Pools {
		s.Slots.Busy += p.Slots.Busy
		s.Slots.Total += p.Slots.Total
	}
	return s
}

func state(e api.EngineStatus) string {
	switch {
	case e.Draining:
		return "draining"
	case e.IsRunning:
		return "running"
	default:
		return "not running"
	}
}

func (st *status) troubles() []Trouble {
	all := []Trouble{}
	for _, c := range []struct {
		name string
		part
	}{
		{"input_queue", st.Components.Input.part}, {"output_queue", st.Components.Output.part},
		{"process_pool", st.Components.Workers.part}, {"journal", st.Components.Journal.part},
	} {
		if c.Health != "" && c.Health != api.Healthy {
			all = append(all, Trouble{c.name, c.Health, c.Reason})
		}
	}
	return all
}

// pools sums up workers by their pool, in the order of names.
func pools(workers []Worker) []Pool {
	all := []Pool{}
	for _, w := range workers {
		i := slices.IndexFunc(all, func(p Pool) bool { return p.Name == w.Pool })
		if i < 0 {
			i, all = len(all), append(all, Pool{Name: w.Pool})
		}
		p := &all[i]
		p.Workers++
		if w.State == "ready" {
			p.Ready++
			p.Slots.Total += w.Slots
		}
		p.Slots.Busy += w.SlotsBusy
	}
	slices.SortFunc(all, func(a, b Pool) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// compare fills in what takes the Snapshot before. After a restart there is nothing to
// compare with: the new process counts from 0.
func (c *Collector) compare(s *Snapshot, n counts) {
	last := c.last
	if last == nil {
		return
	}
	s.Daemon.Restarts = last.Daemon.Restarts
	if s.Daemon.PID != last.Daemon.PID || s.Daemon.UptimeSeconds < last.Daemon.UptimeSeconds {
		s.Daemon.Restarts++
		return
	}
	over := s.Daemon.UptimeSeconds - last.Daemon.UptimeSeconds // the daemon's clock: it is never set
	if over <= 0 {
		return
	}
	rate := func(now, before uint64) float64 { return max(0, float64(now)-float64(before)) / over }
	s.Rates = &Rates{Submitted: rate(n.put, c.counts.put), Ended: rate(n.ended, c.counts.ended), Dropped: rate(n.dropped, c.counts.dropped),
		OverSeconds: over}
	for i := range s.Workers {
		w := &s.Workers[i]
		before := slices.IndexFunc(last.Workers, func(x Worker) bool { return x.ID == w.ID && x.PID == w.PID })
		if before >= 0 {
			r := rate(w.TasksDone, last.Workers[before].TasksDone)
			w.DonePerSecond = &r
		}
	}
}
