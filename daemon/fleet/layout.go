package fleet

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"syscall"

	"cpulb/balancer/topology"
	"cpulb/daemon/config"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// Layout is what a configuration makes of a pool on this machine.
type Layout struct {
	config config.Pool
	// spec is what its workers have in common; its CPUs are all of the pool's.
	spec supervisor.Spec
	// masks are the CPUs of the seats, in turn.
	masks   [][]int
	program FileID
	count   int // of seats
}

// FileID is another one for another file, and for other content of the same.
type FileID struct {
	device, inode uint64
	size          int64
	changed       syscall.Timespec
}

// IDOf returns the FileID of a file that was looked at.
func IDOf(info fs.FileInfo) (FileID, error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return FileID{}, fmt.Errorf("%s has no inode", info.Name())
	}
	return FileID{stat.Dev, stat.Ino, stat.Size, stat.Ctim}, nil
}

// NewLayout checks c, a pool of all, against this machine. Programs are looked for in
// binDir first. It reads files, so it runs without the lock.
func NewLayout(all *config.Config, c config.Pool, binDir string) (Layout, error) {
	l := Layout{config: c, count: c.Workers}
	if c.MaxWorkers > 0 {
		l.count = c.MinWorkers
	}
	var err error
	if l.spec, err = specFor(all, c, binDir); err != nil {
		return l, err
	}
	if err := l.place(); err != nil {
		return l, err
	}
	l.program, err = Identify(l.spec.Command)
	return l, err
}

// Identify returns the FileID of the file at path.
func Identify(path string) (FileID, error) {
	info, err := os.Stat(path)
	if err != nil {
		return FileID{}, err
	}
	return IDOf(info)
}

// post is how the worker of the seat with number i is to run, and its core.
func (l *Layout) post(i int) (spec supervisor.Spec, core int) {
	spec, core = l.spec, -1
	spec.ID = fmt.Sprintf("%s-%d", l.config.Name, i)
	spec.CPUs = l.masks[i%len(l.masks)]
	if l.config.Pin {
		core = spec.CPUs[0]
	}
	return spec, core
}

// sameWorkers reports whether the workers of one layout are right for the other.
func (l *Layout) sameWorkers(o *Layout) bool {
	return l.program == o.program && l.config.Pin == o.config.Pin && reflect.DeepEqual(l.spec, o.spec) &&
		reflect.DeepEqual(l.masks, o.masks)
}

// slots is how many tasks a worker can have at a time.
func (l *Layout) slots() int { return l.spec.Slots + l.spec.LoopSlots }

// workerDescriptors is how many descriptors a worker takes beside those of its slots,
// while it starts: its pipes, its pidfd, its control connection, its program.
const workerDescriptors = 8

// Descriptors returns how many file descriptors of the daemon's the pool's workers may
// take: all of them while they are exchanged for others, and suspects have their own.
func (l *Layout) Descriptors() int {
	seats := max(l.count, l.config.MaxWorkers)
	workers := 2*(seats+l.config.Spare+l.config.Relief) + seats + maxAlone + trialWorkers
	conns := l.spec.Slots + min(l.spec.LoopSlots, 1) // those of a loop share one
	return workers * (conns*plugins.ConnDescriptors + workerDescriptors)
}

// place chooses the CPUs of a pool's workers.
func (l *Layout) place() error {
	t, err := topology.System().Read()
	if err != nil {
		return err
	}
	cpus, err := t.Select(l.config.Cores)
	if err != nil {
		return fmt.Errorf("cores: %w", err)
	}
	if l.config.Reserve > 0 {
		if _, cpus, err = t.Reserve(cpus, l.config.Reserve); err != nil {
			return fmt.Errorf("reserve: %w", err)
		}
	}
	l.spec.CPUs = cpus
	if l.count == 0 {
		l.count = len(cpus)
	}
	if !l.config.Pin {
		l.masks = t.Spread(cpus, max(l.count, l.config.MaxWorkers))
		return nil
	}
	for _, cpu := range t.Order(cpus) {
		l.masks = append(l.masks, []int{cpu})
	}
	return nil
}

// specFor is what all workers of a pool have in common, but for their CPUs.
func specFor(all *config.Config, c config.Pool, binDir string) (supervisor.Spec, error) {
	limits := &all.Limits
	for _, x := range all.Executors {
		if x.Name != c.Executor {
			continue
		}
		command, err := supervisor.Find(x.Command, binDir)
		if err != nil {
			return supervisor.Spec{}, fmt.Errorf("executor %q: %w", x.Name, err)
		}
		in := c.Environment.Over(x.Environment)
		settings := all.Access.Over(map[string]string{})
		maps.Copy(settings, c.Settings())
		user, err := userOf(c)
		if err != nil {
			return supervisor.Spec{}, err
		}
		memory := c.MemoryBytes
		if c.Processes {
			memory = 0 // it is each task's
		}
		return supervisor.Spec{
			Pool:         c.Name,
			Executor:     x.Name,
			Command:      command,
			SHA256:       x.SHA256,
			Slots:        c.Threads,
			LoopSlots:    c.AsyncConcurrency,
			Env:          in.Env,
			Settings:     settings,
			Given:        c.Given(&x),
			ResultBytes:  limits.ResultBytes,
			OutputBytes:  limits.OutputBytes,
			StartTimeout: limits.StartTimeout,
			LockStall:    limits.GILStall,

			OutputInterval: outputInterval,

			Limits:     supervisor.Limits{Nice: c.Nice, IO: c.IOPriority, OOMScoreAdj: c.OOMScoreAdj, MemoryBytes: memory},
			User:       user,
			Privileged: c.AsCaller(),
		}, nil
	}
	return supervisor.Spec{}, fmt.Errorf("executor %q is not configured", c.Executor)
}

// userOf finds whom the workers of a pool run as, nil: as the daemon.
func userOf(c config.Pool) (*supervisor.User, error) {
	if c.User == "" {
		return nil, nil
	}
	if err := supervisor.MayChangeUser(); err != nil {
		return nil, err
	}
	if c.AsCaller() {
		return nil, nil
	}
	return supervisor.FindUser(c.User, c.Group)
}
