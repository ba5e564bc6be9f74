package supervisor

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"cpulb/plugins/cgroup"
	"cpulb/plugins/reaper"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// Descriptors that a worker inherits beside 0 to 2, in exec.Cmd.ExtraFiles.
const (
	lifelineFD = 3
	programFD  = 4
	outputFD   = 5
)

// process is the operating system's side of a worker. It implements go-plugin's
// runner.Runner.
type process struct {
	spec     Spec
	log      hclog.Logger
	mark     string        // see package reaper
	group    *cgroup.Group // nil: there are none
	began    reaper.Moment
	cmd      *exec.Cmd
	lifeline *os.File // our end; closing it, or dying, ends the worker
	stdout   *io.PipeReader
	// handshake is the first line of its stdout; nil: it has none yet.
	handshake atomic.Pointer[string]
	// The read ends of the worker's pipes; reap bounds how long they are read.
	stdoutPipe, stderr, output *os.File
	last                       *tail
	reading                    sync.WaitGroup // the goroutines that read them
	reaped                     chan struct{}

	signals sync.Mutex // held to signal, and to reap: never a signal to a reused pid
	exited  bool
	killed  bool // by us, while it lived
	killing sync.Once
	oom     bool // for after reaped: the kernel has killed for the cgroup's memory, if only a child

	untie func() bool // set by tied.Start
}

func newProcess(spec Spec, l lodging, log hclog.Logger, env []string) *process {
	p := &process{spec: spec, mark: l.mark, group: l.group, log: log, last: &tail{}, reaped: make(chan struct{})}
	p.cmd = exec.Command("/proc/self/fd/" + strconv.Itoa(programFD))
	p.cmd.Args = []string{spec.Command}
	p.cmd.Dir = "/"
	p.cmd.Env = append(slices.Clone(env), environment(spec, l.mark)...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a group of its own, and no terminal
	if p.group != nil {
		p.cmd.SysProcAttr.UseCgroupFD, p.cmd.SysProcAttr.CgroupFD = true, p.group.FD()
	}
	return p
}

// started tells whether there is, or was, a process.
func (p *process) started() bool { return p != nil && p.cmd.Process != nil }

// pipes are the four between us and a worker, each with the end that stays here
// and the one that goes there.
type pipes struct {
	lifeline, stdout, stderr, output struct{ ours, theirs *os.File }
}

func newPipes() (*pipes, error) {
	var p pipes
	var err error
	if p.lifeline.theirs, p.lifeline.ours, err = os.Pipe(); err != nil {
		return nil, err
	}
	for _, up := range []*struct{ ours, theirs *os.File }{&p.stdout, &p.stderr, &p.output} {
		if up.ours, up.theirs, err = os.Pipe(); err != nil {
			p.close(p.ours())
			p.close(p.theirs())
			return nil, err
		}
	}
	return &p, nil
}

func (p *pipes) ours() []*os.File {
	return []*os.File{p.lifeline.ours, p.stdout.ours, p.stderr.ours, p.output.ours}
}

func (p *pipes) theirs() []*os.File {
	return []*os.File{p.lifeline.theirs, p.stdout.theirs, p.stderr.theirs, p.output.theirs}
}

func (p *pipes) close(ends []*os.File) {
	for _, f := range ends {
		f.Close() // of nil, where a pipe couldn't be made, it is harmless
	}
}

// tied is a process whose life ends with a context, until it is untied: go-plugin
// waits for a program with a time limit only, deaf to whoever asked for the start.
type tied struct {
	*process
	ctx context.Context
}

// Start implements runner.Runner.
func (t tied) Start(ctx context.Context) error {
	if err := t.process.Start(ctx); err != nil {
		return err
	}
	t.untie = context.AfterFunc(t.ctx, t.kill)
	return nil
}

// Start implements runner.Runner: it executes the very file that it has hashed.
func (p *process) Start(context.Context) error {
	program, err := openProgram(p.spec.Command, p.spec.SHA256)
	if err != nil {
		return err
	}
	defer program.Close()
	pipes, err := newPipes()
	if err != nil {
		return fmt.Errorf("%w: pipe: %w", ErrSpawn, err)
	}
	defer pipes.close(pipes.theirs())
	p.cmd.Stdout, p.cmd.Stderr = pipes.stdout.theirs, pipes.stderr.theirs
	p.cmd.ExtraFiles = []*os.File{lifelineFD - 3: pipes.lifeline.theirs, programFD - 3: program, outputFD - 3: pipes.output.theirs}
	if err := spawn(p.cmd, &p.spec); err != nil {
		pipes.close(pipes.ours())
		return err
	}
	p.began = reaper.Began(p.cmd.Process.Pid)
	p.lifeline, p.stdoutPipe, p.stderr, p.output = pipes.lifeline.ours, pipes.stdout.ours, pipes.stderr.ours, pipes.output.ours
	r, w := io.Pipe()
	p.stdout = r
	p.reading.Go(func() { forwardHandshake(p.stdoutPipe, w, func(line string) { p.handshake.Store(&line) }) })
	p.reading.Go(func() { logExecutor(p.stderr, p.log, p.last) })
	p.reading.Go(func() { logOutput(p.output, p.log, p.last) })
	limited := p.spec.Limits.setOnChild(p.cmd.Process.Pid)
	go p.reap() // the pid is ours no longer than it has not begun
	if limited != nil {
		p.kill()
		<-p.reaped
		r.Close() // go-plugin does not begin to read
		return limited
	}
	return nil
}

// reap waits for the worker's end without letting go of its pid, kills what it
// left in its process group, lets the pid go, and ends whatever else it has left.
func (p *process) reap() {
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			break
		}
	}
	p.signals.Lock()
	_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL)
	p.exited = true
	_ = p.cmd.Wait() // how it ended is in ProcessState
	p.signals.Unlock()
	p.endTheRest()
	p.lifeline.Close()
	for _, f := range []*os.File{p.stdoutPipe, p.stderr, p.output} {
		_ = f.SetReadDeadline(time.Now().Add(afterlife)) // an error: it is closed already
	}
	close(p.reaped)
}

