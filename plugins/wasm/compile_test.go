package wasm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// compiler stands in for the processes that compile: each goes on until it is told how it ends, or
// to stop.
type compiler struct {
	began chan string
	ends  chan error
	stops chan string
}

func newCompiler() *compiler {
	return &compiler{began: make(chan string, 100), ends: make(chan error, 100), stops: make(chan string, 100)}
}

func (c *compiler) compile(ctx context.Context, name string, _ []byte) error {
	c.began <- name
	select {
	case err := <-c.ends:
		return err
	case <-ctx.Done():
		c.stops <- name
		return ctx.Err()
	}
}

// task waits for a module as a task does.
func taskOf(ctx context.Context, c *compilations, name string) <-chan error {
	end := make(chan error, 1)
	go func() { end <- c.await(ctx, name, func() ([]byte, error) { return nil, nil }) }()
	synctest.Wait()
	return end
}

func TestFewCompilationsRunAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newCompiler()
		c := newCompilations(fake.compile)
		var all []<-chan error
		for i := range mostCompiling + 3 {
			all = append(all, taskOf(t.Context(), c, fmt.Sprint("module", i)))
		}
		for left := len(all); left > 0; left-- {
			synctest.Wait()
			if running := len(fake.began) - (len(all) - left); running != min(left, mostCompiling) {
				t.Errorf("%d run with %d left", running, left)
			}
			fake.ends <- nil
		}
		for _, end := range all {
			if err := <-end; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestACompilationEndsWithTheLastTaskThatWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newCompiler()
		c := newCompilations(fake.compile)
		one, leaveOne := context.WithCancel(t.Context())
		other, leaveOther := context.WithCancel(t.Context())
		first, second := taskOf(one, c, "m"), taskOf(other, c, "m")
		leaveOne()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("a task that has been stopped gets %v", err)
		}
		synctest.Wait()
		if len(fake.stops) != 0 {
			t.Error("it was stopped while a task waits for it")
		}
		leaveOther()
		<-second
		synctest.Wait()
		if len(fake.stops) != 1 {
			t.Error("it goes on without a task that waits for it")
		}
		third := taskOf(t.Context(), c, "m")
		fake.ends <- nil
		if err := <-third; err != nil || len(fake.began) != 2 {
			t.Errorf("the next task: %v, after %d begins", err, len(fake.began))
		}
	})
}

func TestATaskLeavesTheQueueOfCompilations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newCompiler()
		c := newCompilations(fake.compile)
		for i := range mostCompiling {
			taskOf(t.Context(), c, fmt.Sprint("slow", i))
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := <-taskOf(ctx, c, "m"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it gets %v", err)
		}
		for range mostCompiling {
			fake.ends <- nil
		}
		synctest.Wait()
		if len(fake.began) != mostCompiling {
			t.Error("what nobody waits for was compiled")
		}
	})
}

func TestOnlyWhatIsCertainOfAModuleIsKept(t *testing.T) {
	refused := func() *refusal { return refuse("script_syntax", "WasmError", "it can't be compiled") }
	for name, c := range map[string]struct {
		err  error
		kept bool
	}{
		"compiled":     {nil, true},
		"no module":    {certainly(refused()), true},
		"killed":       {refused(), false},
		"no process":   {errors.New("a sandbox can't be started"), false},
		"out of files": {unix.EMFILE, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			fake := newCompiler()
			all := newCompilations(fake.compile)
			fake.ends <- c.err
			if err := <-taskOf(t.Context(), all, "m"); !errors.Is(err, c.err) {
				t.Errorf("%s: %v", name, err)
			}
			again := taskOf(t.Context(), all, "m")
			if kept := len(fake.began) == 1; kept != c.kept {
				t.Errorf("%s: kept: %v", name, kept)
			}
			fake.ends <- nil
			<-again
		})
	}
}

// The folder where a module was when its compilation began is not the module's verdict.
func TestAModuleThatCouldNotBeReadIsTriedAgain(t *testing.T) {
	fake := newCompiler()
	c := newCompilations(fake.compile)
	gone := refuse("script_not_found", "FileNotFoundError", "it does not exist")
	if err := c.await(t.Context(), "m", func() ([]byte, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Error(err)
	}
	fake.ends <- nil
	if err := c.await(t.Context(), "m", func() ([]byte, error) { return nil, nil }); err != nil {
		t.Error(err)
	}
}

// stuck gives w a compiler that never answers, and returns the file in which it notes its process.
func stuck(t *testing.T, w *worker, then string) (pids string) {
	t.Helper()
	dir := t.TempDir()
	pids = filepath.Join(dir, "pids")
	w.executor.program = filepath.Join(dir, "compiler")
	if err := os.WriteFile(w.executor.program, []byte("#!/bin/sh\necho $$ >"+pids+".new\nmv "+pids+".new "+pids+"\n"+then+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return pids
}

func TestACompilerThatNobodyWaitsForIsEnded(t *testing.T) {
	w := opened(t, map[string]string{"cache_dir": t.TempDir()})
	pids := stuck(t, w, "exec /bin/sleep 1000")
	path := written(t, made{functions: []function{{"_start", returns}}}.bytes())
	var pid int
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		eventually(t, "the compiler's process", func() bool {
			text, _ := os.ReadFile(pids)
			pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
			return pid > 0
		})
		w.Cancel(1, plugins.StopCancelled)
	}()
	o := w.path(path)
	<-stopped
	if o.Status != task.Cancelled {
		t.Errorf("%s %+v", o.Status, o.Error)
	}
	eventually(t, "its end", func() bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) })
}

// eventually waits for what another process does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("waited in vain for %s", what)
			return
		}
	}
}

func TestACompilerThatTheKernelEndsIsNoVerdictOnTheModule(t *testing.T) {
	w := opened(t, map[string]string{"cache_dir": t.TempDir()})
	program := w.executor.program
	stuck(t, w, "kill -9 $$")
	path := written(t, made{functions: []function{{"_start", returns}}}.bytes())
	failedAs(t, w.path(path), "script_syntax", "SIGKILL")
	w.executor.program = program
	is(t, w.path(path), "null")
}

// A module's names are as long as it likes.
func TestLongNamesFailTheTaskOnly(t *testing.T) {
	w := opened(t, nil)
	long := strings.Repeat("n", 12<<20)
	for name, m := range map[string]made{
		"exports": {functions: []function{{long, returns}, {long + "2", returns}}},
		"imports": {imports: "\x01" + uleb(uint32(len(long))) + long + "\x03run\x00\x00", functions: []function{{"_start", returns}}},
	} {
		o := w.path(written(t, m.bytes()))
		if o.Status != task.Failed || o.Fault != plugins.NoFault || len(o.Error.Message)+len(o.Error.Traceback) > 64<<10 {
			t.Errorf("%s: %s, fault %v, %d and %d bytes", name, o.Status, o.Fault, len(o.Error.Message), len(o.Error.Traceback))
		}
	}
}
