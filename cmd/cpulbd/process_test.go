package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	built "cpulb/internal/programs"

	"golang.org/x/sys/unix"
)

// programs is the folder with the daemon and its executor, set once by TestMain.
var programs string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "cpulbd")
	if err != nil {
		panic(err)
	}
	programs = folder
	status := 1
	if err := built.Into(folder, "cpulbd", "cpulb-python"); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		status = m.Run()
	}
	os.RemoveAll(folder)
	os.Exit(status)
}

// onePool is a configuration that starts quickly: one worker for everything.
const onePool = `pool "all" {
  executor   = "python"
  task_types = ["cpu_bound", "io_bound"]
  workers    = 1
  threads    = 2
}
`

// shortDir is a temporary folder with a short name: the path of a Unix socket has
// room for 107 bytes.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cpulb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func writeFile(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// daemonProcess is a cpulbd process of a test.
type daemonProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	socket string
	ended  chan error // its exit, once

	mu    sync.Mutex
	lines []string      // what it wrote to stderr
	news  chan struct{} // closed and made anew at each line
	eof   bool
}

// launch starts cpulbd in dir with this configuration. The process is gone when
// the test ends, if only by SIGKILL.
func launch(t *testing.T, dir, config string, flags ...string) *daemonProcess {
	t.Helper()
	return launchFrom(t, nil, dir, config, flags...)
}

// launchFrom is launch with this stdin; nil is none.
func launchFrom(t *testing.T, stdin *os.File, dir, config string, flags ...string) *daemonProcess {
	t.Helper()
	p := &daemonProcess{t: t, socket: filepath.Join(dir, "cpulb.sock"), ended: make(chan error, 1), news: make(chan struct{})}
	file := writeFile(t, filepath.Join(dir, "config.hcl"), config, 0o600)
	args := []string{"-config", file, "-socket", p.socket}
	if !slices.Contains(flags, "-state-dir") && !slices.Contains(flags, "-private") { // or it would be the machine's
		state := dir + ".state"
		t.Cleanup(func() { _ = os.RemoveAll(state) }) // as t.TempDir does, which each call would have anew
		args = append(args, "-state-dir", state)
	}
	p.cmd = exec.Command(filepath.Join(programs, "cpulbd"), append(args, flags...)...)
	if stdin != nil {
		p.cmd.Stdin = stdin
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when the test binary is ended
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.wrote(s.Text(), false)
		}
		p.wrote("", true)
	}()
	go func() {
		<-read // Wait closes the pipe, so everything must have been read
		p.ended <- p.cmd.Wait()
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *daemonProcess) wrote(line string, eof bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if eof {
		p.eof = true
	} else {
		p.lines = append(p.lines, line)
	}
	close(p.news)
	p.news = make(chan struct{})
}

// log returns all that it has written, and a channel that is closed when there
// is more; nil after the last.
func (p *daemonProcess) log() (string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := strings.Join(p.lines, "\n")
	if p.eof {
		return text, nil
	}
	return text, p.news
}

// await returns when the log has text in it.
func (p *daemonProcess) await(text string) {
	p.t.Helper()
	for {
		log, news := p.log()
		if strings.Contains(log, text) {
			return
		}
		if news == nil {
			p.t.Fatalf("it ended without saying %q:\n%s", text, log)
		}
		select {
		case <-news:
		case <-p.t.Context().Done():
			p.t.Fatalf("no %q in:\n%s", text, log)
		}
	}
}

func (p *daemonProcess) ready() *daemonProcess {
	p.t.Helper()
	p.await("cpulbd: ready:")
	return p
}

func (p *daemonProcess) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits for the end and returns the status and the log.
func (p *daemonProcess) exit() (int, string) {
	p.t.Helper()
	err := <-p.ended
	p.ended <- err
	log, _ := p.log()
	if stopped, ok := errors.AsType[*exec.ExitError](err); ok {
		return stopped.ExitCode(), log
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return 0, log
}

func (p *daemonProcess) kill() {
	_ = p.cmd.Process.Kill()
	p.ended <- <-p.ended
}

// get asks the daemon over its socket and returns the status of the answer.
func (p *daemonProcess) get(path string) int {
	p.t.Helper()
	return p.request(http.MethodGet, path, "")
}

func (p *daemonProcess) request(method, path, body string) int {
	p.t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", p.socket)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(p.t.Context(), method, "http://cpulb"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		p.t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// processesOf returns the processes whose program is one of this test's.
func processesOf(t *testing.T, folder string) []int {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, link := range links {
		program, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(program, folder+"/") { // ended meanwhile, or another's
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(link, "/proc/%d/exe", &pid); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// watchEnd returns a function that waits for the end of a process, which need not
// be a child of ours.
func watchEnd(t *testing.T, pid int) (wait func()) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func() {
		t.Helper()
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if err == nil {
				return
			}
			if !errors.Is(err, unix.EINTR) {
				t.Fatal(err)
			}
		}
	}
}
