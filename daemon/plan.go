package daemon

import (
	"fmt"
	"os"
	"reflect"
	"syscall"

	"cpulb/balancer/topology"
	"cpulb/daemon/config"
	"cpulb/plugins/supervisor"
)

// plan is what a configuration makes of a pool.
type plan struct {
	config config.Pool
	// spec is what its workers have in common; its CPUs are all of the pool's.
	spec supervisor.Spec
	// masks are the CPUs of the seats, in turn.
	masks   [][]int
	program fileID
	count   int // of seats
}

// fileID tells whether a file has been exchanged.
type fileID struct {
	device, inode uint64
	size          int64
	changed       syscall.Timespec
}

// planOf checks c, a pool of all, against this machine.
func (e *Engine) planOf(all *config.Config, c config.Pool) (plan, error) {
	p := plan{config: c, count: c.Workers}
	if c.MaxWorkers > 0 {
		p.count = c.MinWorkers
	}
	var err error
	if p.spec, err = e.spec(all, c); err != nil {
		return p, err
	}
	if err := p.place(); err != nil {
		return p, err
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
	spec.CPUs = p.masks[i%len(p.masks)]
	if p.config.Pin {
		core = spec.CPUs[0]
	}
	return spec, core
}

// sameWorkers tells whether the workers of one plan are right for the other.
func (p *plan) sameWorkers(o *plan) bool {
	return p.program == o.program && p.config.Pin == o.config.Pin && reflect.DeepEqual(p.spec, o.spec) &&
		reflect.DeepEqual(p.masks, o.masks)
}

// slots is how many tasks a worker can have at a time.
func (p *plan) slots() int { return p.spec.Slots + p.spec.LoopSlots }

// place chooses the CPUs of a pool's workers.
func (p *plan) place() error {
	t, err := topology.System().Read()
	if err != nil {
		return err
	}
	cpus, err := t.Select(p.config.Cores)
	if err != nil {
		return fmt.Errorf("cores: %w", err)
	}
	if p.config.Reserve > 0 {
		if _, cpus, err = t.Reserve(cpus, p.config.Reserve); err != nil {
			return fmt.Errorf("reserve: %w", err)
		}
	}
	p.spec.CPUs = cpus
	if p.count == 0 {
		p.count = len(cpus)
	}
	if !p.config.Pin {
		p.masks = t.Spread(cpus, max(p.count, p.config.MaxWorkers))
		return nil
	}
	for _, cpu := range t.Order(cpus) {
		p.masks = append(p.masks, []int{cpu})
	}
	return nil
}

// spec is what all workers of a pool have in common, but for their CPUs.
func (e *Engine) spec(all *config.Config, c config.Pool) (supervisor.Spec, error) {
	limits := &all.Limits
	for _, x := range all.Executors {
		if x.Name != c.Executor {
			continue
		}
		command, err := supervisor.Find(x.Command, e.options.BinDir)
		if err != nil {
			return supervisor.Spec{}, fmt.Errorf("executor %q: %w", x.Name, err)
		}
		in := c.Environment.Over(x.Environment)
		return supervisor.Spec{Pool: c.Name, Executor: x.Name, Command: command, SHA256: x.SHA256, Slots: c.Threads,
			LoopSlots: c.AsyncConcurrency,
			Env:       in.Env, Settings: all.Access.Over(in.Settings()), ResultBytes: limits.ResultBytes, OutputBytes: limits.OutputBytes,
			StartTimeout: limits.StartTimeout, LockStall: limits.GILStall,
			Limits: supervisor.Limits{Nice: c.Nice, IO: c.IOPriority, OOMScoreAdj: c.OOMScoreAdj, MemoryBytes: c.MemoryBytes}}, nil
	}
	return supervisor.Spec{}, fmt.Errorf("executor %q is not configured", c.Executor)
}
