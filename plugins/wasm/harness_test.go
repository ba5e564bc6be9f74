package wasm

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"cpulb/internal/programs"
	"cpulb/plugins"
)

// built is the folder with what TestMain has built: cpulb-wasm, and guest.wasm.
var built string

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	var err error
	if built, err = os.MkdirTemp("", "wasm"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(built)
	if err := programs.Into(built, "cpulb-wasm"); err != nil {
		panic(err)
	}
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(built, "guest.wasm"), ".")
	c.Dir = "testdata/guest"
	c.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOEXPERIMENT=", "GOFLAGS=")
	if out, err := c.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v\n%s", err, out))
	}
	return m.Run()
}

// guest returns the path of the guest under the name of a behaviour.
func guest(t testing.TB, behaviour string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), behaviour+".wasm")
	if err := os.Link(filepath.Join(built, "guest.wasm"), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// written writes a module to a file.
func written(t testing.TB, module []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.wasm")
	if err := os.WriteFile(path, module, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// settingsWith are settings with one that all tests share, so that the guest is compiled once.
func settingsWith(more map[string]string) map[string]string {
	all := map[string]string{"cache_dir": filepath.Join(built, "cache")}
	for k, v := range more {
		all[k] = v
	}
	return all
}

const resultBytes, outputBytes = 1 << 20, 1 << 10

// configured returns an executor with these settings.
func configured(t testing.TB, more map[string]string) *Executor {
	t.Helper()
	e := New("test")
	e.program = filepath.Join(built, "cpulb-wasm")
	_, err := e.Configure(context.Background(), plugins.Configuration{Pool: "p", WorkerID: "w", Slots: 2, RuntimeDir: t.TempDir(),
		ResultBytes: resultBytes, OutputBytes: outputBytes, Settings: settingsWith(more)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// worker is a slot on a thread of its own.
type worker struct {
	*slot
	seq  uint64
	jobs chan func()
}

func opened(t testing.TB, more map[string]string) *worker {
	t.Helper()
	s, err := configured(t, more).OpenSlot(0)
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{slot: s.(*slot), jobs: make(chan func())}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		for job := range w.jobs {
			job()
		}
	}()
	t.Cleanup(func() {
		w.do(w.slot.Close)
		close(w.jobs)
		<-done
	})
	return w
}

// do calls f on the slot's thread.
func (w *worker) do(f func()) {
	done := make(chan struct{})
	w.jobs <- func() { defer close(done); f() }
	<-done
}

// run runs a task to its end.
func (w *worker) run(t *plugins.Task, emit plugins.Emitter) (o plugins.Outcome) {
	w.seq++
	t.Seq = w.seq
	if t.ID == "" {
		t.ID = "id"
	}
	if t.Params == nil {
		t.Params = []byte("{}")
	}
	w.do(func() { o = w.slot.Run(t, emit); w.slot.Idle() })
	return o
}

// path runs the module in a file.
func (w *worker) path(path string) plugins.Outcome {
	return w.run(&plugins.Task{ScriptPath: path}, &said{})
}

// said is what a task has emitted.
type said struct {
	all    []string
	notify func()
}

func (s *said) Partial(value []byte)                  { s.add("partial " + string(value)) }
func (s *said) Progress(f float64, text string)       { s.add(fmt.Sprint("progress ", f, " ", text)) }
func (s *said) Output(to plugins.Stream, text string) { s.add(fmt.Sprint("output ", to, " ", text)) }
func (s *said) Log(level, text string)                { s.add("log " + level + " " + text) }

func (s *said) add(text string) {
	s.all = append(s.all, text)
	if s.notify != nil {
		s.notify()
	}
}

// made is a module with these functions, which have neither parameters nor results, in this
// order, and a memory of that many pages and a table of that size.
type made struct {
	pages, table uint32
	imports      string // the whole section's content
	functions    []function
}

type function struct{ name, body string }

func uleb(n uint32) string { return string(binary.AppendUvarint(nil, uint64(n))) }

func section(id byte, content string) string {
	return string(id) + uleb(uint32(len(content))) + content
}

func (m made) bytes() []byte {
	functions, exports, code := uleb(uint32(len(m.functions))), uleb(uint32(len(m.functions))), uleb(uint32(len(m.functions)))
	for i, f := range m.functions {
		functions += "\x00"
		exports += uleb(uint32(len(f.name))) + f.name + "\x00" + uleb(uint32(i))
		code += uleb(uint32(len(f.body)+1)) + "\x00" + f.body
	}
	text := "\x00asm\x01\x00\x00\x00" + section(1, "\x01\x60\x00\x00")
	if m.imports != "" {
		text += section(2, m.imports)
	}
	return []byte(text + section(3, functions) + section(4, "\x01\x70\x00"+uleb(m.table)) + section(5, "\x01\x00"+uleb(m.pages)) +
		section(7, exports) + section(10, code))
}

// The bodies of functions.
const (
	returns     = "\x0b"
	unreachable = "\x00\x0b"
	endless     = "\x03\x40\x0c\x00\x0b\x0b"                                     // loop, br 0
	recursion   = "\x10\x00\x0b"                                                 // call 0
	growsTable  = "\xd0\x70\x41\x80\x80\x80\x80\x01\xfc\x0f\x00\x1a\x0b"         // table.grow by 2^28
	growsMemory = "\x41\x80\x80\x01\x40\x00\x41\x00\x4e\x04\x40\x0f\x0b\x00\x0b" // return if memory.grow by 2^14 pages is not -1, else unreachable
)