// reapTimeout bounds the search for what a worker has started: after it, what
// still lives is reported and left.
const reapTimeout = time.Second

// endTheRest ends what has left the worker's process group and outlived it.
func (p *process) endTheRest() {
	var err error
	if p.group != nil {
		p.oom = p.group.OOMKills() > 0
		err = p.group.End()
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), reapTimeout)
		defer cancel()
		err = reaper.KillMarked(ctx, p.began, func(mark string) bool { return mark == p.mark })
	}
	if err != nil {
		p.log.Error("a process that the worker has started could not be ended", "error", err)
	}
}

// finish waits until the pipes have been read to their end. It is for after reaped
// and go-plugin's end.
func (p *process) finish() { p.reading.Wait() }

// kill ends the worker with all that it has started; it does not wait.
func (p *process) kill() {
	p.signals.Lock()
	p.killed = p.killed || !p.exited
	p.signals.Unlock()
	p.killing.Do(func() { go p.killTree() })
}

// killTree ends what the worker has started before itself, as long as it is known
// whose that is.
func (p *process) killTree() {
	p.signals.Lock()
	defer p.signals.Unlock()
	if p.exited {
		return
	}
	pid := p.cmd.Process.Pid
	if p.group != nil {
		_ = p.group.Kill() // reap tries again, and says so if that fails
	} else {
		reaper.Stop(pid)
		ctx, cancel := context.WithTimeout(context.Background(), reapTimeout)
		defer cancel()
		if err := reaper.KillTree(ctx, pid, p.mark); err != nil {
			p.log.Error("a process that the worker has started could not be ended", "error", err)
		}
	}
	_ = unix.Kill(-pid, unix.SIGKILL)
}

// endedItself says how the process ended, unless it was we who ended it. It is
// for after its end.
func (p *process) endedItself() (how string, ok bool) {
	p.signals.Lock()
	defer p.signals.Unlock()
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if p.killed && ok && status.Signal() == syscall.SIGKILL {
		return "", false
	}
	return p.cmd.ProcessState.String(), true
}

// Wait implements runner.Runner. How the process ended is not reported through
// go-plugin, which would log even the end that we asked for as an error.
func (p *process) Wait(context.Context) error {
	<-p.reaped
	return nil
}

// Kill implements runner.Runner.
func (p *process) Kill(context.Context) error {
	if p.started() {
		p.kill()
		<-p.reaped
	}
	return nil
}

// Stdout implements runner.Runner.
func (p *process) Stdout() io.ReadCloser { return p.stdout }

// Stderr implements runner.Runner. There is nothing for go-plugin, which would make each
// line a record of our log, of the level and with the fields that the line names, and
// panic at some: see logExecutor.
func (p *process) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name implements runner.Runner.
func (p *process) Name() string { return p.spec.Command }

// ID implements runner.Runner; go-plugin takes an empty one for no process.
func (p *process) ID() string {
	if !p.started() {
		return ""
	}
	return strconv.Itoa(p.cmd.Process.Pid)
}

// Diagnose implements runner.Runner. Start's errors tell the last words anyway.
func (p *process) Diagnose(context.Context) string { return "" }

// PluginToHost implements runner.AddrTranslator: both share the file system.
func (p *process) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin implements runner.AddrTranslator.
func (p *process) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
