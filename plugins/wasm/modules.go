package wasm

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// mostKnown bounds a worker's knowledge of modules.
const mostKnown = 256

// modules are what a worker knows of modules: what its files have, and how compilations ended.
type modules struct {
	executor     *Executor
	compilations *compilations

	mu    sync.Mutex
	files map[identity]string // to the module's name
}

func newModules(e *Executor) *modules {
	m := &modules{executor: e, files: map[identity]string{}}
	m.compilations = newCompilations(m.compile)
	return m
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

// ready waits until a module has been compiled, and has it compiled if nobody has. It fails with
// ctx's error if that ends first.
func (m *modules) ready(ctx context.Context, of *module) error {
	if m.isKnown(of.name) {
		return nil
	}
	return m.compilations.await(ctx, of.name, of.bytes)
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
