package wasm

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cpulb/plugins/wasm/sandbox"
)

// What bounds a worker's knowledge of modules, and a compilation.
const (
	mostKnown      = 256
	compileTimeout = time.Minute
	compileMemory  = 1 << 30
)

// modules are what a worker knows of modules: what its files have, and how compilations ended.
type modules struct {
	executor *Executor

	mu       sync.Mutex
	files    map[identity]string // to the module's name
	compiled map[string]*compilation
	order    []string // of compiled, oldest first
}

// compilation is one that runs or has ended. It does not end with the task that wanted it
// first: whoever gives modules too little time would have each begin anew.
type compilation struct {
	done chan struct{}
	err  error // once it is done; a refusal is the module's own fault
}

func newModules(e *Executor) *modules {
	return &modules{executor: e, files: map[identity]string{}, compiled: map[string]*compilation{}}
}

// module is one that can be run.
type module struct {
	name string
	path string
	code []byte // nil: it has not been read this time
	dirs []string
}

// bytes returns what it consists of, as long as that is what the name says.
func (m *module) bytes() ([]byte, error) {
	if m.code != nil {
		return m.code, nil
	}
	f, err := open(m.path, m.dirs)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	code, err := readModule(f)
	if err == nil && sum(code) != m.name {
		err = refuse("script_unreadable", "OSError", "%s changed while it was read", m.path)
	}
	m.code = code
	return code, err
}

// find returns the module in the file at path, and reads it only if it may have changed.
func (m *modules) find(path string) (*module, error) {
	found := &module{path: path, dirs: m.executor.settings.scriptDirs}
	f, err := open(path, found.dirs)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	id, settled, err := identityOf(f)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	found.name = m.files[id]
	m.mu.Unlock()
	if found.name != "" {
		return found, nil
	}
	if found.code, err = readModule(f); err != nil {
		return nil, err
	}
	found.name = sum(found.code)
	if settled {
		m.mu.Lock()
		if len(m.files) >= mostKnown {
			clear(m.files) // what is used comes back at the price of a read
		}
		m.files[id] = found.name
		m.mu.Unlock()
	}
	return found, nil
}

// ready waits until a module has been compiled, and compiles it if nobody has. It fails with
// ctx's error if that ends first.
func (m *modules) ready(ctx context.Context, of *module) error {
	m.mu.Lock()
	c := m.compiled[of.name]
	if c == nil {
		c = &compilation{done: make(chan struct{})}
		m.compiled[of.name] = c
		m.order = append(m.order, of.name)
		if len(m.order) > mostKnown {
			delete(m.compiled, m.order[0])
			m.order = slices.Delete(m.order, 0, 1)
		}
		m.mu.Unlock()
		code, err := of.bytes()
		if err != nil {
			m.end(of.name, c, err)
			return err
		}
		if m.isKnown(of.name) {
			m.end(of.name, c, nil)
		} else {
			go func() { m.end(of.name, c, m.compile(of.name, code)) }()
		}
	} else {
		m.mu.Unlock()
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end notes how c ended. What says nothing of the module is not kept.
func (m *modules) end(name string, c *compilation, err error) {
	c.err = err
	if _, own := err.(*refusal); err != nil && !own {
		m.mu.Lock()
		delete(m.compiled, name)
		m.order = slices.DeleteFunc(m.order, func(s string) bool { return s == name })
		m.mu.Unlock()
	}
	close(c.done)
}

// compile has a process of its own compile a module into the cache, from where the slots' take
// it. A module that is made to break the compiler, or to have it take all memory, breaks that one.
func (m *modules) compile(name string, code []byte) error {
	c := m.executor.sandbox
	c.Data = compileMemory
	p, err := m.executor.startProcess(c, false)
	if err != nil {
		return err
	}
	defer p.close()
	ctx, cancel := context.WithTimeout(context.Background(), compileTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, p.kill)()
	if err := p.send(&sandbox.Request{Module: name}, code, nil); err != nil {
		p.close()
		return refuse("script_syntax", "WasmError", "it can't be compiled: %s", p.words())
	}
	report, err := p.receive(nil)
	switch {
	case err != nil && ctx.Err() != nil:
		return refuse("script_syntax", "WasmError", "it can't be compiled within %v", compileTimeout)
	case err != nil:
		p.close()
		return refuse("script_syntax", "WasmError", "it can't be compiled: %s", p.words())
	case report.End == sandbox.Invalid:
		return refuse("script_syntax", "WasmError", "it can't be compiled: %s", report.Message)
	}
	m.know(name)
	m.trim()
	return nil
}

// mark is the file that says that a module has been compiled by this version: with a cache_dir that
// outlives workers the next one need not try.
func (m *modules) mark(name string) string {
	return filepath.Join(m.executor.settings.cacheDir, "compiled-by-"+wazeroVersion()+"-"+m.executor.settings.engine, name)
}

func (m *modules) isKnown(name string) bool {
	_, err := os.Stat(m.mark(name))
	return err == nil
}

// know makes the mark. An error costs the next worker a compilation.
func (m *modules) know(name string) {
	if os.MkdirAll(filepath.Dir(m.mark(name)), 0o700) == nil {
		_ = os.WriteFile(m.mark(name), nil, 0o600)
	}
}

// leastFile is what a file takes at least.
const leastFile = 4096

// trim removes the oldest files of the cache while they are too many.
func (m *modules) trim() {
	type file struct {
		path string
		size int64
		at   time.Time
	}
	var all []file
	var total int64
	_ = filepath.WalkDir(m.executor.settings.cacheDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // it has gone, or is not the cache's
		}
		if info, err := d.Info(); err == nil {
			size := max(info.Size(), leastFile)
			all, total = append(all, file{path, size, info.ModTime()}), total+size
		}
		return nil
	})
	slices.SortFunc(all, func(a, b file) int { return a.at.Compare(b.at) })
	for _, f := range all {
		if total <= m.executor.settings.cacheSize {
			return
		}
		_ = os.Remove(f.path) // an error: another worker has removed it, or the next trim meets it again
		total -= f.size
	}
}
