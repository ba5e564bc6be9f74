package embedpy

// #include "embedpy.h"
// #include <stdlib.h>
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// Thread is an OS thread that can call Python. But for Flag and Interrupt its
// methods must be called on that thread.
type Thread struct {
	c      *C.ep_thread // C memory that lives as long as the process
	pins   runtime.Pinner
	pinned bool // there is something in pins
}

// OpenThread makes the calling OS thread one that can call Python. The caller has
// locked its goroutine to it, keeps it so until Close and then ends the goroutine
// without unlocking, for the thread is changed: it has a Python thread state, and
// a working directory and umask of its own where the kernel allows it.
func (in *Interpreter) OpenThread() (*Thread, error) {
	c := C.ep_thread_open(1)
	if c == nil {
		return nil, errors.New("no memory for a Python thread")
	}
	return &Thread{c: c}, nil
}

// Close ends the thread's Python state; objects made for it must be released
// before. No other method follows.
func (t *Thread) Close() { C.ep_thread_close(t.c) }

// Object is a reference to a Python object, counted until Release.
type Object struct{ ref *C.PyObject }

// Attr returns module.name, importing the module if need be.
func (t *Thread) Attr(module, name string) (*Object, error) {
	m, n := C.CString(module), C.CString(name)
	defer C.free(unsafe.Pointer(m))
	defer C.free(unsafe.Pointer(n))
	return t.object(C.ep_attr(t.c, m, n))
}

// Member returns o.name.
func (t *Thread) Member(o *Object, name string) (*Object, error) {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	return t.object(C.ep_member(t.c, o.ref, n))
}

// Make calls callable and keeps what it returns.
func (t *Thread) Make(callable *Object, args ...Value) (*Object, error) {
	if err := t.put(args); err != nil {
		return nil, err
	}
	defer t.drop()
	return t.object(C.ep_thread_make(t.c, callable.ref, C.int(len(args))))
}

// Release gives the reference up; o must not be used after it.
func (t *Thread) Release(o *Object) {
	C.ep_release(t.c, o.ref)
	o.ref = nil
}

// Call calls callable, which must return a tuple of str, bytes, int and None.
// The results are views into Python's memory, valid until the next call on t. An
// error matches ErrRaised.
func (t *Thread) Call(callable *Object, args ...Value) (Results, error) {
	return t.call(0, callable, nil, nil, args)
}

// CallRegion is Call as a region that can be interrupted: while callable runs,
// and only then, Interrupt with this key (1 to 1<<56-1) reaches it. An exception
// that leaves callable, an interrupt or its own, is handed to rescue, which runs
// after the region has ended and returns the results in its stead. settle (nil:
// none) is called then, without arguments, if _embedpy.drifted() holds. With a settle
// what is written to descriptors 1 and 2 meanwhile is captured, if there is a Capture,
// and descriptors 0 to 2 lead where they led when it is over. Report tells what the region
// took.
func (t *Thread) CallRegion(key uint64, callable, rescue, settle *Object, args ...Value) (Results, error) {
	return t.call(key, callable, rescue.reference(), settle.reference(), args)
}

// reference is NULL for a nil Object.
func (o *Object) reference() *C.PyObject {
	if o == nil {
		return nil
	}
	return o.ref
}

func (t *Thread) call(key uint64, callable *Object, rescue, settle *C.PyObject, args []Value) (Results, error) {
	if err := t.put(args); err != nil {
		return Results{}, err
	}
	n := C.ep_thread_call(t.c, C.uint64_t(key), callable.ref, rescue, settle, C.int(len(args)))
	t.drop()
	if n < 0 {
		return Results{}, t.raised()
	}
	return Results{t: t, n: int(n)}, nil
}

// Report is what the last region of a thread took and met.
type Report struct {
	// Wall is the time in the region. CPU is the thread's CPU time in it: true
	// to 1 ms, and never above Wall. A region shorter than 100 µs may be taken to
	// have been on the CPU throughout.
	Wall, CPU time.Duration
	// GIL is how long the call waited for the GIL before the region. What it waits
	// for inside, after it has let go of it, is not known.
	GIL time.Duration
	// Interrupted: an interrupt was raised in it. An interrupt that came too
	// late to be raised does not count.
	Interrupted bool
	// Unsettled: settle failed.
	Unsettled bool
	// FlagSeen: its code asked for the flag and saw it.
	FlagSeen bool
	// Printed: it had a settle, and Capture.Take has what was written meanwhile.
	Printed bool
}

// Report describes the last CallRegion.
func (t *Thread) Report() Report {
	return Report{Wall: time.Duration(t.c.wall_ns), CPU: time.Duration(t.c.cpu_ns), GIL: time.Duration(t.c.gil_ns),
		Interrupted: t.c.was_interrupted != 0, FlagSeen: t.c.flag_seen != 0, Unsettled: t.c.unsettled != 0,
		Printed: t.c.printed != 0}
}

// Flag shows reason (1 to 255) to the Python code of the region with that key
// when it asks. Any goroutine may call it; it never waits.
func (t *Thread) Flag(key uint64, reason uint8) {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&t.c.flag)), key<<8|uint64(reason))
}

// Interrupt raises the interrupt of that index, as Python code has set them by
// _embedpy.set_interrupts, in t's region of that key: at once if it is open, at
// its beginning if it is still to come, else nowhere. Each index is raised at
// most once per region. It waits for the GIL; any goroutine may call it. It
// reports whether the region was open.
func (t *Thread) Interrupt(key uint64, index int) bool {
	return C.ep_interrupt(t.c, C.uint64_t(key), C.uint(index)) != 0
}

func (t *Thread) load(name, file, source string, compiled []byte) error {
	n, f, s := C.CString(name), C.CString(file), C.CString(source)
	defer C.free(unsafe.Pointer(n))
	defer C.free(unsafe.Pointer(f))
	defer C.free(unsafe.Pointer(s))
	if C.ep_load(t.c, n, f, s, (*C.char)(unsafe.Pointer(unsafe.SliceData(compiled))), C.size_t(len(compiled))) != 0 {
		return t.raised()
	}
	return nil
}

func (t *Thread) object(ref *C.PyObject) (*Object, error) {
	if ref == nil {
		return nil, t.raised()
	}
	return &Object{ref: ref}, nil
}

func (t *Thread) raised() error {
	return fmt.Errorf("%w: %s", ErrRaised, C.GoString(&t.c.error[0]))
}

// ReturnSlack gives the calling thread, and what it starts from now on, the timer slack
// that the process has begun with: see slack.c. Threads that can call Python have it. Who
// starts a process for others calls it before, and keeps its goroutine on the thread.
func ReturnSlack() { C.ep_slack_return() }

// HadChildren reports whether the process has children, or has waited for one since
// the last call: they may have inherited descriptors and passed them on.
func HadChildren() bool { return C.ep_had_children() != 0 }

// Displaced reports whether a thread was found, when a call on it with a settle ended or
// Python asked for drifted(), to have lost for good what it began with: its user, its groups
// or its root folder, or what the kernel or an audit hook let it do.
func Displaced() bool { return atomic.LoadInt32((*int32)(unsafe.Pointer(&C.ep_standing_lost))) != 0 }
