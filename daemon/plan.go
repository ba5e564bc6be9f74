package daemon

import (
	"fmt"
	"os"
	"reflect"
	"syscall"

	"cpulb/balancer/topology"
	"cpulb/plugins/supervisor"
)

// plan is what a configuration makes of a pool.
type plan struct {
	config PoolConfig
	// spec is what its workers have in common; its CPUs are all of the pool's.
	spec    supervisor.Spec
	program fileID
	count   int // of seats
}

// fileID tells whether a file has been exchanged.
type fileID struct {
	device, inode uint64
	size          int64
	changed       syscall.Timespec
}

// planOf checks c, a pool of config, against this machine.
func (e *Engine) planOf(config *Config, c PoolConfig) (plan, error) {
	p := plan{config: c, count: c.Workers}
	cores, err := coresOf(c)
	if err != nil {
		return p, err
	}
	if p.spec, err = e.spec(config, c); err != nil {
		return p, err
	}
	p.spec.CPUs = cores
	if p.count == 0 {
		p.count = len(cores)
	}
	p.program, err = identify(p.spec.Command)
	return p, err
}

func identify(path string) (fileID, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileID{}, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, fmt.Errorf("%s: no file of Linux", path)
	}
	return fileID{stat.Dev, stat.Ino, stat.Size, stat.Ctim}, nil
}

// post is how the worker of the seat with number i is to run, and its core.
func (p *plan) post(i int) (spec supervisor.Spec, core int) {
	spec, core = p.spec, -1
	spec.ID = fmt.Sprintf("%s-%d", p.config.Name, i)
	if p.config.Pin {
		core = p.spec.CPUs[i%len(p.spec.CPUs)]
		spec.CPUs = []int{core}
	}
	return spec, core
}

// sameWorkers tells whether the workers of one plan are right for the other.
func (p *plan) sameWorkers(o *plan) bool {
	return p.program == o.program && p.config.Pin == o.config.Pin && reflect.DeepEqual(p.spec, o.spec)
}

// slots is how many tasks a worker can have at a time.
func (p *plan) slots() int { return p.spec.Slots + p.spec.LoopSlots }

// coresOf returns the CPUs of a pool: what it names, all of which the daemon
// must be allowed to use, or all of the daemon's.
func coresOf(c PoolConfig) ([]int, error) {
	allowed, err := topology.AllowedCPUs()
	if err != nil || c.Cores == "" {
		return allowed, err
	}
	cores, err := topology.ParseCPUs(c.Cores)
	if err != nil {
		return nil, fmt.Errorf("cores: %w", err)
	}
	ours := map[int]bool{}
	for _, cpu := range allowed {
		ours[cpu] = true
	}
	for _, cpu := range cores {
		if !ours[cpu] {
			return nil, fmt.Errorf("cores: the daemon may not use CPU %d (allowed: %v)", cpu, allowed)
		}
	}
	return cores, nil
}

// spec is what all workers of a pool have in common, but for their CPUs.
func (e *Engine) spec(config *Config, c PoolConfig) (supervisor.Spec, error) {
	limits := &config.Limits
	for _, x := range config.Executors {
		if x.Name != c.Executor {
			continue
		}
		command, err := supervisor.Find(x.Command, e.options.BinDir)
		if err != nil {
			return supervisor.Spec{}, fmt.Errorf("executor %q: %w", x.Name, err)
		}
		in := c.Environment.over(x.Environment)
		return supervisor.Spec{Pool: c.Name, Executor: x.Name, Command: command, SHA256: x.SHA256, Slots: c.Threads,
			LoopSlots: c.AsyncConcurrency,
			Env:       in.Env, Settings: config.Access.over(in.settings()), ResultBytes: limits.ResultBytes, OutputBytes: limits.OutputBytes,
			StartTimeout: limits.StartTimeout, LockStall: limits.GILStall,
			Limits: supervisor.Limits{Nice: c.Nice, IO: c.IOPriority, OOMScoreAdj: c.OOMScoreAdj, MemoryBytes: c.MemoryBytes}}, nil
	}
	return supervisor.Spec{}, fmt.Errorf("executor %q is not configured", c.Executor)
}
