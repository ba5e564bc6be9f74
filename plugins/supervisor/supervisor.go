// Package supervisor runs one worker process at a time: it starts an executor's
// program on given CPUs, opens its slots, notices its end at once, and leaves nothing
// of it behind.
//
// Guarantees: the affinity is set before exec; the program that is executed is
// the file that was hashed; a signal never reaches a reused pid. When a worker
// ends, in whatever way, what it has started ends with it: all of it where a
// cgroup is delegated to us (Launcher.Contain), else as far as package reaper
// reaches. When the daemon ends, in whatever way, its workers do so themselves,
// stopped ones included; what is left then, the next Launcher in that folder ends.
package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
)

// Errors of Start, beside ErrNotFound, ErrHash, plugins.ErrBadSetting and plugins.ErrVersion.
var (
	// ErrNotExecutor: the program ended, or its output is not that of an executor.
	ErrNotExecutor = errors.New("not an executor")
	// ErrStartTimeout: the program was not ready in time.
	ErrStartTimeout = errors.New("executor did not get ready in time")
)

// Spec describes a worker to start.
type Spec struct {
	// ID names the worker, e.g. "cpu-0".
	ID       string
	Pool     string
	Executor string
	// Command is the program's absolute path, SHA256 its hash in hex or empty.
	Command string
	SHA256  string
	// CPUs is the affinity mask; nil leaves the daemon's.
	CPUs []int
	// Slots are threads, LoopSlots places on one event loop.
	Slots, LoopSlots int
	// Env is added to the scrubbed environment.
	Env map[string]string
	// Settings are what the pool adds, of which the executor's schema says nothing; Given is what the
	// configuration has for its own settings, and is checked against the schema.
	Settings                 map[string]string
	Given                    map[string]plugins.Given
	ResultBytes, OutputBytes int64
	// StartTimeout bounds the time from exec to open slots; it is greater than 0.
	StartTimeout time.Duration
	// LockStall and OutputInterval are passed on, as plugins.Configuration has them.
	LockStall, OutputInterval time.Duration
	Limits                    Limits
	// User is whom the worker runs as, nil: as the daemon. Privileged leaves it what
	// the daemon may do, to run each task as another user.
	User       *User
	Privileged bool
}

// Process is a worker whose slots are open.
type Process struct {
	lodging
	os          *process // nil until go-plugin asks for it
	plugin      *plugin.Client
	user        *User
	disconnect  func() // asks the process to end, and waits 2 s for it
	control     string // the path of the control plane's socket
	client      *plugins.Client
	description plugins.Description
	runtime     string
	cpus        string
	slots       []*plugins.Conn
	memory      MemoryLimit
	done        chan struct{}
}

// Start starts a worker and returns once its slots are open. handler is called
// once for each connection, which has count slots from first on. An error leaves no
// process and no folder.
func (l *Launcher) Start(ctx context.Context, spec Spec, handler func(first, count int) plugins.Handler) (*Process, error) {
	if err := spec.Limits.check(); err != nil {
		return nil, err
	}
	home, err := l.lodge(spec)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, spec.StartTimeout)
	defer cancel()
	p := &Process{lodging: home, user: spec.User, done: make(chan struct{})}
	p.connect(ctx, spec, l.log.Named(spec.ID))
	if err = p.open(ctx, spec, l.log.Named(spec.ID), handler); err == nil {
		err = p.limitMemory(ctx, spec)
	}
	if err == nil && !p.os.untie() {
		err = errors.New("the start timeout passed just before the worker was ready")
	}
	if err != nil {
		p.discard()
		l.threads.failed()
		return nil, p.explain(ctx, spec, err)
	}
	go p.afterwards(&l.threads)
	l.threads.replenish()
	return p, nil
}

