package wasm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"cpulb/plugins/program"
	"cpulb/plugins/reaper"
	"cpulb/plugins/wasm/sandbox"

	"golang.org/x/sys/unix"
)

// process is a sandbox, as its worker has it. kill may be called by any goroutine, the rest by
// the one that has started it, but for a compilation's.
type process struct {
	cmd    *exec.Cmd
	wire   *os.File
	in     *bufio.Reader
	buffer []byte
	stderr *program.Head // of the sandbox itself; the runtime's last words
	loaded []string      // names of the modules that it has, the one used last at the end
	tasks  int
	end    sync.Once
	failed bool // the wire is not to be used any more
}

// mostLoaded is how many modules a sandbox keeps.
const mostLoaded = 8

// startProcess starts a sandbox. It ends with its wire, when it reads from that; with the worker's
// process group; and, with withThread, with the thread that has started it, which has to be
// the caller's own.
func (e *Executor) startProcess(c sandbox.Config, withThread bool) (*process, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "sandbox"), os.NewFile(uintptr(pair[1]), "sandbox")
	defer theirs.Close()
	p := &process{wire: ours, in: bufio.NewReaderSize(ours, 64<<10), stderr: program.NewHead(4 << 10)}
	p.cmd = exec.Command(e.program, sandbox.Role, string(text))
	p.cmd.Args[0] = "cpulb-wasm"
	p.cmd.Dir = "/"
	p.cmd.Env = []string{}
	if mark := os.Getenv(reaper.MarkEnv); mark != "" {
		p.cmd.Env = append(p.cmd.Env, reaper.MarkEnv+"="+mark) // by which it is found
	}
	p.cmd.ExtraFiles = []*os.File{theirs}
	p.cmd.Stderr = p.stderr
	p.cmd.WaitDelay = time.Second
	if withThread {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	if err := p.cmd.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("a sandbox can't be started: %w", err)
	}
	return p, nil
}

// kill ends it at once, whatever it does.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

// close ends it, if it has not ended, and waits for that.
func (p *process) close() {
	p.end.Do(func() {
		p.failed = true
		p.kill()
		p.wire.Close()
		_ = p.cmd.Wait() // words has it
	})
}

// cpu is what it has taken of CPUs since its start.
func (p *process) cpu() time.Duration {
	var t unix.Timespec
	clock := ^int32(p.cmd.Process.Pid)<<3 | 2 // clock_getcpuclockid(3)
	if unix.ClockGettime(clock, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// words says how it ended. It is called once it is closed.
func (p *process) words() string {
	how := "its process ended"
	if s := p.cmd.ProcessState; s != nil {
		if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
			how = "its process was ended by signal " + unix.SignalName(w.Signal())
		} else {
			how += " with " + s.String()
		}
	}
	text, _ := p.stderr.Text()
	if first, _, _ := strings.Cut(strings.TrimSpace(text), "\n"); first != "" {
		how += ": " + first
	}
	return how
}

// has reports whether it has the module, and which one it is to forget for it.
func (p *process) has(name string) (has bool, forget string) {
	if i := slices.Index(p.loaded, name); i >= 0 {
		p.loaded = append(slices.Delete(p.loaded, i, i+1), name)
		return true, ""
	}
	if p.loaded = append(p.loaded, name); len(p.loaded) > mostLoaded {
		forget = p.loaded[0]
		p.loaded = slices.Delete(p.loaded, 0, 1)
	}
	return false, forget
}

// send sends a request.
func (p *process) send(r *sandbox.Request, code, input []byte) error {
	err := sandbox.WriteRequest(p.wire, r, code, input)
	p.failed = p.failed || err != nil
	return err
}

// receive reads frames until the report comes, and hands over the others. An error that take returns
// is returned, and then the process is of no use any more.
func (p *process) receive(take func(kind sandbox.Kind, payload []byte) error) (*sandbox.Report, error) {
	for {
		kind, payload, err := sandbox.ReadFrame(p.in, p.buffer)
		if err == nil && kind == sandbox.Ended {
			var end *sandbox.Report
			if end, err = sandbox.ReadReport(payload); err == nil {
				return end, nil
			}
		}
		if p.buffer = payload; err == nil && take != nil {
			err = take(kind, payload)
		}
		if err != nil {
			p.failed = true
			return nil, err
		}
	}
}
