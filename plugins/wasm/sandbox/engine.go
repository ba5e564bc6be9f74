package sandbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
	"golang.org/x/sys/unix"
)

// engine is the runtime with the modules that it has loaded.
type engine struct {
	config  Config
	runtime wazero.Runtime
	plain   wazero.Runtime // it has no cache, for what the cache has kept runtime from loading; nil: not needed yet
	modules map[string]loaded
	events  func(line []byte) // of the instance that runs
}

// loaded is a module with its runtime.
type loaded struct {
	in     wazero.Runtime
	module wazero.CompiledModule
}

func newEngine(ctx context.Context, c Config) (_ *engine, err error) {
	e := &engine{config: c, modules: map[string]loaded{}}
	e.runtime, err = e.newRuntime(ctx, e.caches())
	return e, err
}

func (e *engine) caches() bool { return e.config.CacheDir != "" && !e.config.Interpreted }

func (e *engine) newRuntime(ctx context.Context, caches bool) (wazero.Runtime, error) {
	c := e.config
	kind := wazero.NewRuntimeConfigCompiler()
	if c.Interpreted {
		kind = wazero.NewRuntimeConfigInterpreter()
	}
	kind = kind.WithCloseOnContextDone(false).WithDebugInfoEnabled(false).WithCoreFeatures(api.CoreFeaturesV2)
	if caches {
		cache, err := wazero.NewCompilationCacheWithDir(c.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("cache_dir: %w", err)
		}
		kind = kind.WithCompilationCache(cache)
	}
	r := wazero.NewRuntimeWithConfig(ctx, kind)
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		return nil, err
	}
	_, err := r.NewHostModuleBuilder("cpulb").NewFunctionBuilder().WithFunc(e.event).
		WithParameterNames("text", "length").Export("event").Instantiate(ctx)
	return r, err
}

// mostEvent bounds what an instance gives to event in one call.
const mostEvent = 1 << 20

// event is the function "event" of the module "cpulb": it takes one event as JSON text, see
// docs/wasm.md. It returns 0, or 1 if it does not take it.
func (e *engine) event(_ context.Context, m api.Module, text, length uint32) uint32 {
	if m.Memory() == nil || length > mostEvent {
		return 1
	}
	line, ok := m.Memory().Read(text, length)
	if !ok || e.events == nil {
		return 1
	}
	line = bytes.ReplaceAll(line, []byte{'\n'}, []byte{' '}) // a copy, too: the memory is the instance's
	e.events(append(line, '\n'))
	return 0
}

// errUnloaded is matched when a module could not be loaded, which says nothing of it.
var errUnloaded = errors.New("it could not be loaded")

// load compiles module, or takes it from the cache. An error is the module's fault, unless it
// matches errUnloaded.
func (e *engine) load(ctx context.Context, name string, module []byte) (_ loaded, err error) {
	if m, has := e.modules[name]; has {
		return m, nil
	}
	defer func() {
		if r := recover(); r != nil { // what it does not expect, of a module or of the system
			err = fmt.Errorf("%w: the compiler failed: %v", errUnloaded, r)
		}
	}()
	m, err := e.compile(ctx, module)
	if err != nil {
		return m, err
	}
	for _, f := range m.module.ImportedFunctions() {
		from, what, _ := f.Import()
		offers := e.runtime.Module(from)
		if offers == nil || offers.ExportedFunctionDefinitions()[what] == nil {
			return m, fmt.Errorf("it imports the function %s.%s; there are those of wasi_snapshot_preview1, and cpulb.event",
				clip(from, mostName), clip(what, mostName))
		}
	}
	e.modules[name] = m
	return m, nil
}

// compile compiles module. A cache that is full, broken or read-only costs time, and decides
// nothing: what can't be compiled without one is at fault itself.
func (e *engine) compile(ctx context.Context, module []byte) (m loaded, err error) {
	attempts := 1
	if e.caches() {
		attempts = 2 // what the runtime could not write, it has in its memory the second time
	}
	for range attempts {
		if m.module, err = e.runtime.CompileModule(ctx, module); err == nil {
			m.in = e.runtime
			return m, nil
		}
	}
	if e.caches() {
		if e.plain == nil {
			var perr error
			if e.plain, perr = e.newRuntime(ctx, false); perr != nil {
				return m, fmt.Errorf("%w: %w", errUnloaded, perr)
			}
		}
		m.in = e.plain
		m.module, err = e.plain.CompileModule(ctx, module)
	}
	if system := unix.Errno(0); errors.As(err, &system) {
		err = fmt.Errorf("%w: %w", errUnloaded, err)
	}
	return m, err
}