// connect prepares go-plugin's side; nothing is started yet.
func (p *Process) connect(ctx context.Context, spec Spec, log hclog.Logger) {
	p.plugin = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  plugins.Handshake(),
		VersionedPlugins: plugins.Plugins(),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           quiet{log},
		SkipHostEnv:      true,
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(plugins.MostControl)),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return p.dial(ctx, p.control) }),
		},
		StartTimeout:     max(spec.StartTimeout, spec.StartTimeout+time.Minute), // ctx decides, see tied; the sum may overflow
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: p.dir},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, sockets string) (runner.Runner, error) {
			switch launchers := filepath.Dir(p.dir); {
			case spec.User != nil:
				if err := spec.User.own(launchers, p.dir, sockets); err != nil {
					return nil, err
				}
			case spec.Privileged: // its folder may have files of tasks, which are their callers'
				if err := letThrough(launchers); err != nil {
					return nil, err
				}
			}
			p.os = newProcess(spec, p.lodging, log, cmd.Env)
			return tied{p.os, ctx}, nil
		},
	})
	p.disconnect = sync.OnceFunc(p.plugin.Kill)
}

// quiet is the logger for go-plugin's own messages, which it logs at Debug: at Info
// they report only that a process has ended, at Warn that it did not when it was
// asked to, and we log both ourselves.
type quiet struct{ hclog.Logger }

// Warn implements hclog.Logger.
func (q quiet) Warn(message string, args ...any) { q.Debug(message, args...) }

// Info implements hclog.Logger.
func (q quiet) Info(message string, args ...any) { q.Debug(message, args...) }

func (p *Process) open(ctx context.Context, spec Spec, log hclog.Logger, handler func(first, count int) plugins.Handler) error {
	control, err := p.plugin.Start()
	if err != nil {
		return notExecutor(cmp.Or(p.os.checkVersion(), err))
	}
	p.control = control.String()
	rpc, err := p.plugin.Client()
	if err != nil {
		return notExecutor(err)
	}
	raw, err := rpc.Dispense(plugins.PluginName)
	if err != nil {
		return notExecutor(err)
	}
	p.client = raw.(*plugins.Client)
	if p.description, p.cpus, err = p.client.Describe(ctx); err != nil {
		return notExecutor(err)
	}
	settings, err := spec.settle(&p.description)
	if err != nil {
		return err
	}
	p.runtime, p.slots, err = p.client.Configure(ctx, &p.description, plugins.Configuration{
		WorkerID:    spec.ID,
		Pool:        spec.Pool,
		Slots:       spec.Slots,
		LoopSlots:   spec.LoopSlots,
		RuntimeDir:  p.dir,
		ResultBytes: spec.ResultBytes,
		OutputBytes: spec.OutputBytes,
		LockStall:   spec.LockStall,

		OutputInterval: spec.OutputInterval,

		Settings: settings,
	}, p.dial, p.heard(log, handler))
	p.runtime = legible(p.runtime)
	if err == nil {
		err = spec.suits(&p.description) // some capabilities depend on the settings
	}
	return err
}

// notExecutor makes err an ErrNotExecutor, on one line where go-plugin uses several,
// unless it matches a sentinel already.
func notExecutor(err error) error {
	for _, named := range []error{ErrNotFound, ErrHash, ErrNotExecutor, ErrSpawn, ErrLimit, plugins.ErrVersion} {
		if errors.Is(err, named) {
			return err
		}
	}
	return fmt.Errorf("%w: %s", ErrNotExecutor, legible(err.Error()))
}

// mostSaid bounds how much of a foreign program's output is repeated.
const mostSaid = 300

// legible turns the output of a foreign program into one short line.
func legible(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || unicode.IsSpace(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.Join(strings.Fields(text), " "))
	if len(text) > mostSaid {
		text = strings.ToValidUTF8(text[:mostSaid], "") + "…"
	}
	return text
}

