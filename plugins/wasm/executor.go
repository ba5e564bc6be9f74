// Package wasm is the executor that runs WebAssembly modules, WASI programs that is: code
// which nobody trusts. The modules run in processes of package sandbox.
//
// Guarantees. Each task has an instance of its module of its own, which sees nothing of the
// machine but clocks and random numbers, and nothing of another task. Whatever a module does is an
// Outcome of its own task; a task that is to stop does so at once, whatever it does. A module is
// compiled once for each worker, however many slots have it, and compiled anew when its file has changed.
//
// Not guaranteed. The compiler and the runtime are wazero's, and as good as that. Behind them are
// the walls of package sandbox, which part a sandbox from files, processes and networks; who doubts
// wazero gives the pool a user of its own, too, and isolation = "process" to have a new process for each task.
package wasm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/program"
	"cpulb/plugins/wasm/sandbox"

	"golang.org/x/sys/unix"
)

// Executor implements plugins.Executor. Its program becomes a sandbox if it is called with
// sandbox.Role.
type Executor struct {
	version  string
	program  string // of the sandboxes
	conf     plugins.Configuration
	settings settings
	sandbox  sandbox.Config
	modules  *modules
}

// New returns the executor; version is the program's own.
func New(version string) *Executor { return &Executor{version: version, program: "/proc/self/exe"} }

// Describe implements plugins.Executor.
func (e *Executor) Describe() plugins.Description {
	return plugins.Description{Name: "wasm", Version: e.version, CanCancel: true, HasEvents: true, HasOutput: true, CanIsolate: true, TakesEnv: true,
		Settings: ownSettings()}
}

// Configure implements plugins.Executor.
func (e *Executor) Configure(_ context.Context, c plugins.Configuration) (string, error) {
	s, err := readSettings(c.Settings)
	if err != nil {
		return "", err
	}
	if c.LoopSlots > 0 {
		return "", fmt.Errorf("%w: async_concurrency: the wasm executor has no event loop", plugins.ErrBadSetting)
	}
	denied := mayNotCompile()
	switch {
	case s.engine == engineCompiler && denied != nil:
		return "", fmt.Errorf("%w: engine: machine code can't be made here (MemoryDenyWriteExecute= in a systemd unit?): %w", plugins.ErrBadSetting, denied)
	case s.engine == engineAuto && denied != nil:
		s.engine = engineInterpreter
		if c.Log != nil {
			c.Log.Warn("modules are interpreted, which takes tens of times as long: machine code can't be made here (MemoryDenyWriteExecute= in a systemd unit?)",
				"error", denied)
		}
	case s.engine == engineAuto:
		s.engine = engineCompiler
	}
	if s.cacheDir == "" {
		s.cacheDir = filepath.Join(c.RuntimeDir, "modules")
	}
	if err := os.MkdirAll(s.cacheDir, 0o700); err != nil {
		return "", fmt.Errorf("%w: cache_dir: %w", plugins.ErrBadSetting, err)
	}
	if err := unix.Access(s.cacheDir, unix.W_OK); err != nil {
		return "", fmt.Errorf("%w: cache_dir: %s can't be written to: %w", plugins.ErrBadSetting, s.cacheDir, err)
	}
	e.conf, e.settings = c, s
	e.sandbox = sandbox.Config{Memory: s.memory, Data: s.memory + overhead, CacheDir: s.cacheDir, Interpreted: s.engine == engineInterpreter}
	e.modules = newModules(e)
	return fmt.Sprintf("wazero %s (%s)", wazeroVersion(), s.engine), nil
}

// overhead is what a sandbox may have beyond an instance's memory: the runtime with the modules
// that it has loaded, and an instance's stack, which grows to 100 MB.
const overhead = 512 << 20

// Health implements plugins.Executor.
func (e *Executor) Health(ctx context.Context) (time.Duration, error) { return 0, ctx.Err() }

// OpenSlot implements plugins.Executor.
func (e *Executor) OpenSlot(index int) (plugins.Slot, error) {
	s := &slot{executor: e, index: index}
	s.stops = program.NewStops(s.stopRun)
	return s, nil
}

// mayNotCompile returns why no memory may be written first and executed then; nil: it may.
func mayNotCompile() error {
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer unix.Munmap(page)
	return unix.Mprotect(page, unix.PROT_READ|unix.PROT_EXEC)
}

func wazeroVersion() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/tetratelabs/wazero" {
				return strings.TrimPrefix(m.Version, "v")
			}
		}
	}
	return "of an unknown version"
}
