// Package supervisor runs one worker process at a time: it starts an executor's
// program on given CPUs, brings it to where its slots are open, notices its end
// at once, and leaves nothing of it behind.
//
// Guarantees: the affinity is set before exec; the program that is executed is
// the file that was hashed; a signal never reaches a reused pid; when a worker
// ends, and when the daemon ends in whatever way, all of the worker's process
// group ends. What leaves the group by setsid is out of its reach.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
)

// Errors of Start, beside ErrNotFound and ErrHash.
var (
	// ErrNotExecutor: the program ended or spoke something else than an executor
	// does.
	ErrNotExecutor = errors.New("not an executor")
	// ErrStartTimeout: the program was not ready in time.
	ErrStartTimeout = errors.New("executor did not get ready in time")
)

// Spec says what to start and how.
type Spec struct {
	// ID names the worker, e.g. "cpu-0".
	ID       string
	Pool     string
	Executor string
	// Command is the program's absolute path, SHA256 its hash in hex or empty.
	Command string
	SHA256  string
	// CPUs is the affinity mask; nil leaves the daemon's.
	CPUs  []int
	Slots int
	// Env is added to the scrubbed environment.
	Env                      map[string]string
	Settings                 map[string]string
	ResultBytes, OutputBytes int64
	// StartTimeout bounds the time from exec to open slots; it is greater than 0.
	StartTimeout time.Duration
}

// Launcher starts workers. It owns the thread that forks them.
type Launcher struct {
	dir     string
	log     hclog.Logger
	spawner *spawner

	mu     sync.Mutex
	starts int
}

// NewLauncher returns a Launcher whose workers have their private folders in
// dir, which exists and belongs to the daemon.
func NewLauncher(dir string, log hclog.Logger) (*Launcher, error) {
	return &Launcher{dir: dir, log: log, spawner: newSpawner()}, nil
}

// Close ends the Launcher's thread. Workers go on.
func (l *Launcher) Close() { l.spawner.close() }

// Process is a worker whose slots are open.
type Process struct {
	os          *process
	plugin      *plugin.Client
	client      *plugins.Client
	description plugins.Description
	runtime     string
	cpus        string
	slots       []*plugins.Conn
	dir         string
	done        chan struct{}
}

// Start starts a worker and returns once its slots are open. handler is called
// once for each slot. An error leaves no process and no folder.
func (l *Launcher) Start(ctx context.Context, spec Spec, handler func(slot int) plugins.Handler) (*Process, error) {
	dir, err := l.folder()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, spec.StartTimeout)
	defer cancel()
	p := &Process{dir: dir, done: make(chan struct{})}
	log := l.log.Named(spec.ID)
	p.plugin = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  plugins.Handshake(),
		Plugins:          plugins.Plugins(),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           log,
		SkipHostEnv:      true,
		StartTimeout:     spec.StartTimeout + time.Minute, // ctx decides, see tied
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: dir},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
			p.os = newProcess(spec, l.spawner, log, cmd.Env)
			return tied{p.os, ctx}, nil
		},
	})
	if err = p.open(ctx, spec, handler); err == nil && !p.os.untie() {
		err = errors.New("the time was over at the last moment")
	}
	if err != nil {
		p.discard()
		return nil, p.explain(ctx, spec, err)
	}
	go p.afterwards()
	return p, nil
}

// maxSocketPath is what a Unix socket's path may have (unix(7)); go-plugin adds
// two random names to the folder's.
const (
	maxSocketPath    = 107
	pluginSocketPath = 39 // "/plugin-dir" and "/plugin", each with up to ten digits, and the NUL
)

// folder makes a worker's private folder; its name is short, see maxSocketPath.
func (l *Launcher) folder() (string, error) {
	l.mu.Lock()
	l.starts++
	dir := filepath.Join(l.dir, strconv.Itoa(l.starts))
	l.mu.Unlock()
	if n := len(dir) + pluginSocketPath; n > maxSocketPath {
		return "", fmt.Errorf("runtime folder %s is %d bytes too long for Unix sockets in it", dir, n-maxSocketPath)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("worker folder: %w", err)
	}
	return dir, nil
}