// explain describes an error of Start for operators. The process, if there was one,
// has been reaped.
func (p *Process) explain(ctx context.Context, spec Spec, err error) error {
	var last string
	if p.os.started() {
		if lines := p.os.last.lines(); len(lines) > 0 {
			last = "; its last words: " + strings.Join(lines, " | ")
		}
		if how, ok := p.os.endedItself(); ok {
			return fmt.Errorf("%s ended with %s%s: %w", spec.Command, how, last, notExecutor(err))
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %s took more than %s%s: %w", ErrStartTimeout, spec.Command, spec.StartTimeout, last, err)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return fmt.Errorf("%s%s: %w", spec.Command, last, err)
}

// discard ends the process, if there is one, and removes its folder.
func (p *Process) discard() {
	if p.os.started() {
		p.os.kill()
		<-p.os.reaped
		p.disconnect() // waits for nothing: the process has ended
		p.os.finish()
	} else if p.group != nil {
		_ = p.group.End() // it has never had a process
	}
	for _, s := range p.slots {
		s.Close()
	}
	_ = p.user.remove(p.dir)
}

// afterwards cleans up after the worker, however it ends.
func (p *Process) afterwards(t *threads) {
	<-p.os.reaped
	if !p.os.cmd.ProcessState.Success() {
		t.failed()
	}
	for _, s := range p.slots {
		s.CloseRead() // what it has written is still read
	}
	p.disconnect()
	p.os.finish()
	_ = p.user.remove(p.dir) // an error: what is left goes with the runtime folder
	close(p.done)
}

// PID returns the process id; it may be another's once Done is closed.
func (p *Process) PID() int { return p.os.cmd.Process.Pid }

// Description returns the executor's description.
func (p *Process) Description() plugins.Description { return p.description }

// Runtime returns the name of the worker's runtime, e.g. "CPython 3.11.2".
func (p *Process) Runtime() string { return p.runtime }

// CPUsAllowed returns the kernel's list for the process at its start.
func (p *Process) CPUsAllowed() string { return p.cpus }

// Slot returns the connection of slot i.
func (p *Process) Slot(i int) *plugins.Conn { return p.slots[i] }

// Cancel asks for a task to stop. An executor that can't stop a task is only asked to
// give back a task that has not begun.
func (p *Process) Cancel(ctx context.Context, slot int, seq uint64, r plugins.StopReason) (plugins.Claim, error) {
	if !p.description.CanCancel {
		return p.client.Recall(ctx, slot, seq)
	}
	return p.client.Cancel(ctx, slot, seq, r)
}

// Recall takes an unclaimed task back.
func (p *Process) Recall(ctx context.Context, slot int, seq uint64) (plugins.Claim, error) {
	return p.client.Recall(ctx, slot, seq)
}

// Stats returns the worker's own figures.
func (p *Process) Stats(ctx context.Context) (plugins.Stats, error) { return p.client.Stats(ctx) }

// Stacks returns the stacks of the worker's threads; see plugins.ErrNoStacks.
func (p *Process) Stacks(ctx context.Context) (string, error) { return p.client.Stacks(ctx) }

// Health returns once tasks can make progress in the worker.
func (p *Process) Health(ctx context.Context) (time.Duration, error) { return p.client.Health(ctx) }

// Done is closed once the process has been reaped and its folder removed.
func (p *Process) Done() <-chan struct{} { return p.done }

// MemoryLimit returns how the worker's memory is limited.
func (p *Process) MemoryLimit() MemoryLimit { return p.memory }

// Exit returns how the process ended, e.g. "exit status 0", "signal: killed" or "exit
// status 2 (SIGSEGV: segmentation violation)"; only after Done.
func (p *Process) Exit() string {
	how := p.os.cmd.ProcessState.String()
	if status, ok := p.os.cmd.ProcessState.Sys().(syscall.WaitStatus); p.os.oom && ok && status.Signal() == syscall.SIGKILL {
		return how + " (out of the memory that it may have)"
	}
	if crash := p.os.last.crashed(); crash != "" && p.os.cmd.ProcessState.ExitCode() == goCrash {
		return how + " (" + crash + ")"
	}
	return how
}

// goCrash is the exit status of a Go program that crashed, whatever the signal.
const goCrash = 2

// LastStderr returns the last lines that the process wrote to stderr.
func (p *Process) LastStderr() []string { return p.os.last.lines() }

// Stop lets running tasks end as long as ctx allows, then asks the process to end,
// and kills it if it does not. It returns when the process is gone. It may be called
// more than once.
func (p *Process) Stop(ctx context.Context) {
	if ctx.Err() == nil && p.client.Drain(ctx) == nil && ctx.Err() == nil {
		go p.disconnect()
		select {
		case <-p.os.reaped:
		case <-ctx.Done():
		}
	}
	p.Kill()
	<-p.done
}

// Kill ends the process at once, with all that it has started; Done follows.
func (p *Process) Kill() { p.os.kill() }

// Control returns the control plane, for calls that the daemon does not make.
func (p *Process) Control() *plugins.Client { return p.client }

// Abandon is to the worker as if this process had ended: it has to end itself.
func (p *Process) Abandon() { p.os.lifeline.Close() }
