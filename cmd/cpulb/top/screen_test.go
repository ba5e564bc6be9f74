package top_test

import (
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"cpulb/cmd/cpulb/top"
	"cpulb/daemon/task"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal with somebody in front of it.
type terminal struct {
	t     *testing.T
	host  *os.File // the keyboard, and the cable to the screen
	tty   *os.File
	mu    sync.Mutex
	seen  *vt.Emulator
	raw   strings.Builder
	drawn chan struct{} // something has been written since
}

// sit returns a terminal of a size.
func sit(t *testing.T, width, height int) *terminal {
	t.Helper()
	host, tty, err := pty.Open()
	if err != nil {
		t.Skipf("there is no pseudo-terminal: %v", err)
	}
	x := &terminal{t: t, host: host, tty: tty, seen: vt.NewEmulator(width, height), drawn: make(chan struct{}, 1)}
	x.size(width, height)
	var ended sync.WaitGroup
	ended.Go(x.watch)
	ended.Go(func() { _, _ = io.Copy(host, x.seen) }) // what the emulator answers to questions
	t.Cleanup(func() {
		tty.Close()
		host.Close()
		x.seen.InputPipe().(io.Closer).Close()
		ended.Wait()
	})
	return x
}

func (x *terminal) watch() {
	for buffer := make([]byte, 4096); ; {
		n, err := x.host.Read(buffer)
		if err != nil {
			return
		}
		x.mu.Lock()
		_, _ = x.seen.Write(buffer[:n])
		x.raw.Write(buffer[:n])
		x.mu.Unlock()
		select {
		case x.drawn <- struct{}{}:
		default:
		}
	}
}

func (x *terminal) size(width, height int) {
	if err := pty.Setsize(x.host, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}); err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) screen() (shown, raw string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.String(), x.raw.String()
}

func (x *terminal) press(keys string) {
	if _, err := x.host.WriteString(keys); err != nil {
		x.t.Error(err)
	}
}

// await returns the screen once it fits.
func (x *terminal) await(what string, fits func(screen string) bool) string {
	x.t.Helper()
	late := time.After(2 * time.Minute)
	for {
		shown, raw := x.screen()
		if fits(shown) {
			return shown
		}
		select {
		case <-x.drawn:
		case <-late:
			x.t.Fatalf("%s: never shown, but\n%s\n%q", what, shown, raw)
		}
	}
}

// sees waits until all these are on the screen.
func (x *terminal) sees(words ...string) string {
	x.t.Helper()
	return x.await(strings.Join(words, ", "), func(screen string) bool {
		for _, w := range words {
			if !strings.Contains(screen, w) {
				return false
			}
		}
		return true
	})
}

// follow begins to show what f says; left returns once nobody looks any more.
func (x *terminal) follow(f *fake, environment ...string) (left func(), signal func()) {
	ctx, cancel := context.WithCancel(x.t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- top.Show(ctx, top.New(f), x.tty, x.tty, append(environment, "TERM=xterm-256color"), top.Look{Every: 10 * time.Millisecond})
	}()
	x.t.Cleanup(cancel)
	return func() {
		x.t.Helper()
		select {
		case err := <-ended:
			if err != nil {
				x.t.Error(err)
			}
		case <-time.After(2 * time.Minute):
			x.t.Error("it stays")
		}
	}, cancel
}

func TestTheScreenFollowsTheDaemon(t *testing.T) {
	x, f := sit(t, 100, 24), &fake{pid: 77, tasks: []task.View{view("/srv/long.py", task.Running, time.Hour, 0)}}
	before, err := unix.IoctlGetTermios(int(x.tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	left, _ := x.follow(f)
	x.sees("cpulbd 1.2.3", "pid 77", "5 of 10", "cpu-0", "1h00m", "/srv/long.py", "ended 0.0/s", "journal degraded")
	f.set(func(f *fake) { f.err = errGone })
	x.sees("no daemon answers", "the figures are of", "5 of 10")
	f.set(func(f *fake) { f.err, f.pid, f.up = nil, 78, 0 })
	x.await("it is back", func(s string) bool {
		return strings.Contains(s, "pid 78") && strings.Contains(s, "restarted once") && !strings.Contains(s, "no daemon")
	})
	x.press("q")
	left()
	x.await("the terminal as it was", func(string) bool {
		_, raw := x.screen()
		return strings.Contains(raw, "\x1b[?1049l") && strings.Contains(raw, "\x1b[?25h")
	})
	if after, err := unix.IoctlGetTermios(int(x.tty.Fd()), unix.TCGETS); err != nil || *after != *before {
		t.Errorf("the terminal has another mode: %+v, it had %+v (%v)", after, before, err)
	}
}

func TestKeysSteerTheScreen(t *testing.T) {
	x, f := sit(t, 100, 24), &fake{pid: 77}
	left, _ := x.follow(f)
	x.sees("CORE*", "cpu-0")
	x.press("s")
	x.sees("BUSY*")
	x.press("r?")
	x.sees("Keys", "PgDn")
	x.press("?p")
	x.sees("PAUSED", "pid 77")
	f.set(func(f *fake) { f.pid = 78 })
	x.press("s")
	if shown := x.sees("DONE/S*"); !strings.Contains(shown, "pid 77") {
		t.Errorf("paused, it goes on:\n%s", shown)
	}
	x.press(" ")
	x.sees("pid 78")
	x.press("-")
	x.sees("every 500ms")
	x.press("\x03")
	left()
}

func TestASmallTerminalShowsWhatItCan(t *testing.T) {
	x, f := sit(t, 100, 24), &fake{pid: 77}
	left, _ := x.follow(f)
	x.sees("cpu-0")
	x.mu.Lock()
	x.seen.Resize(20, 3)
	x.mu.Unlock()
	x.size(20, 3)
	_ = unix.Kill(os.Getpid(), unix.SIGWINCH) // the terminal is not this process's own
	x.await("one line of three", func(s string) bool { return strings.Contains(s, "cpulbd 1.2.3") && !strings.Contains(s, "cpu-0") })
	x.press("q")
	left()
}

func TestColoursAreLeftOutWhereNobodyWantsThem(t *testing.T) {
	colour := "\x1b[33m" // of what is degraded
	for _, c := range []struct {
		environment string
		want        bool
	}{{"NO_COLOR=1", false}, {"LANG=C", true}} {
		x := sit(t, 100, 24)
		left, signal := x.follow(&fake{pid: 77}, c.environment)
		x.sees("journal degraded")
		if _, raw := x.screen(); strings.Contains(raw, colour) != c.want {
			t.Errorf("%s: colours %v: %q", c.environment, !c.want, raw)
		}
		signal()
		left()
	}
}
