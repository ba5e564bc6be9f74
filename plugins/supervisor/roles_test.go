package supervisor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/executortest"
	"cpulb/plugins/executortest/impostor"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// roleEnv makes this test binary, executed anew, something else than the tests.
const roleEnv = "SUPERVISOR_TEST_ROLE"

func TestMain(m *testing.M) {
	impostor.Served()
	roles := map[string]func(){
		"executor": func() { plugins.Serve(executortest.Fake{}) },
		// Foreign programs that are not executors.
		"mute":        func() { select {} },
		"unstoppable": func() { plugins.Serve(unstoppable{}) },
		"exits":       func() { fmt.Fprintln(os.Stderr, "no such option"); os.Exit(3) },
		"hello":       func() { fmt.Println("Hello, world"); select {} },
		"chatter":     chatter,
		"garbage":     func() { fmt.Printf("\x1b[31m\x00\xff%s\n", strings.Repeat("\xfe", 3000)); select {} },
		"liar":        func() { fmt.Println("1|1|unix|/nonexistent/socket|grpc"); select {} },
		"other":       func() { fmt.Println("1|99|unix|/nonexistent/socket|grpc"); select {} },
		"escapes":     escapes,
		"forges":      func() { fmt.Fprint(os.Stderr, strings.Join(forged(), "\n")+"\n"); plugins.Serve(executortest.Fake{}) },
		"floods":      floods,
		"daemon":      daemon,
		"stranger":    func() { stranger(os.Getenv(socketEnv)) },
		"elsewhere":   elsewhere,
		"tracer":      tracer,
		"diverts":     func() { plugins.Serve(diverts{}) },
		"choosy":      func() { plugins.Serve(choosy{}) },
		"not-first":   func() { fmt.Fprintln(os.Stderr, "starting"); plugins.Serve(executortest.Fake{}) },
	}
	if role, ok := roles[os.Getenv(roleEnv)]; ok {
		role()
		return
	}
	os.Exit(m.Run())
}

// unstoppable is an executor that can't stop a task, and dies of being asked to.
type unstoppable struct{ executortest.Fake }

func (u unstoppable) Describe() plugins.Description {
	d := u.Fake.Describe()
	d.CanCancel = false
	return d
}

func (u unstoppable) OpenSlot(i int) (plugins.Slot, error) {
	s, err := u.Fake.OpenSlot(i)
	return unstoppableSlot{s}, err
}

type unstoppableSlot struct{ plugins.Slot }

func (unstoppableSlot) Cancel(uint64, plugins.StopReason) { os.Exit(5) }

// chatter prints megabytes without a newline, and then lines without end.
func chatter() {
	fmt.Print(strings.Repeat("x", 4<<20))
	for {
		fmt.Println("more")
	}
}

// escapes leaves a child in a session of its own, with all our pipes, and ends.
func escapes() {
	o := executortest.Escape()
	fmt.Fprintf(os.Stderr, "child %s\n", o.Data)
	os.Exit(1)
}

// daemon starts a worker, and a child of it with the behaviour that it is told,
// says their pids and stays.
func daemon() {
	l, err := supervisor.NewLauncher(os.Getenv("RUNTIME"), hclog.NewNullLogger())
	if err == nil {
		err = l.Serve(os.Getenv("RUNTIME"))
	}
	if err == nil {
		err = daemonStart(l, os.Getenv("BEHAVIOUR"))
	}
	fmt.Fprintln(os.Stderr, "daemon:", err)
	os.Exit(1)
}

func daemonStart(l *supervisor.Launcher, behaviour string) error {
	up := &pids{ended: make(chan plugins.Outcome, 1)}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	p, err := l.Start(context.Background(), supervisor.Spec{ID: "w", Command: exe, Slots: 1, Env: map[string]string{roleEnv: "executor"},
		ResultBytes: 1 << 20, StartTimeout: 10 * time.Minute}, executortest.Each(func(int) executortest.SlotHandler { return up }))
	if err != nil {
		return err
	}
	if err := p.Slot(0).Send(&plugins.Task{Seq: 1, ScriptPath: "/" + behaviour}); err != nil {
		return err
	}
	var child int
	if err := json.Unmarshal((<-up.ended).Data, &child); err != nil {
		return err
	}
	fmt.Println(p.PID(), child)
	select {}
}

// pids passes the Outcome on.
type pids struct{ ended chan plugins.Outcome }

// Event implements executortest.SlotHandler.
func (h *pids) Event(ev *plugins.Event) {
	if ev.Kind == plugins.EventEnded {
		h.ended <- ev.Outcome
	}
}

// Lost implements executortest.SlotHandler.
func (h *pids) Lost(error) {}

// tracer takes hold of a process of its user and never looks at it again.
func tracer() {
	pid, err := strconv.Atoi(os.Getenv("TRACED"))
	if err == nil {
		runtime.LockOSThread()
		err = unix.PtraceSeize(pid)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("traced")
	for { // on this thread, whose tracee it is; a signal, such as that of the tracee's end, wakes it
		unix.Pause()
	}
}
