// Package owndaemon runs a cpulbd of one's own, for tests and measurements: it starts it,
// knows when it is ready, keeps what it logs, and ends it. What it is started with, and
// removing what it has written, is up to the caller.
package owndaemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// ErrNotReady is matched when a daemon has ended, or did not answer in time, before it was ready.
var ErrNotReady = errors.New("cpulbd was not ready")

// Daemon is one that has been started, also when it has ended.
type Daemon struct {
	Log *Log
	// Ready is how long it took from exec until it said that it is ready.
	Ready time.Duration

	cmd   *exec.Cmd
	ended chan struct{}
}

// Start runs cmd, which is a cpulbd or becomes one, with log as its stderr, and returns once
// that is ready. It ends with this process. An error leaves no process behind; with
// ErrNotReady the Daemon is one that has ended.
func Start(ctx context.Context, cmd *exec.Cmd, log *Log) (*Daemon, error) {
	d := &Daemon{Log: log, cmd: cmd, ended: make(chan struct{})}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// An interrupt at the terminal is for us, who stop it; if we are killed it ends too.
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGTERM
	cmd.Stderr = log
	ready := log.await("cpulbd: ready:")
	began := time.Now()
	if err := d.run(); err != nil {
		return nil, err
	}
	select {
	case <-ready:
		d.Ready = time.Since(began)
		return d, nil
	case <-d.ended:
		return d, fmt.Errorf("%w, it ended: %s\n%s", ErrNotReady, cmd.ProcessState, log)
	case <-ctx.Done():
		d.Kill()
		return d, fmt.Errorf("%w: %w\n%s", ErrNotReady, context.Cause(ctx), log)
	}
}

// run starts the program on a thread that stays until its end, since Pdeathsig goes by the
// thread that has started it.
func (d *Daemon) run() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		err := d.cmd.Start()
		started <- err
		if err == nil {
			_ = d.cmd.Wait() // ProcessState says how it ended
			close(d.ended)
		}
	}()
	return <-started
}

// PID is the process.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Ended is closed once the process has ended.
func (d *Daemon) Ended() <-chan struct{} { return d.ended }

// Signal sends a signal, if the process has not ended.
func (d *Daemon) Signal(s syscall.Signal) { _ = d.cmd.Process.Signal(s) }

// Stop ends the daemon in order, and waits for that. An error says how it ended instead.
func (d *Daemon) Stop() error {
	d.Signal(syscall.SIGTERM)
	<-d.ended
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("cpulbd: %s\n%s", d.cmd.ProcessState, d.Log)
	}
	return nil
}

// Kill ends the daemon as a crash does.
func (d *Daemon) Kill() {
	d.Signal(syscall.SIGKILL)
	<-d.ended
}

// Client returns a client of the daemon on this socket.
func Client(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
}
