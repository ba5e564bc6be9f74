package config

import (
	"strconv"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// The values of pool.isolation.
const (
	isolationThread  = "thread"
	isolationProcess = "process"
)

// UserCaller is the Walls.User of a pool whose tasks run as those who have submitted them.
const UserCaller = "caller"

// Walls are what stands between the tasks of a pool, and between them and the daemon.
type Walls struct {
	// Processes: each task has a process of its own. Pool.MaxTasks and Pool.MemoryBytes are
	// of that then, not of the worker.
	Processes bool
	// CPUTime is how much of it a task may take, with Processes; 0: no bound.
	CPUTime time.Duration
	// User and Group, names or numbers, are whom the workers run as; empty: as the daemon, unless
	// its -worker-user fills that in.
	// Without a Group it is the user's own. UserCaller: the tasks run as their callers.
	User, Group string
	// PrivateTmp, NoNetwork, ReadOnly and SystemCalls, the name of a set, are what the kernel
	// puts around each task, with Processes.
	PrivateTmp, NoNetwork, ReadOnly bool
	SystemCalls                     string
}

// AsCaller reports whether tasks run as those who have submitted them.
func (w Walls) AsCaller() bool { return w.User == UserCaller }

// Settings returns what the executor has to know of the pool, beside what it runs in.
func (p *Pool) Settings() map[string]string {
	settings := map[string]string{}
	if !p.Processes {
		return settings
	}
	settings["isolation"] = isolationProcess
	settings["max_tasks"] = strconv.Itoa(max(1, p.MaxTasks))
	if p.MemoryBytes > 0 {
		settings["memory"] = strconv.FormatInt(p.MemoryBytes, 10)
	}
	if p.CPUTime > 0 {
		settings["cpu_time"] = p.CPUTime.String()
	}
	if p.AsCaller() {
		settings["user"] = UserCaller
	}
	if p.PrivateTmp {
		settings["private_tmp"] = "true"
	}
	if p.NoNetwork {
		settings["network"] = "false"
	}
	if p.ReadOnly {
		settings["read_only"] = "true"
	}
	if p.SystemCalls != "" {
		settings["system_calls"] = p.SystemCalls
	}
	return settings
}

func setIsolation(to *bool) func(cty.Value) error {
	return func(v cty.Value) error {
		var s string
		err := setOneOf(&s, isolationThread, isolationProcess)(v)
		*to = s == isolationProcess
		return err
	}
}

func setNetwork(none *bool) func(cty.Value) error {
	return func(v cty.Value) error {
		var has bool
		err := setBoolean(&has)(v)
		*none = !has
		return err
	}
}

// checkWalls refuses what needs a process for each task where there is none.
func (d *decoder) checkWalls() {
	for _, p := range d.config.Pools {
		block := "pool " + p.Name
		for _, k := range []struct {
			key     string
			refused bool
			why     string
		}{
			{"user", p.AsCaller() && !p.Processes, `user = "caller" takes isolation = "process": threads of one process have one user`},
			{"max_tasks", p.AsCaller() && p.MaxTasks > 1, `user = "caller" takes a process for each task; leave max_tasks out`},
			{"group", p.AsCaller() && p.Group != "", `user = "caller" takes no group: tasks have the groups of their callers`},
			{"group", p.Group != "" && p.User == "", "group takes user"},
			{"cpu_time", p.CPUTime > 0 && !p.Processes, `cpu_time takes isolation = "process"`},
			{"private_tmp", p.PrivateTmp && !p.Processes, `private_tmp takes isolation = "process"`},
			{"network", p.NoNetwork && !p.Processes, `network = false takes isolation = "process"`},
			{"read_only", p.ReadOnly && !p.Processes, `read_only takes isolation = "process"`},
			{"system_calls", p.SystemCalls != "" && !p.Processes, `system_calls takes isolation = "process"`},
			{"async_concurrency", p.AsyncConcurrency > 0 && p.Processes,
				`with isolation = "process" there is no event loop that tasks share; leave async_concurrency out`},
		} {
			if k.refused {
				d.fail(d.at[block+"."+k.key], "pool \""+p.Name+"\": "+k.why)
			}
		}
	}
}
