package journal

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// memory is a folder that forgets what was not synced, as a machine does whose power is
// cut, and that can be without room.
type memory struct {
	mu    sync.Mutex
	names map[string]*memFile // as they are seen now
	disk  map[string]*memFile // as they are after a cut
	// room is how many bytes may still be written; negative: any number.
	room int64
	// failSync makes syncs fail. syncing, unless it is nil, holds them up until it is closed.
	failSync bool
	syncing  chan struct{}
	// began, unless it is nil, is called once a file has its first bytes.
	began func()
}

type memFile struct {
	in *memory
	// now is what is read, disk what a cut leaves for certain, writes what came since, in
	// order.
	now, disk []byte
	writes    []write
}

// write is one that was not synced; a truncation, if data is nil.
type write struct {
	at   int64
	data []byte
}

func newMemory() *memory {
	return &memory{names: map[string]*memFile{}, disk: map[string]*memFile{}, room: -1}
}

func (m *memory) locked() func() { m.mu.Lock(); return m.mu.Unlock }

func (m *memory) Path(name string) string { return "memory/" + name }

func (m *memory) List() ([]string, error) {
	defer m.locked()()
	return slices.Sorted(maps.Keys(m.names)), nil
}

func (m *memory) Open(name string) (file, error) {
	defer m.locked()()
	if f := m.names[name]; f != nil {
		return f, nil
	}
	return nil, os.ErrNotExist
}

func (m *memory) Create(name string) (file, error) {
	defer m.locked()()
	if m.names[name] != nil {
		return nil, os.ErrExist
	}
	m.names[name] = &memFile{in: m}
	return m.names[name], nil
}

func (m *memory) Remove(name string) error {
	defer m.locked()()
	if m.names[name] == nil {
		return os.ErrNotExist
	}
	delete(m.names, name)
	return nil
}

var errIO = errors.New("input/output error")

func (m *memory) Sync() error {
	defer m.locked()()
	if m.failSync {
		return errIO
	}
	m.disk = maps.Clone(m.names)
	return nil
}

func (m *memory) Holds(name string, f file) error {
	defer m.locked()()
	if m.names[name] != f {
		return fmt.Errorf("%s: %w", name, os.ErrNotExist)
	}
	return nil
}

func (m *memory) Restore() error { return nil }
func (m *memory) Reserve() error {
	defer m.locked()()
	if m.room >= 0 && m.room < 1000 {
		return unix.ENOSPC
	}
	return nil
}
func (m *memory) Release() {}

func (f *memFile) ReadAt(b []byte, at int64) (int, error) {
	defer f.in.locked()()
	n := 0
	if at < int64(len(f.now)) {
		n = copy(b, f.now[at:])
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(b []byte, at int64) (int, error) {
	n, began, err := f.write(b, at)
	if began != nil {
		began()
	}
	return n, err
}

func (f *memFile) write(b []byte, at int64) (n int, began func(), err error) {
	defer f.in.locked()()
	if at == 0 {
		began = f.in.began
	}
	if f.in.room >= 0 && int64(len(b)) > f.in.room {
		b, err = b[:f.in.room], unix.ENOSPC
	}
	if f.in.room >= 0 {
		f.in.room -= int64(len(b))
	}
	w := write{at, slices.Clone(b)}
	f.writes = append(f.writes, w)
	f.now = w.apply(f.now)
	return len(b), began, err
}

func (w write) apply(b []byte) []byte {
	if w.data == nil {
		return append(make([]byte, 0, w.at), b[:min(w.at, int64(len(b)))]...)
	}
	b = slices.Clone(b)
	if end := w.at + int64(len(w.data)); end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[w.at:], w.data)
	return b
}

func (f *memFile) Truncate(size int64) error {
	defer f.in.locked()()
	if f.in.room >= 0 {
		f.in.room += int64(len(f.now)) - size
	}
	f.writes = append(f.writes, write{at: size})
	f.now = write{at: size}.apply(f.now)
	return nil
}

func (f *memFile) Sync() error {
	f.in.mu.Lock()
	held := f.in.syncing
	f.in.mu.Unlock()
	if held != nil {
		<-held
	}
	defer f.in.locked()()
	if f.in.failSync {
		return errIO
	}
	f.disk, f.writes = f.now, nil
	return nil
}

func (f *memFile) Size() (int64, error) {
	defer f.in.locked()()
	return int64(len(f.now)), nil
}

func (f *memFile) Close() error { return nil }

// cut returns what a power cut leaves. pick(n) returns one of 0 to n-1: for each write
// that was not synced whether it reached the disk, and where it was torn.
func (m *memory) cut(pick func(n int) int) *memory {
	defer m.locked()()
	after := newMemory()
	left := maps.Clone(m.disk)
	for _, name := range slices.Sorted(maps.Keys(m.names)) { // a name may have come or not, or still be another file's
		if left[name] != m.names[name] && pick(2) == 0 {
			left[name] = m.names[name]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.disk)) {
		if m.names[name] == nil && pick(2) == 0 {
			delete(left, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		b := left[name].disk
		for _, w := range left[name].writes {
			switch pick(4) {
			case 0: // lost
			case 1: // torn
				if n := len(w.data); n > 0 {
					from := pick(n)
					w = write{w.at + int64(from), w.data[from : from+pick(n-from)+1]}
				}
				b = w.apply(b)
			default:
				b = w.apply(b)
			}
		}
		after.names[name] = &memFile{in: after, now: b, disk: b}
	}
	after.disk = maps.Clone(after.names)
	return after
}

// set has f change m.
func (m *memory) set(f func()) {
	defer m.locked()()
	f()
}
