package embedpy

// #include "embedpy.h"
// #include <stdlib.h>
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/cgo"
	"strings"
	"sync/atomic"
	"unsafe"
)

// Sentinels; match them with errors.Is.
var (
	// ErrStarted: this process has an interpreter, or has failed to start one.
	ErrStarted = errors.New("the interpreter can be started only once in a process")
	// ErrInit: CPython could not be brought up; the process must exit.
	ErrInit = errors.New("CPython failed to start")
	// ErrRaised: the Python code that was called raised an exception that
	// nothing handled, or returned what can't be a result.
	ErrRaised = errors.New("python raised")
	// ErrTooManyValues: a call takes at most MaxValues arguments.
	ErrTooManyValues = errors.New("too many arguments")
)

// MaxValues bounds the arguments and the results of one call.
const MaxValues = C.EP_MAX_VALUES

// started is the one thing that is the process's and not an interpreter's:
// CPython itself keeps its state in globals.
var started atomic.Bool

// Config says how to start the interpreter.
type Config struct {
	// Executable is Python's sys.executable, from which it finds its library; a
	// venv's python puts that venv in force. Empty means the python that belongs
	// to the libpython this program is linked with.
	Executable string
	// Posted takes what Python code posts. It is called without the GIL, on the
	// thread that posts, which waits for it; so it may come from several threads
	// at once. May be nil.
	Posted func(Post)
	// OnMain calls its argument, which returns only if CPython can't be started, on
	// the OS thread that is to be Python's main thread: the process's first one if
	// signals are to interrupt what Python code waits for there. nil: a thread of the
	// interpreter's own.
	OnMain func(func())
}

// Post is an event out of Python code. Channel, Key and Kind mean what the
// Python side means by them.
type Post struct {
	Channel, Key uint64
	Kind         int64
	Number       float64
	// Text is UTF-8 in Python's memory: valid until Posted returns.
	Text []byte
}

// Interpreter is the process's CPython. Its methods may be called from any
// goroutine.
type Interpreter struct {
	posted     func(Post)
	executable string
	main       chan func(*Thread)
	work       chan func(*Thread)
}

// Start brings CPython up on what stays Python's main thread for the life of the
// process. It can be called once; after an error that matches ErrInit the process
// must exit.
func Start(c Config) (*Interpreter, error) {
	if !started.CompareAndSwap(false, true) {
		return nil, ErrStarted
	}
	if c.Executable == "" {
		exe, err := linkedExecutable()
		if err != nil {
			return nil, err
		}
		c.Executable = exe
	}
	in := &Interpreter{posted: c.Posted, executable: c.Executable, main: make(chan func(*Thread)), work: make(chan func(*Thread))}
	C.ep_owner = C.uintptr_t(cgo.NewHandle(in))
	ready := make(chan error)
	begin := func() { in.serveMain(c.Executable, ready) }
	if c.OnMain != nil {
		c.OnMain(begin)
	} else {
		go begin()
	}
	if err := <-ready; err != nil {
		return nil, err
	}
	go in.serve(ready)
	return in, <-ready
}

// serveMain is Python's main thread: it starts CPython and then does what Main
// hands it. It never returns once CPython is up, so that its OS thread never ends.
func (in *Interpreter) serveMain(executable string, ready chan<- error) {
	runtime.LockOSThread()
	path := C.CString(executable)
	defer C.free(unsafe.Pointer(path))
	var reason [C.EP_ERROR]C.char
	if C.ep_start(path, &reason[0], C.EP_ERROR) != 0 {
		ready <- fmt.Errorf("%w: %s (executable %s)", ErrInit, C.GoString(&reason[0]), executable)
		return
	}
	t := &Thread{c: C.ep_thread_main()}
	if t.c == nil {
		ready <- fmt.Errorf("%w: no memory", ErrInit)
		return
	}
	ready <- nil
	for f := range in.main {
		f(t)
	}
}

// serve does what Do hands it, on a thread that runs no one's code for long.
func (in *Interpreter) serve(ready chan<- error) {
	runtime.LockOSThread()
	t, err := in.OpenThread()
	ready <- err
	if err != nil {
		return
	}
	for f := range in.work {
		f(t)
	}
}

// Executable is Python's sys.executable.
func (in *Interpreter) Executable() string { return in.executable }

// Version is the version of the running CPython, e.g. "3.11.2".
func (in *Interpreter) Version() string { return LinkedVersion() }

// LinkedVersion is the version of the libpython that is linked, which need not run.
func LinkedVersion() string {
	version, _, _ := strings.Cut(C.GoString(C.Py_GetVersion()), " ")
	return version
}

// Main runs f on Python's main thread and returns when it has run. An f that does
// not return keeps the thread: Main must not be called again.
func (in *Interpreter) Main(f func(*Thread)) {
	done := make(chan struct{})
	in.main <- func(t *Thread) { defer close(done); f(t) }
	<-done
}

// Do runs f on a Python thread that is neither the main thread nor anybody else's,
// and returns when it has run, or with ctx's error when f has not begun or has not
// ended by then; f then still runs. f must be short: health checks wait behind it.
// It must not keep the Thread.
func (in *Interpreter) Do(ctx context.Context, f func(*Thread)) error {
	done := make(chan struct{})
	select {
	case in.work <- func(t *Thread) { defer close(done); f(t) }:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Load runs source, Python text, as a module of that name and adds it to
// sys.modules. file is what tracebacks show. Its builtins are a copy that no other
// code can change. It runs on Python's main thread.
func (in *Interpreter) Load(name, file, source string) error {
	return in.LoadCompiled(name, file, source, nil)
}

// LoadCompiled is Load of a source whose code may be at hand: compiled is the magic number
// of a version of Python and the marshalled code, as in a .pyc behind its header. It is
// used if this is that version, and saves the time to compile.
func (in *Interpreter) LoadCompiled(name, file, source string, compiled []byte) (err error) {
	in.Main(func(t *Thread) { err = t.load(name, file, source, compiled) })
	return err
}

//export embedpyPosted
func embedpyPosted(owner C.uintptr_t, channel, key C.ulonglong, kind C.longlong, number C.double, text *C.char, size C.size_t) {
	in := cgo.Handle(owner).Value().(*Interpreter)
	if in.posted == nil {
		return
	}
	in.posted(Post{Channel: uint64(channel), Key: uint64(key), Kind: int64(kind), Number: float64(number),
		Text: unsafe.Slice((*byte)(unsafe.Pointer(text)), int(size))})
}
