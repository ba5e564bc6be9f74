package adversary_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cpulb/daemon/config"
	"cpulb/internal/owndaemon"
)

// patience is for how long a test waits before it takes what it waits for for hung, on
// however slow a machine.
const patience = 10 * time.Minute

// watchdog is what the daemon's service manager would wait for a sign of life.
const watchdog = time.Second

// daemon is a running cpulbd of a test's own.
type daemon struct {
	t      *testing.T
	socket string
	folder string // the scripts, and all that it has
	config *config.Config
	own    *owndaemon.Daemon
	log    *owndaemon.Log
	// root and others are clients by uid.
	root, victim *http.Client
	// fed counts signs of life; hungry is the longest time without one since it was reset.
	fed    atomic.Int64
	hungry atomic.Int64
}

// keptLog is how many bytes of its log are kept.
const keptLog = 16 << 10

// start starts a daemon and returns once it is ready.
func start(t *testing.T, text string) *daemon {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: with a test's name in it a path is too long for a socket.
	dir, err := os.MkdirTemp("", "cpulb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, socket: filepath.Join(dir, "s"), folder: dir, log: &owndaemon.Log{Keep: keptLog}}
	path := d.write("config.hcl", text)
	if d.config, err = config.Load(path); err != nil {
		t.Fatal(err)
	}
	for name, text := range scripts() {
		d.write(name, text)
	}
	cmd := exec.Command(filepath.Join(bin, "cpulbd"), "-config", path, "-socket", d.socket, "-state-dir", filepath.Join(dir, "state"))
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+d.manage(), "WATCHDOG_USEC="+strconv.FormatInt(watchdog.Microseconds(), 10))
	if d.own, err = owndaemon.Start(t.Context(), cmd, d.log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.own.Stop(); err != nil {
			t.Error(err)
		}
	})
	d.root, d.victim = d.client(0), d.client(victim)
	return d
}

func (d *daemon) write(name, text string) string {
	d.t.Helper()
	path := filepath.Join(d.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// manage is the daemon's service manager, which counts its signs of life.
func (d *daemon) manage() (address string) {
	d.t.Helper()
	address = filepath.Join(d.folder, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { l.Close() })
	go func() {
		last := time.Now()
		for buf := make([]byte, 4096); ; {
			n, err := l.Read(buf)
			if err != nil {
				return
			}
			if strings.Contains(string(buf[:n]), "WATCHDOG=1") {
				d.fed.Add(1)
				d.hungry.Store(max(d.hungry.Load(), int64(time.Since(last))))
				last = time.Now()
			}
		}
	}()
	return address
}

// client returns a client of that user's. Who connects is the thread that does.
func (d *daemon) client(uid int) *http.Client {
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialAs(ctx, uid, d.socket)
	}}}
	d.t.Cleanup(c.CloseIdleConnections)
	return c
}

func dialAs(ctx context.Context, uid int, socket string) (net.Conn, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const keep = ^uintptr(0)
	if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, keep, uintptr(uid), keep); e != 0 {
		return nil, e
	}
	defer syscall.RawSyscall(syscall.SYS_SETRESUID, keep, 0, keep)
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil || !isFull(err) || ctx.Err() != nil {
			return c, err
		}
		runtime.Gosched()
	}
}

// ask makes one request and returns the status and the answer.
func ask(ctx context.Context, c *http.Client, method, path, body string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://cpulb"+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

// until returns once holds says true.
func (d *daemon) until(what string, holds func() bool) {
	d.t.Helper()
	for hung := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(hung) {
			d.t.Fatalf("not within %s: %s\n%s", patience, what, d.log)
		}
	}
}

// status reads figures of the process, by their names in /proc/PID/status, in KiB.
func (d *daemon) status(name string) int64 {
	d.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.own.PID()))
	if err != nil {
		d.t.Fatalf("the daemon has gone: %v\n%s", err, d.log)
	}
	found := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+) kB$`).FindSubmatch(text)
	if found == nil {
		d.t.Fatalf("no %s in\n%s", name, text)
	}
	n, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return n << 10
}

// forgetPeak has VmHWM begin anew.
func (d *daemon) forgetPeak() {
	d.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", d.own.PID()), []byte("5"), 0); err != nil {
		d.t.Fatal(err)
	}
}

func (d *daemon) descriptors() int {
	d.t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.own.PID()))
	if err != nil {
		d.t.Fatal(err)
	}
	return len(all)
}

// metrics returns the sums of the daemon's figures over their labels.
func (d *daemon) metrics() map[string]float64 {
	d.t.Helper()
	code, text, err := ask(d.t.Context(), d.root, "GET", "/metrics", "")
	if err != nil || code != 200 {
		d.t.Fatalf("GET /metrics: %d %v", code, err)
	}
	sums := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, _, _ = strings.Cut(name, "{")
		if n, err := strconv.ParseFloat(value[strings.LastIndex(value, " ")+1:], 64); err == nil {
			sums[name] += n
		}
	}
	return sums
}
