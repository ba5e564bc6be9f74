package ipctest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

func (e *Engine) administer(who access.Identity) error {
	return e.Rules.Check(who, access.Request{Action: access.Administer})
}

// Administers implements ipc.Engine.
func (e *Engine) Administers(who access.Identity) bool { return e.Rules.Administers(who) }

// MaySubmit implements ipc.Engine.
func (e *Engine) MaySubmit(who access.Identity) error { return e.Rules.MaySubmit(who) }

// Drain implements ipc.Engine.
func (e *Engine) Drain(who access.Identity) error { return e.drain(who, true) }

// Resume implements ipc.Engine.
func (e *Engine) Resume(who access.Identity) error { return e.drain(who, false) }

func (e *Engine) drain(who access.Identity, begin bool) error {
	err := e.administer(who)
	if err == nil {
		e.mu.Lock()
		e.draining = begin
		e.mu.Unlock()
	}
	return err
}

// Stop makes all waiting calls return, as the end of the daemon does.
func (e *Engine) Stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped, e.draining = true, true
	e.change()
}

// Reload implements ipc.Engine: every second one fails.
func (e *Engine) Reload(_ context.Context, who access.Identity) error {
	if err := e.administer(who); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reloads++; e.reloads%2 == 0 {
		return fmt.Errorf("%w: config.hcl:3: unknown key", api.ErrReload)
	}
	return nil
}

// Ready implements ipc.Engine.
func (e *Engine) Ready() error { return e.ReadyError }

// Workers implements ipc.Engine.
func (e *Engine) Workers(ctx context.Context) []api.WorkerStatus {
	return e.Status(ctx).Components["process_pool"].Metrics["workers"].([]api.WorkerStatus)
}

// RestartWorker implements ipc.Engine: for io-0 there is no successor.
func (e *Engine) RestartWorker(_ context.Context, who access.Identity, worker string) error {
	if err := e.administer(who); err != nil {
		return err
	}
	switch worker {
	case "cpu-0":
		return nil
	case "io-0":
		return errors.New("its program has gone")
	}
	return fmt.Errorf("%w: %s", api.ErrNoWorker, worker)
}

// Stacks implements ipc.Engine: cpu-0 has stacks, io-0 has none at the moment.
func (e *Engine) Stacks(_ context.Context, who access.Identity, worker string) (string, error) {
	switch err := e.administer(who); {
	case err != nil:
		return "", err
	case worker == "cpu-0":
		return "slot 0: idle\n", nil
	case worker == "io-0":
		return "", fmt.Errorf("%w: later", api.ErrNoStacks)
	}
	return "", fmt.Errorf("%w: %s", api.ErrNoWorker, worker)
}

// Configuration implements ipc.Engine.
func (e *Engine) Configuration(_ context.Context, who access.Identity) (api.Configuration, error) {
	if err := e.administer(who); err != nil {
		return api.Configuration{}, err
	}
	return api.Configuration{Text: "log {\n  level = \"info\"\n}\n", Blocks: json.RawMessage(`{"log":{"level":"info"}}`)}, nil
}

// ScheduleOwner is whose the schedule is.
const ScheduleOwner = 3001

// Schedules implements ipc.Engine.
func (e *Engine) Schedules() []api.ScheduleStatus {
	next := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	refused := next.AddDate(0, 0, -1)
	return []api.ScheduleStatus{
		{Name: "nightly", Cron: "0 3 * * *", TimeZone: "UTC", Overlap: "skip", CatchUp: "last", Next: &next, Skipped: 2,
			RefusedAt: &refused, RefusedReason: "script_path: no such script", Owner: ScheduleOwner},
	}
}

// Executors implements ipc.Engine.
func (e *Engine) Executors() []api.ExecutorStatus {
	return []api.ExecutorStatus{{
		Name:    "python",
		Command: "cpulb-python",
		SHA256:  "ab12",
		Runtime: "CPython 3.11.2",
		Pools:   []string{"cpu", "io"},
		Program: "python", Version: "1.0", Capabilities: []string{"CANCEL", "EVENTS"},
		Settings: []api.SettingStatus{{Name: "venv", Kind: "string", Description: "a virtual environment", Default: "none"}},
	}}
}

// Swap implements ipc.Engine: it is done at once, but for /starting, which goes on, and
// /broken, which goes back.
func (e *Engine) Swap(_ context.Context, who access.Identity, executor string, req *api.SwapRequest, _ time.Duration) (api.ExecutorStatus, error) {
	if err := e.administer(who); err != nil {
		return api.ExecutorStatus{}, err
	}
	status := e.Executors()[0]
	switch {
	case executor != status.Name:
		return status, fmt.Errorf("%w: %q", api.ErrNoExecutor, executor)
	case req.Command == "":
		return status, fmt.Errorf("%w: command: it is empty", api.ErrSwapInvalid)
	case req.Command == "/busy":
		return status, fmt.Errorf("%w: it is being swapped", api.ErrSwapConflict)
	case req.Command == "/broken":
		return status, fmt.Errorf("%w: it exits at once", api.ErrSwapFailed)
	}
	began := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	status.Swap = &api.SwapStatus{State: api.SwapDone, By: "swap", Command: req.Command, SHA256: "cd34", BeforeCommand: status.Command, BeforeSHA256: "ab12",
		Began: began, Ended: &began, Persists: true, Persistence: "it is kept"}
	if req.Command == "/starting" {
		status.Swap.State, status.Swap.Ended = api.SwapCanary, nil
		status.Swap.Canary = &api.CanaryStatus{Share: 0.1, Tasks: 3, Failed: 1, Others: 40, SecondsLeft: 12.5}
	}
	status.Command = req.Command
	return status, nil
}

// Rollback implements ipc.Engine: there is nothing to go back to but for python.
func (e *Engine) Rollback(ctx context.Context, who access.Identity, executor string, wait time.Duration) (api.ExecutorStatus, error) {
	return e.Swap(ctx, who, executor, &api.SwapRequest{Command: "cpulb-python"}, wait)
}

// Gather implements ipc.Engine.
func (e *Engine) Gather() ([]*dto.MetricFamily, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := prometheus.NewGauge(prometheus.GaugeOpts{Name: "cpulb_tasks", Help: "Known tasks."})
	all.Set(float64(len(e.tasks)))
	r := prometheus.NewRegistry()
	r.MustRegister(all, collectors.NewGoCollector()) // as long as the daemon's
	return r.Gather()
}

// Status implements ipc.Engine.
func (e *Engine) Status(context.Context) api.Status {
	return api.Status{
		Engine: api.EngineStatus{IsRunning: true, Version: "1.2.3", PID: 77, UptimeSeconds: 61, Tasks: map[string]int{"completed": 5}},
		Components: map[string]api.Component{
			"input_queue": {Health: api.Healthy, Metrics: map[string]any{"size": 2}},
			"process_pool": {Health: api.Degraded, Reason: "worker cpu-1 is starting", Metrics: map[string]any{
				"total_workers": 2,
				"workers": []api.WorkerStatus{
					{ID: "cpu-0", Pool: "cpu", Executor: "python", Runtime: "CPython 3.11.2", PID: 4242, Core: 1, CPUsAllowed: "1",
						State: "ready", UptimeSeconds: 3723.4, Slots: 1, SlotsBusy: 1, TasksDone: 12345678, Restarts: 3, RSSBytes: 10 << 20},
					{ID: "io-0", Pool: "io", Executor: "python", PID: 4243, Core: -1, CPUsAllowed: "0-1", State: "starting", Slots: 8},
				}}},
		},
	}
}
