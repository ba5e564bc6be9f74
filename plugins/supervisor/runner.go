package supervisor

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// ErrHash is matched when a program is not the one that the configuration names.
var ErrHash = errors.New("executor program has another SHA-256")

// maxHandshake bounds the first line of a program's stdout; go-plugin's own is
// far shorter, and a foreign program may print without end.
const maxHandshake = 4 << 10

// Descriptors that a worker inherits beside 0 to 2, in exec.Cmd.ExtraFiles.
const (
	lifelineFD = 3
	programFD  = 4
)

// process is the operating system's side of a worker. It implements go-plugin's
// runner.Runner.
type process struct {
	spec     Spec
	spawner  *spawner
	cmd      *exec.Cmd
	lifeline *os.File // our end; closing it, or dying, ends the worker
	stdout   *io.PipeReader
	stderr   *os.File
	last     *tail
	reaped   chan struct{}

	killing sync.Mutex // held to signal, and to reap: never a signal to a reused pid
	exited  bool
}

func newProcess(spec Spec, s *spawner, env []string) *process {
	p := &process{spec: spec, spawner: s, last: &tail{}, reaped: make(chan struct{})}
	p.cmd = exec.Command("/proc/self/fd/" + strconv.Itoa(programFD))
	p.cmd.Args = []string{spec.Command}
	p.cmd.Dir = "/"
	p.cmd.Env = append(slices.Clone(env), environment(spec)...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return p
}

// environment is what of ours a worker inherits, and the thread counts that keep
// numerical libraries from starting more threads than the worker has CPUs.
func environment(spec Spec) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		inherited := []string{"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "TMPDIR"}
		if slices.Contains(inherited, name) || strings.HasPrefix(name, "LC_") {
			env = append(env, kv)
		}
	}
	cpus := strconv.Itoa(max(1, len(spec.CPUs)))
	for _, name := range []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"} {
		env = append(env, name+"="+cpus)
	}
	env = append(env, "MALLOC_ARENA_MAX=2", plugins.LifelineEnv+"="+strconv.Itoa(lifelineFD))
	for name, value := range spec.Env {
		env = append(env, name+"="+value)
	}
	return env
}

// Start implements runner.Runner: it executes the very file that it has hashed.
func (p *process) Start(context.Context) error {
	program, err := os.Open(p.spec.Command)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	defer program.Close()
	if err := checkHash(program, p.spec.SHA256); err != nil {
		return err
	}
	life, ours, err := os.Pipe()
	if err != nil {
		return err
	}
	defer life.Close()
	outR, outW, err := os.Pipe()
	if err != nil {
		return errors.Join(err, ours.Close())
	}
	defer outW.Close()
	errR, errW, err := os.Pipe()
	if err != nil {
		return errors.Join(err, ours.Close(), outR.Close())
	}
	defer errW.Close()
	p.cmd.Stdout, p.cmd.Stderr = outW, errW
	p.cmd.ExtraFiles = []*os.File{life, program}
	if err := p.spawner.start(p.cmd, p.spec.CPUs); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", p.spec.Command, err), ours.Close(), outR.Close(), errR.Close())
	}
	p.lifeline, p.stderr = ours, errR
	p.stdout = forwardHandshake(outR)
	go p.reap()
	return nil
}

func checkHash(f *os.File, want string) error {
	if want == "" {
		return nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); !strings.EqualFold(got, want) {
		return fmt.Errorf("%w: %s has %s, the configuration names %s", ErrHash, f.Name(), got, want)
	}
	return nil
}

// forwardHandshake passes the first line on and drains the rest at any length, so
// that no program can block on a full pipe.
func forwardHandshake(r *os.File) *io.PipeReader {
	pr, pw := io.Pipe()
	go func() {
		defer r.Close()
		lines := bufio.NewReaderSize(r, maxHandshake)
		line, err := lines.ReadSlice('\n')
		if err == nil || len(line) > 0 && errors.Is(err, io.EOF) {
			_, _ = pw.Write(line) // an error: nobody reads the handshake any more
		}
		pw.Close()
		_, _ = io.Copy(io.Discard, lines)
	}()
	return pr
}

// reap waits for the worker's end without letting go of its pid, kills what it
// left in its process group, and only then lets the pid go.
func (p *process) reap() {
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			break
		}
	}
	p.killing.Lock()
	_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL)
	p.exited = true
	_ = p.cmd.Wait() // how it ended is in ProcessState
	p.killing.Unlock()
	p.lifeline.Close()
	close(p.reaped)
}

// kill ends the whole process group at once; it does not wait.
func (p *process) kill() {
	p.killing.Lock()
	defer p.killing.Unlock()
	if !p.exited {
		_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL)
	}
}

// Wait implements runner.Runner.
func (p *process) Wait(context.Context) error {
	<-p.reaped
	if !p.cmd.ProcessState.Success() {
		return errors.New(p.cmd.ProcessState.String())
	}
	return nil
}

// Kill implements runner.Runner.
func (p *process) Kill(context.Context) error {
	p.kill()
	<-p.reaped
	return nil
}

// Stdout implements runner.Runner.
func (p *process) Stdout() io.ReadCloser { return p.stdout }

// Stderr implements runner.Runner; what go-plugin reads there is also kept.
func (p *process) Stderr() io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(p.stderr, p.last), p.stderr}
}

// Name implements runner.Runner.
func (p *process) Name() string { return p.spec.Command }

// ID implements runner.Runner.
func (p *process) ID() string { return strconv.Itoa(p.cmd.Process.Pid) }

// Diagnose implements runner.Runner.
func (p *process) Diagnose(context.Context) string { return strings.Join(p.last.lines(), "\n") }

// PluginToHost implements runner.AddrTranslator: both share the file system.
func (p *process) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin implements runner.AddrTranslator.
func (p *process) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// tailBytes and tailLines bound what is kept of a worker's stderr.
const (
	tailBytes = 8 << 10
	tailLines = 20
)

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(b), nil
}

func (t *tail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.text) == 0 {
		return nil
	}
	lines := strings.Split(strings.TrimRight(string(t.text), "\n"), "\n")
	return lines[max(0, len(lines)-tailLines):]
}
