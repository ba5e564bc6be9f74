package embedpy_test

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"cpulb/embedpy"
)

const module = `
import _embedpy

class Interrupted(BaseException):
    pass

_embedpy.set_interrupts(Interrupted)

def echo(*args):
    return args

def spin(channel):
    _embedpy.post(channel, 0, 1, 0.5, "spinning ğ")
    while True:
        pass

def rescue(exc):
    return (type(exc).__name__,)

def fails():
    raise ValueError("on purpose")

def no_tuple():
    return 1

def executable():
    import sys
    return (sys.executable, sys.prefix)
`

// host is the process's interpreter and where its posts go.
type host struct {
	*embedpy.Interpreter
	posts chan string
}

var theHost = sync.OnceValues(func() (*host, error) {
	h := &host{posts: make(chan string, 16)}
	in, err := embedpy.Start(embedpy.Config{Posted: func(p embedpy.Post) { h.posts <- string(p.Text) }})
	if err != nil {
		return nil, err
	}
	h.Interpreter = in
	return h, in.Load("module", "module.py", module)
})

// onThread runs f on a Python thread of its own.
func onThread(t *testing.T, f func(h *host, p *embedpy.Thread, get func(string) *embedpy.Object)) {
	t.Helper()
	h, err := theHost()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		p, err := h.OpenThread()
		if err != nil {
			t.Error(err)
			return
		}
		defer p.Close()
		f(h, p, func(name string) *embedpy.Object {
			o, err := p.Attr("module", name)
			if err != nil {
				t.Error(err)
			}
			return o
		})
	}()
	<-done
}

func TestOneInterpreterPerProcess(t *testing.T) {
	if _, err := theHost(); err != nil {
		t.Fatal(err)
	}
	if _, err := embedpy.Start(embedpy.Config{}); !errors.Is(err, embedpy.ErrStarted) {
		t.Errorf("second start: %v", err)
	}
}

func TestExecutableBelongsToTheLinkedLibrary(t *testing.T) {
	onThread(t, func(h *host, p *embedpy.Thread, get func(string) *embedpy.Object) {
		r, err := p.Call(get("executable"))
		if err != nil {
			t.Error(err)
			return
		}
		exe, prefix := r.String(0), r.String(1)
		if !strings.HasPrefix(exe, prefix) || !strings.Contains(exe, "/bin/python3.") || !strings.HasPrefix(h.Version(), "3.") {
			t.Errorf("executable %s, prefix %s, version %s", exe, prefix, h.Version())
		}
	})
}

func TestValuesCrossUnchanged(t *testing.T) {
	onThread(t, func(_ *host, p *embedpy.Thread, get func(string) *embedpy.Object) {
		large := strings.Repeat("ğ", 1<<20)
		r, err := p.Call(get("echo"), embedpy.Str("a€"), embedpy.Text([]byte(large)), embedpy.Bytes([]byte{0, 255}),
			embedpy.Int(-1<<63), embedpy.Value{}, embedpy.Str(""))
		if err != nil {
			t.Error(err)
			return
		}
		if r.String(0) != "a€" || r.String(1) != large || r.String(2) != "\x00\xff" || r.Int(3) != -1<<63 || !r.IsNone(4) ||
			r.IsNone(5) || len(r.Bytes(5)) != 0 || r.Len() != 6 {
			t.Errorf("%q %d %q %d", r.String(0), len(r.Bytes(1)), r.Bytes(2), r.Int(3))
		}
	})
}

// Large arguments stay in Go's memory during a call alone: whatever the collector does with
// it afterwards, nothing that C keeps leads there.
func TestNothingLeadsToTheArgumentsOfACallThatIsOver(t *testing.T) {
	onThread(t, func(_ *host, p *embedpy.Thread, get func(string) *embedpy.Object) {
		echo, over := get("echo"), make(chan struct{})
		var collecting sync.WaitGroup
		collecting.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					runtime.GC()
				}
			}
		})
		for i := range 300 {
			if _, err := p.Call(echo, embedpy.Text([]byte(strings.Repeat("x", 64<<10<<(i%5)))), embedpy.Int(int64(i))); err != nil {
				t.Fatal(err)
			}
			runtime.GC() // what it had is gone, and the next call comes during a collection
		}
		close(over)
		collecting.Wait()
	})
}

func TestBadCallsAreErrors(t *testing.T) {
	onThread(t, func(_ *host, p *embedpy.Thread, get func(string) *embedpy.Object) {
		for name, want := range map[string]string{"fails": "on purpose", "no_tuple": "must return a tuple"} {
			if _, err := p.Call(get(name)); !errors.Is(err, embedpy.ErrRaised) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := p.Call(get("echo"), embedpy.Str("\xff")); !errors.Is(err, embedpy.ErrRaised) {
			t.Errorf("text that is not UTF-8: %v", err)
		}
		if _, err := p.Call(get("echo"), embedpy.Float(1)); !errors.Is(err, embedpy.ErrRaised) {
			t.Errorf("a float as a result: %v", err)
		}
		if _, err := p.Call(get("echo"), make([]embedpy.Value, embedpy.MaxValues+1)...); !errors.Is(err, embedpy.ErrTooManyValues) {
			t.Errorf("too many: %v", err)
		}
		if _, err := p.Attr("module", "nothing"); !errors.Is(err, embedpy.ErrRaised) {
			t.Errorf("no such attribute: %v", err)
		}
	})
}

func TestInterruptReachesItsRegionOnly(t *testing.T) {
	onThread(t, func(h *host, p *embedpy.Thread, get func(string) *embedpy.Object) {
		spin, rescue, echo := get("spin"), get("rescue"), get("echo")
		open := make(chan bool, 1)
		go func() {
			if text := <-h.posts; text != "spinning ğ" {
				t.Errorf("posted %q", text)
			}
			if p.Interrupt(6, 0) {
				t.Error("a region that is not open was interrupted")
			}
			open <- p.Interrupt(7, 0)
		}()
		r, err := p.CallRegion(7, spin, rescue, nil, embedpy.Int(1))
		if err != nil || r.String(0) != "Interrupted" || !p.Report().Interrupted || !<-open {
			t.Errorf("%v, %+v", err, p.Report())
		}
		if p.Interrupt(7, 0) {
			t.Error("a region that has ended was interrupted")
		}
		if r, err = p.CallRegion(8, echo, rescue, nil, embedpy.Int(1)); err != nil || r.Int(0) != 1 || p.Report().Interrupted {
			t.Errorf("the next region: %v", err)
		}
		p.Interrupt(9, 0) // before its region begins
		if r, err = p.CallRegion(9, spin, rescue, nil, embedpy.Int(1)); err != nil || r.String(0) != "Interrupted" {
			t.Errorf("a region interrupted in advance: %v", err)
		}
	})
}
