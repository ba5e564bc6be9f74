package subject

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"cpulb/bench/proc"

	"golang.org/x/sys/unix"
)

// ErrUnsupported is matched when a system has no such thing; the text says why.
var ErrUnsupported = errors.New("not supported")

// Spec is how to start a Subject.
type Spec struct {
	Name string
	// Command is the driver with its arguments.
	Command []string
	// Also are processes that belong to the system and are not the driver's: a daemon.
	Also []int
	// Restless systems work also while nobody asks anything of them, and are stopped
	// while others are measured.
	Restless bool
}

// Subject is a system that runs.
type Subject struct {
	Name               string
	Versions, Settings string
	// Start is the time from exec until the first tasks were done.
	Start time.Duration

	spec    Spec
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	log     string
	stopped bool
}

// startWithin is how long a system may take until it is ready, and answerWithin a driver
// for one command.
const startWithin, answerWithin = time.Minute, 5 * time.Minute

// Start starts a system in dir, which is its own, and returns once it is ready.
func Start(ctx context.Context, spec Spec, dir string) (*Subject, error) {
	s := &Subject{Name: spec.Name, spec: spec, log: filepath.Join(dir, "log")}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd = exec.Command(spec.Command[0], spec.Command[1:]...)
	s.cmd.Dir, s.cmd.Stderr = dir, log
	s.cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Dir(spec.Command[min(1, len(spec.Command)-1)]), "PYTHONDONTWRITEBYTECODE=1")
	s.cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", spec.Name, err)
	}
	var h hello
	if err := s.answer(ctx, startWithin, &h); err != nil {
		s.Stop()
		return nil, err
	}
	s.Start = time.Since(began)
	if !h.Ready {
		s.Stop()
		return nil, fmt.Errorf("%s: %w: %s%s", s.Name, ErrUnsupported, h.Unsupported, h.Error)
	}
	s.Versions, s.Settings = h.Versions, h.Settings
	s.standStill()
	return s, nil
}

// answer reads the driver's next line into to.
func (s *Subject) answer(ctx context.Context, within time.Duration, to any) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	// What ends the wait ends the driver: half a conversation can't go on.
	defer context.AfterFunc(ctx, s.kill)()
	line, err := s.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, to)
	}
	if err != nil {
		return fmt.Errorf("%s: %w%s", s.Name, errors.Join(ctx.Err(), err), s.said())
	}
	return nil
}

// said is the end of the driver's log.
func (s *Subject) said() string {
	const most = 2000
	text, _ := os.ReadFile(s.log)
	return "\n" + string(text[max(0, len(text)-most):])
}

// Processes are all of the system, the driver first.
func (s *Subject) Processes() []int {
	return proc.Tree(append([]int{s.cmd.Process.Pid}, s.spec.Also...)...)
}

// Driver is the process that is the system's client.
func (s *Subject) Driver() int { return s.cmd.Process.Pid }

// Do measures. All that the system does meanwhile is in the Answer's CPU.
func (s *Subject) Do(ctx context.Context, c Command) (Answer, error) {
	s.goOn()
	defer s.standStill()
	var a Answer
	before := proc.CPU(s.Processes())
	text, err := json.Marshal(c)
	if err == nil {
		_, err = s.in.Write(append(text, '\n'))
	}
	if err != nil {
		return a, fmt.Errorf("%s: %w%s", s.Name, err, s.said())
	}
	if err := s.answer(ctx, answerWithin, &a); err != nil {
		return a, err
	}
	a.CPU = proc.CPU(s.Processes()) - before
	switch {
	case a.Unsupported != "":
		return a, fmt.Errorf("%s: %w: %s", s.Name, ErrUnsupported, a.Unsupported)
	case a.Error != "":
		return a, fmt.Errorf("%s: %s %s: %s", s.Name, c.Op, c.Work, a.Error)
	}
	return a, nil
}

func (s *Subject) standStill() {
	if s.spec.Restless && !s.stopped {
		s.stopped = true
		proc.Signal(s.own(), unix.SIGSTOP)
	}
}

func (s *Subject) goOn() {
	if s.stopped {
		s.stopped = false
		proc.Signal(s.own(), unix.SIGCONT)
	}
}

// own are the processes that the driver has started, and itself.
func (s *Subject) own() []int { return proc.Tree(s.cmd.Process.Pid) }

// kill ends everything of the driver's at once.
func (s *Subject) kill() {
	proc.Signal(s.own(), unix.SIGKILL)
	unix.Kill(-s.cmd.Process.Pid, unix.SIGKILL)
}

// Stop ends the driver and all that it has started.
func (s *Subject) Stop() {
	s.goOn()
	end := proc.Hold(s.own())
	s.in.Close() // at the end of its input a driver ends what it has started
	ended := make(chan struct{})
	go func() { defer close(ended); io.Copy(io.Discard, s.out); s.cmd.Wait() }()
	const patience = 5 * time.Second
	select {
	case <-ended:
	case <-time.After(patience):
		s.kill()
		<-ended
	}
	end()
}
