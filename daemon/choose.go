package daemon

import (
	"fmt"
	"slices"

	"cpulb/daemon/access"
	"cpulb/daemon/config"
	"cpulb/daemon/fleet"
	"cpulb/daemon/task"
)

// poolForLocked returns the pool that t is for.
func (e *Engine) poolForLocked(t *task.Task, who access.Identity) (*fleet.Pool, error) {
	i, err := choose(e.config.Load().Pools, t, e.rules.Load(), who)
	if err != nil {
		return nil, err
	}
	return e.fleet.PoolsLocked()[i], nil // in the order of the configuration
}

// permit returns why the caller may not have t run, or that there is no pool for it.
func (e *Engine) permit(who access.Identity, t *task.Task) error {
	rules, pools := e.rules.Load(), e.config.Load().Pools
	i, err := choose(pools, t, rules, who)
	if err != nil {
		return err
	}
	return rules.Check(who, submission(t, pools[i].Name))
}

// submission is the request to have t run in a pool.
func submission(t *task.Task, pool string) access.Request {
	q := access.Request{Action: access.Submit, Pool: pool, ScriptPath: t.ScriptPath, Source: t.Gives("source")}
	switch x := t.Extra; {
	case x == nil:
	case len(x.Env) > 0:
		q.Surroundings = "env"
	case x.Cwd != "":
		q.Surroundings = "cwd"
	}
	return q
}

// choose returns the place of the pool that t names, or of the first that serves its type
// and executor. Its error names the pools that the caller may use.
func choose(pools []config.Pool, t *task.Task, rules *access.Rules, who access.Identity) (int, error) {
	executor := t.Extras().Executor
	for i := range pools {
		p := &pools[i]
		serves := slices.Contains(p.TaskTypes, string(t.Type))
		if t.Pool == p.Name || t.Pool == "" && serves && (executor == "" || executor == p.Executor) {
			return i, nil
		}
	}
	if t.Pool == "" {
		return 0, &task.FieldError{Field: "task_type", Code: "no_such_pool",
			Problem: fmt.Sprintf("no pool serves %s with executor %q", t.Type, executor)}
	}
	var names []string
	for i := range pools {
		if name := pools[i].Name; rules.MayUse(who, name) {
			names = append(names, name)
		}
	}
	return 0, &task.FieldError{Field: "pool", Code: "no_such_pool", Problem: fmt.Sprintf("no pool is named %q", t.Pool), Allowed: names}
}
