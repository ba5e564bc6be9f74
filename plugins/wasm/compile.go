package wasm

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"cpulb/plugins/wasm/sandbox"
)

// What bounds compilations. Each has a process of its own, so a worker may take mostCompiling times
// compileMemory for all of them.
const (
	mostCompiling  = 2
	compileTimeout = time.Minute
	compileMemory  = 1 << 30
)

// compilations are those of a worker: few at a time, the others wait for their turn. One that no
// task waits for any more is ended. What is certain of a module is kept: that it has been compiled,
// or can't be. What says nothing of it, as that the kernel ended the compiler, is the answer for the
// tasks that wait, and the next one tries again.
type compilations struct {
	compile func(ctx context.Context, name string, code []byte) error
	turns   chan struct{}

	mu    sync.Mutex
	all   map[string]*compilation
	order []string // of those that have ended and are kept, oldest first
}

// compilation is one that waits for its turn, runs, or has ended.
type compilation struct {
	waiting int // tasks; guarded by compilations.mu
	stop    context.CancelFunc
	done    chan struct{}
	err     error // once it is done
}

func newCompilations(compile func(ctx context.Context, name string, code []byte) error) *compilations {
	return &compilations{compile: compile, turns: make(chan struct{}, mostCompiling), all: map[string]*compilation{}}
}

// await waits until the module with that name has been compiled, and has it begun if it has not. An
// error of code is that of the one task, and one of ctx is returned.
func (c *compilations) await(ctx context.Context, name string, code func() ([]byte, error)) error {
	of := c.join(name)
	if of == nil {
		module, err := code()
		if err != nil {
			return err
		}
		of = c.begin(name, module)
	}
	select {
	case <-of.done:
		return of.err
	case <-ctx.Done():
		c.leave(name, of)
		return ctx.Err()
	}
}

// join returns the compilation of that name with one more that waits for it; nil: there is none.
func (c *compilations) join(name string) *compilation {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.all[name]
	if of != nil {
		of.waiting++
	}
	return of
}

// begin is join, and makes one if there is none.
func (c *compilations) begin(name string, module []byte) *compilation {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.all[name]
	if of == nil {
		ctx, stop := context.WithCancel(context.Background())
		of = &compilation{stop: stop, done: make(chan struct{})}
		c.all[name] = of
		go c.run(ctx, name, module, of)
	}
	of.waiting++
	return of
}

// leave takes back a join. The next one that wants the module begins anew once it was the last.
func (c *compilations) leave(name string, of *compilation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of.waiting--
	if of.waiting == 0 && !of.ended() {
		of.stop()
		if c.all[name] == of {
			delete(c.all, name)
		}
	}
}

func (of *compilation) ended() bool {
	select {
	case <-of.done:
		return true
	default:
		return false
	}
}

// run compiles once it is its turn. The turn is over when the process has ended.
func (c *compilations) run(ctx context.Context, name string, module []byte, of *compilation) {
	defer of.stop()
	var err error
	select {
	case c.turns <- struct{}{}:
		if err = ctx.Err(); err == nil {
			err = c.compile(ctx, name, module)
		}
		<-c.turns
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	of.err = err
	close(of.done)
	if c.all[name] == of { // else nobody waits for it any more
		c.keep(name, err)
	}
}

// keep keeps what is certain, for a bounded number of modules.
func (c *compilations) keep(name string, err error) {
	var r *refusal
	if err != nil && (!errors.As(err, &r) || !r.certain) {
		delete(c.all, name)
		return
	}
	c.order = append(c.order, name)
	if len(c.order) > mostKnown {
		delete(c.all, c.order[0])
		c.order = slices.Delete(c.order, 0, 1)
	}
}

// compile has a process of its own compile a module into the cache, from where the slots' take
// it. A module that is made to break the compiler, or to have it take all memory, breaks that one.
func (m *modules) compile(ctx context.Context, name string, code []byte) error {
	c := m.executor.sandbox
	c.Data, c.Compiles = compileMemory, true
	p, err := m.executor.startProcess(c, false)
	if err != nil {
		return err
	}
	defer p.close()
	ctx, cancel := context.WithTimeout(ctx, compileTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, p.kill)()
	var report *sandbox.Report
	if err = p.send(&sandbox.Request{Module: name}, code, nil); err == nil {
		report, err = p.receive(nil)
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil:
		return refuse("script_syntax", "WasmError", "it can't be compiled within %v", compileTimeout)
	case err != nil && ctx.Err() != nil:
		return ctx.Err() // nobody waits for it
	case err != nil:
		p.close()
		return refuse("script_syntax", "WasmError", "it can't be compiled: %s", p.words())
	case report.End == sandbox.Invalid:
		return certainly(refuse("script_syntax", "WasmError", "it can't be compiled: %s", report.Message))
	case report.End != sandbox.Exited:
		return refuse("script_syntax", "WasmError", "it can't be compiled: %s", report.Message)
	}
	m.know(name)
	m.trim()
	return nil
}