// forget gives up a module.
func (e *engine) forget(ctx context.Context, name string) {
	if m, has := e.modules[name]; has {
		_ = m.module.Close(ctx)
		delete(e.modules, name)
	}
}

// streams are where an instance's output goes.
type streams struct {
	output, errors *stream
	events         func(line []byte)
}

// run runs an instance of m, to its end.
func (e *engine) run(ctx context.Context, m loaded, r *Request, input []byte, to streams) (end *Report) {
	memory := &allocator{most: uint64(e.config.Memory)}
	began, cpu := time.Now(), threadTime()
	defer func() {
		if p := recover(); p != nil {
			end = &Report{End: Trapped, Message: fmt.Sprint(p)}
		}
		if end.End == Trapped && end.Message == "" || memory.denied && end.End == Invalid {
			end.End, end.Message = Trapped, "there is not as much memory as it begins with"
		}
		end.Denied, end.RunNS, end.CPUNS = memory.denied, int64(time.Since(began)), int64(threadTime()-cpu)
	}()
	e.events = to.events
	defer func() { e.events = nil }()
	c := wazero.NewModuleConfig().WithName("").WithStartFunctions().WithArgs(r.Args...).WithStdin(bytes.NewReader(input)).
		WithStdout(to.output).WithStderr(to.errors).WithRandSource(rand.Reader).WithSysWalltime().WithSysNanotime().WithSysNanosleep()
	for _, v := range r.Env {
		name, value, _ := strings.Cut(v, "=")
		c = c.WithEnv(name, value)
	}
	instance, err := m.in.InstantiateModule(experimental.WithMemoryAllocator(ctx, memory), m.module, c)
	if err != nil {
		return endOf(err, Invalid)
	}
	defer instance.Close(ctx)
	function, problem := entry(instance, m.module, r.Function)
	if problem != "" {
		return &Report{End: NoFunction, Message: problem}
	}
	// A library has its constructors called first; a command calls them itself.
	if begin := instance.ExportedFunction("_initialize"); begin != nil && function.Definition().Index() != begin.Definition().Index() {
		if _, err := begin.Call(ctx); err != nil {
			return endOf(err, Trapped)
		}
	}
	_, err = function.Call(ctx)
	return endOf(err, Trapped)
}

// entry finds what is to be called; a problem says why it can't be.
func entry(instance api.Module, m wazero.CompiledModule, name string) (_ api.Function, problem string) {
	if name == Main {
		if f := instance.ExportedFunction("_start"); f != nil {
			return f, ""
		}
	}
	f := instance.ExportedFunction(name)
	var all []string
	for export := range m.ExportedFunctions() {
		all = append(all, export)
	}
	slices.Sort(all)
	switch {
	case f == nil && name == Main:
		return nil, "it exports neither _start nor main, but " + list(all)
	case f == nil:
		return nil, fmt.Sprintf("it exports no function %q, but %s", clip(name, mostName), list(all))
	case len(f.Definition().ParamTypes()) > 0:
		return nil, fmt.Sprintf("its function %q takes %d parameters; a task's function takes none, and reads params from standard input", clip(name, mostName),
			len(f.Definition().ParamTypes()))
	}
	return f, ""
}

func list(names []string) string {
	if len(names) == 0 {
		return "none at all"
	}
	if len(names) > 20 {
		names = append(names[:20:20], "…")
	}
	clipped := make([]string, len(names))
	for i, name := range names {
		clipped[i] = clip(name, mostName)
	}
	return strings.Join(clipped, ", ")
}

// traceMark begins the part of an error's text that lists functions.
const traceMark = "wasm stack trace:"

// endOf tells how a call ended; otherwise is what an error is that no instruction has caused.
func endOf(err error, otherwise End) *Report {
	var exit *sys.ExitError
	switch {
	case err == nil:
		return &Report{End: Exited}
	case errors.As(err, &exit):
		return &Report{End: Exited, ExitCode: int(exit.ExitCode())}
	}
	text := err.Error()
	message, trace, _ := strings.Cut(text, traceMark)
	r := &Report{End: otherwise, Message: strings.TrimSpace(message), Trace: strings.TrimSpace(trace)}
	// wazero has no type for them that others could name.
	if _, words, trapped := strings.Cut(r.Message, "wasm error: "); trapped {
		r.End, r.Message = Trapped, words
	}
	return r
}

func threadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // it exists
	return time.Duration(t.Nano())
}
