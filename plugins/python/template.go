package python

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"cpulb/embedpy"
	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// isolation is what a worker of process isolation has instead of an interpreter of its own.
type isolation struct {
	maxTasks int
	memory   int64
	cpuTime  time.Duration
	walls    walls
	template *embedpy.Template
	gone     atomic.Bool // one of the subreapers has ended
	asCaller bool        // tasks run as who has submitted them
	callers  callers
	sockets  []int // to the subreapers of the slots, two for each
}

// templateSettings is what template.py reads.
type templateSettings struct {
	Worker      string   `json:"worker"`
	Folder      string   `json:"folder"`
	Daemon      uint32   `json:"daemon"` // its uid
	Sources     string   `json:"sources"`
	Rehearsal   string   `json:"rehearsal"` // a script that does nothing
	ScriptDirs  string   `json:"script_dirs"`
	Preload     []string `json:"preload"`
	Subreapers  int      `json:"subreapers"` // two for each slot
	MaxTasks    int      `json:"max_tasks"`
	Memory      int64    `json:"memory"`
	CPUSeconds  int64    `json:"cpu_seconds"`
	ResultBytes int64    `json:"result_bytes"`
	OutputBytes int64    `json:"output_bytes"`
	Walls       walls    `json:"walls"`
	AsCaller    bool     `json:"as_caller"`
}

func (e *Executor) templateSettings() templateSettings {
	return templateSettings{
		Worker:      e.conf.WorkerID,
		Folder:      e.conf.RuntimeDir,
		Daemon:      e.conf.DaemonUID,
		Sources:     e.sources.dir,
		Rehearsal:   e.probes.thread,
		ScriptDirs:  e.scriptDirs,
		Preload:     e.preloads,
		Subreapers:  subreapers * e.conf.Slots,
		MaxTasks:    e.apart.maxTasks,
		Memory:      e.apart.memory,
		CPUSeconds:  e.apart.cpuSeconds(),
		ResultBytes: e.conf.ResultBytes,
		OutputBytes: e.conf.OutputBytes,
		Walls:       e.apart.walls,
		AsCaller:    e.apart.asCaller,
	}
}

// cpuSeconds is cpu_time as the kernel counts it.
func (i *isolation) cpuSeconds() int64 { return int64(math.Ceil(i.cpuTime.Seconds())) }

// isolate makes this the worker of a template: it starts no interpreter.
func (e *Executor) isolate(_ context.Context, executable string) (string, error) {
	if e.conf.LoopSlots > 0 {
		return "", fmt.Errorf("%w: async_concurrency: there is no event loop with isolation = \"process\"", plugins.ErrBadSetting)
	}
	if e.apart.asCaller && e.apart.maxTasks > 1 {
		return "", fmt.Errorf("%w: max_tasks: with user = \"caller\" each task has a process of its own", plugins.ErrBadSetting)
	}
	e.sources.open = e.apart.asCaller
	if err := errors.Join(e.apart.walls.build(), e.apart.walls.check(e.conf.RuntimeDir, e.scriptDirs)); err != nil {
		return "", err
	}
	e.sources.dir = filepath.Join(e.conf.RuntimeDir, sourcesFolder)
	if err := os.MkdirAll(e.sources.dir, 0o700); err != nil {
		return "", err
	}
	if err := errors.Join(e.installProbes(), e.writeRules()); err != nil {
		return "", err
	}
	if e.sources.open {
		for _, dir := range []string{e.conf.RuntimeDir, e.sources.dir} {
			if err := os.Chmod(dir, 0o711); err != nil {
				return "", err
			}
		}
	}
	modules, err := templateModules()
	if err != nil {
		return "", err
	}
	settings, err := json.Marshal(e.templateSettings())
	if err != nil {
		return "", err
	}
	return "CPython " + embedpy.LinkedVersion(), e.startTemplate(executable, modules, settings)
}

func (e *Executor) startTemplate(executable string, modules []embedpy.Module, settings []byte) error {
	control, inherited, err := e.templateSockets()
	if err != nil {
		return err
	}
	template, answer, err := embedpy.StartTemplate(executable, modules, settings, control, inherited)
	if err != nil {
		return err
	}
	if answer != "+" {
		template.Close()
		if text, ok := strings.CutPrefix(answer, "?"); ok {
			return fmt.Errorf("%w: %s", plugins.ErrBadSetting, text)
		}
		return fmt.Errorf("%w: %s", embedpy.ErrInit, strings.TrimPrefix(answer, "-"))
	}
	e.apart.template = template
	// Tasks of this user are not to read this process, which has other tasks' params, or to take
	// its descriptors. No script runs in it, so nothing of theirs is lost.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		template.Close()
		return err
	}
	go template.Wait() // the subreapers need it no more
	return nil
}

// templateSockets makes the sockets between here and the template, and the slots' subreapers.
func (e *Executor) templateSockets() (control *os.File, inherited []*os.File, err error) {
	for i := range subreapers*e.conf.Slots + 1 {
		kind := unix.SOCK_SEQPACKET
		if i == 0 {
			kind = unix.SOCK_STREAM
		}
		pair, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, nil, err
		}
		inherited = append(inherited, os.NewFile(uintptr(pair[1]), "template"))
		if i == 0 {
			control = os.NewFile(uintptr(pair[0]), "template")
		} else {
			e.apart.sockets = append(e.apart.sockets, pair[0])
		}
	}
	return control, inherited, nil
}

// templateModules are the runtime's.
func templateModules() ([]embedpy.Module, error) {
	var modules []embedpy.Module
	for _, name := range append(runtimeModules(), "apart", "template") {
		m, err := moduleOf(name)
		if err != nil {
			return nil, err
		}
		modules = append(modules, m)
	}
	return modules, nil
}

// isolationSettings are those that belong to process isolation.
func isolationSettings() []string {
	return append(wallSettings(), "isolation", "max_tasks", "memory", "cpu_time", "user")
}

// isolationSetting reads one of these.
func (e *Executor) isolationSetting(name, value, isolated string) (err error) {
	bad := func(want string) error {
		return fmt.Errorf("%w: %s: %q is not %s", plugins.ErrBadSetting, name, value, want)
	}
	if isolated != "process" {
		if name == "isolation" {
			if value == "thread" {
				return nil
			}
			return bad(`"thread" or "process"`)
		}
		return fmt.Errorf("%w: %s needs isolation = \"process\"", plugins.ErrBadSetting, name)
	}
	if e.apart == nil {
		e.apart = &isolation{maxTasks: 1}
	}
	if known, err := e.apart.walls.set(name, value); known {
		return err
	}
	switch name {
	case "max_tasks":
		if e.apart.maxTasks, err = strconv.Atoi(value); err != nil || e.apart.maxTasks < 1 {
			return bad("a number of tasks, at least 1")
		}
	case "memory":
		if e.apart.memory, err = strconv.ParseInt(value, 10, 64); err != nil || e.apart.memory < 0 {
			return bad("a number of bytes")
		}
	case "user":
		if e.apart.asCaller = value == "caller"; !e.apart.asCaller {
			return bad(`"caller"`)
		}
	case "cpu_time":
		if e.apart.cpuTime, err = time.ParseDuration(value); err != nil || e.apart.cpuTime < 0 {
			return bad(`a duration such as "10s"`)
		}
	}
	return nil
}

// health says whether all are there who fork.
func (i *isolation) health() error {
	if i.gone.Load() {
		return errSubreaperGone
	}
	return nil
}

var errSubreaperGone = errors.New("a process that forks those of tasks has ended")
