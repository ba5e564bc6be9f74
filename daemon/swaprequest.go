package daemon

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// executorOf returns an executor's block of the configuration that holds.
func (e *Engine) executorOf(name string) (config.Executor, error) {
	all := e.config.Load().Executors
	if i := slices.IndexFunc(all, func(x config.Executor) bool { return x.Name == name }); i >= 0 {
		return all[i], nil
	}
	var names []string
	for _, x := range all {
		names = append(names, x.Name)
	}
	return config.Executor{}, fmt.Errorf("%w: %.64q is not among %s", api.ErrNoExecutor, name, strings.Join(names, ", "))
}

// withExecutor returns c with another block for one of its executors.
func withExecutor(c *config.Config, x config.Executor) *config.Config {
	n := *c
	n.Executors = slices.Clone(c.Executors)
	for i := range n.Executors {
		if n.Executors[i].Name == x.Name {
			n.Executors[i] = x
		}
	}
	return &n
}

// requested returns the executor's block as a request has it, and how the program is tried.
func requested(x config.Executor, req *api.SwapRequest) (config.Executor, config.Trial, error) {
	trial := x.Trial
	wrong := func(field string, err error) (config.Executor, config.Trial, error) {
		return x, trial, fmt.Errorf("%w: %s%w", api.ErrSwapInvalid, field, err)
	}
	if err := config.CheckProgram(req.Command, req.SHA256); err != nil {
		return wrong("", err)
	}
	var err error
	if req.Canary != "" {
		if trial.Canary, err = config.ParseShare(req.Canary); err != nil {
			return wrong("canary: ", err)
		}
	}
	if req.For != nil {
		trial.CanaryFor = time.Duration(*req.For)
		if err := config.CheckCanaryFor(trial.CanaryFor); err != nil {
			return wrong("for: ", err)
		}
	}
	switch {
	case string(req.Probe) == "null":
		trial.Probe = nil
	case len(req.Probe) > 0:
		if trial.Probe, err = config.DecodeProbe(req.Probe); err != nil {
			return wrong("probe: ", err)
		}
	}
	trial.CanaryFor = cmp.Or(trial.CanaryFor, config.DefaultCanaryFor)
	x.Command, x.SHA256 = req.Command, req.SHA256
	return x, trial, nil
}

// mayProbe returns why who may not have a probe run: in every pool of the executor it is a
// task as any other.
func (e *Engine) mayProbe(who access.Identity, executor string, probe *task.Task) error {
	for _, p := range e.config.Load().Pools {
		if p.Executor != executor {
			continue
		}
		if err := e.rules.Load().Check(who, submission(probe, p.Name)); err != nil {
			return fmt.Errorf("probe: %w", err)
		}
	}
	return nil
}

// probeTask is an executor's probe as a worker of a pool gets it. Where tasks run as their
// callers it runs as uid, who must be one whose tasks do.
func probeTask(rules *access.Rules, probe *task.Task, p *config.Pool, uid uint32) (*plugins.Task, error) {
	t := &plugins.Task{ID: task.NewID().String(), ScriptPath: probe.ScriptPath, Source: probe.Extras().Source, Function: probe.Function,
		Params: probe.Params, Type: task.Type(p.TaskTypes[0]), Timeout: time.Duration(probe.Timeout), Attempt: 1}
	if p.AsCaller() {
		if err := rules.MayBecome(uid, p.Name); err != nil {
			return nil, err
		}
		t.RunAs = &uid
	}
	return t, nil
}

// checkProbes returns which probe of a configuration has nobody to run as: no caller has asked
// for it, and it must not run as the daemon.
func checkProbes(c *config.Config) error {
	for _, p := range c.Pools {
		if x := executorIn(c, p.Executor); p.AsCaller() && x != nil && x.Trial.Probe != nil {
			return fmt.Errorf("executor %q: probe: the tasks of pool %q run as their callers, and a probe of the configuration has none: "+
				"leave it out, and give one to cpulb executors swap, which runs as who asks for the swap", x.Name, p.Name)
		}
	}
	return nil
}

// ownUID is who asks for a reload.
func ownUID() uint32 { return uint32(os.Geteuid()) }