func (p *Process) open(ctx context.Context, spec Spec, handler func(int) plugins.Handler) error {
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
	p.runtime, p.slots, err = p.client.Configure(ctx, plugins.Configuration{WorkerID: spec.ID, Pool: spec.Pool, Slots: spec.Slots,
		RuntimeDir: p.dir, ResultBytes: spec.ResultBytes, OutputBytes: spec.OutputBytes, Settings: spec.Settings}, handler)
	return err
}

// notExecutor blames the program, on one line where go-plugin uses several, unless
// err names the blame already.
func notExecutor(err error) error {
	for _, named := range []error{ErrNotFound, ErrHash, ErrNotExecutor} {
		if errors.Is(err, named) {
			return err
		}
	}
	return fmt.Errorf("%w: %s", ErrNotExecutor, strings.Join(strings.Fields(err.Error()), " "))
}

// explain words an error of Start for operators. The process, if there was one,
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
		p.plugin.Kill() // waits for nothing: the process has ended
		p.os.finish()
	}
	for _, s := range p.slots {
		s.Close()
	}
	_ = os.RemoveAll(p.dir)
}

// afterwards cleans up after the worker, however it ends.
func (p *Process) afterwards() {
	<-p.os.reaped
	for _, s := range p.slots {
		s.CloseRead() // what it wrote is still read
	}
	p.plugin.Kill()
	p.os.finish()
	_ = os.RemoveAll(p.dir) // what can't be removed goes with the runtime folder
	close(p.done)
}

// PID returns the process id; it may be another's once Done is closed.
func (p *Process) PID() int { return p.os.cmd.Process.Pid }

// Description returns what the executor says of itself.
func (p *Process) Description() plugins.Description { return p.description }

// Runtime returns what runs in the worker, e.g. "CPython 3.11.2".
func (p *Process) Runtime() string { return p.runtime }

// CPUsAllowed returns the kernel's list for the process at its start.
func (p *Process) CPUsAllowed() string { return p.cpus }

// Slot returns the connection of slot i.
func (p *Process) Slot(i int) *plugins.Conn { return p.slots[i] }

// Cancel, Recall, Stats and Health are those of plugins.Client.

// Cancel asks for a task to stop.
func (p *Process) Cancel(ctx context.Context, slot int, seq uint64, r plugins.StopReason) (plugins.Claim, error) {
	return p.client.Cancel(ctx, slot, seq, r)
}

// Recall takes an unclaimed task back.
func (p *Process) Recall(ctx context.Context, slot int, seq uint64) (plugins.Claim, error) {
	return p.client.Recall(ctx, slot, seq)
}

// Stats returns the worker's own figures.
func (p *Process) Stats(ctx context.Context) (plugins.Stats, error) { return p.client.Stats(ctx) }

// Health returns once tasks can make progress in the worker.
func (p *Process) Health(ctx context.Context) (time.Duration, error) { return p.client.Health(ctx) }

// Done is closed once the process has been reaped and its folder removed.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how the process ended, e.g. "signal: killed"; only after Done.
func (p *Process) Exit() string { return p.os.cmd.ProcessState.String() }

// LastStderr returns the last lines that the process wrote to stderr.
func (p *Process) LastStderr() []string { return p.os.last.lines() }

// Stop lets running tasks end as long as ctx allows, then ends the process group
// and returns when it is gone. It may be called more than once.
func (p *Process) Stop(ctx context.Context) {
	if ctx.Err() == nil {
		_ = p.client.Drain(ctx) // too late or already dead: it is ended all the same
	}
	p.Kill()
	<-p.done
}

// Kill ends the process group at once; Done follows.
func (p *Process) Kill() { p.os.kill() }
