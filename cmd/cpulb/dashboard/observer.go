package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

const (
	// pause is the time between two looks at the daemon.
	pause = time.Second
	// patience is how long one look may take.
	patience = 5 * time.Second
	// mostFetched is how many tasks are asked for one by one in a look: those that ran at the
	// look before and have ended.
	mostFetched = 40
)

// source is the daemon: Get returns the body of an answer that is not a problem.
type source interface {
	Get(ctx context.Context, path string) ([]byte, error)
}

// observer looks at the daemon once a second, whoever watches.
type observer struct {
	socket string
	from   source
	began  time.Time

	mu      sync.Mutex
	latest  look
	series  series
	scripts scripts
}

// look is what was seen at one time.
type look struct {
	err    error // why no daemon has answered
	status *status
	// running are the tasks that run, in the order of submission; tasksErr is why they are not
	// known.
	running  []task.View
	tasksErr error
	more     bool // there are more than those

	counters *counters
	ended    []task.View
	// endedAt are the counters up to which those that have ended were asked for.
	endedAt *counters
}

// status is the daemon's answer, of which the page shows all.
type status struct {
	Engine     json.RawMessage      `json:"engine"`
	Components map[string]component `json:"components"`

	engine  api.EngineStatus
	workers []api.WorkerStatus
}

type component struct {
	Health  string                     `json:"health"`
	Reason  string                     `json:"reason,omitempty"`
	Metrics map[string]json.RawMessage `json:"metrics"`
}

func newObserver(socket string, from source) *observer {
	return &observer{socket: socket, from: from, began: time.Now(), latest: look{err: errors.New("it has not been looked at yet")}}
}

// run looks until ctx is done.
func (o *observer) run(ctx context.Context) {
	again := time.NewTicker(pause)
	defer again.Stop()
	for {
		one, cancel := context.WithTimeout(ctx, patience)
		o.take(o.look(one))
		cancel()
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// look asks the daemon.
func (o *observer) look(ctx context.Context) look {
	o.mu.Lock()
	before := o.latest
	o.mu.Unlock()
	l := look{endedAt: before.endedAt}
	if l.status, l.err = o.status(ctx); l.err != nil {
		return l
	}
	if text, err := o.from.Get(ctx, "/metrics"); err == nil {
		l.counters = readCounters(text)
	}
	l.running, l.more, l.tasksErr = o.lookAtRunning(ctx, l.status)
	if l.tasksErr != nil {
		return l
	}
	if l.ended, l.tasksErr = o.lookAtEnded(ctx, before, &l); l.tasksErr == nil && l.counters != nil {
		l.endedAt = l.counters
	}
	return l
}

// lookAtRunning returns the tasks that run. To look for them the daemon goes through all that
// it knows, so it is not asked while there are none.
func (o *observer) lookAtRunning(ctx context.Context, s *status) (running []task.View, more bool, err error) {
	if s.engine.Tasks[task.Running.String()] == 0 {
		return nil, false, nil
	}
	var page api.Listing
	err = o.decode(ctx, fmt.Sprintf("/v1/tasks?status=running&limit=%d", api.MaxPage), &page)
	return page.Tasks, page.Next != "", err
}

// lookAtEnded returns tasks that have ended since the last look: the newest, those that failed
// first, and those that ran then. Of very many it sees a part.
func (o *observer) lookAtEnded(ctx context.Context, before look, now *look) ([]task.View, error) {
	var all []task.View
	for _, statuses := range [][]string{{"failed", "timed_out"}, {"completed", "cancelled"}} {
		limit := asked(now.counters, before.endedAt, statuses)
		if limit == 0 {
			continue
		}
		var page api.Listing
		q := url.Values{"status": statuses, "order": {"newest"}, "limit": {strconv.Itoa(limit)}}
		if err := o.decode(ctx, "/v1/tasks?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Tasks...)
	}
	return append(all, o.fetch(ctx, gone(before.running, now.running, all))...), nil
}

// asked is of how many tasks with these statuses at the end the daemon is asked: some more than
// have ended so since, as those that were submitted last need not have.
func asked(now, before *counters, statuses []string) int {
	if now == nil {
		return api.MaxPage
	}
	n := 0.0
	for _, s := range statuses {
		n += now.ended[s]
		if before != nil {
			n -= before.ended[s]
		}
	}
	switch {
	case n == 0:
		return 0
	case n < 0: // another daemon
		return api.MaxPage
	}
	return int(min(2*n+20, api.MaxPage))
}

// gone returns the tasks that ran before, do not now, and are not among those that ended.
func gone(before, running, ended []task.View) []task.ID {
	known := map[task.ID]bool{}
	for _, some := range [][]task.View{running, ended} {
		for i := range some {
			known[some[i].ID] = true
		}
	}
	var ids []task.ID
	for i := range before {
		if !known[before[i].ID] {
			ids = append(ids, before[i].ID)
		}
	}
	return ids
}

// fetch asks for tasks one by one. What can't be had is left out: it may be evicted.
func (o *observer) fetch(ctx context.Context, ids []task.ID) []task.View {
	var all []task.View
	for _, id := range ids[:min(len(ids), mostFetched)] {
		var v task.View
		if o.decode(ctx, "/v1/tasks/"+id.String(), &v) == nil && v.FinishedAt != nil {
			all = append(all, v)
		}
	}
	return all
}

// take keeps what was seen.
func (o *observer) take(l look) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := time.Since(o.began)
	o.series.add(at, l.reading())
	for i := range l.ended {
		if v := l.ended[len(l.ended)-1-i]; v.FinishedAt != nil { // the latest last
			o.scripts.add(at-max(0, time.Since(*v.FinishedAt)), v)
		}
	}
	l.ended = nil
	o.latest = l
}

// reading returns what a look is for the series; nil: no daemon has answered.
func (l *look) reading() *reading {
	if l.err != nil {
		return nil
	}
	r := &reading{pid: l.status.engine.PID, running: l.status.engine.Tasks[task.Running.String()], counters: l.counters}
	_ = json.Unmarshal(l.status.Components["input_queue"].Metrics["size"], &r.waiting) // 0 if it has none
	for i := range l.status.workers {
		if w := &l.status.workers[i]; w.State == "ready" {
			r.slots += w.Slots
			r.busy += w.SlotsBusy
		}
	}
	return r
}

// status returns the daemon's status with its workers apart.
func (o *observer) status(ctx context.Context) (*status, error) {
	s := new(status)
	if err := o.decode(ctx, "/v1/status", s); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(s.Engine, &s.engine); err != nil {
		return nil, fmt.Errorf("status: engine: %w", err)
	}
	metrics := s.Components["process_pool"].Metrics
	if raw := metrics["workers"]; raw != nil {
		if err := json.Unmarshal(raw, &s.workers); err != nil {
			return nil, fmt.Errorf("status: workers: %w", err)
		}
		delete(metrics, "workers")
	}
	return s, nil
}

// decode asks for what is JSON.
func (o *observer) decode(ctx context.Context, path string, into any) error {
	text, err := o.from.Get(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("the daemon's answer to %s: %w", path, err)
	}
	return nil
}
