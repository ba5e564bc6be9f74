package conformance

import (
	"context"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Verdict is what came of checking a promise.
type Verdict string

// The verdicts.
const (
	Kept    Verdict = "ok"
	Broken  Verdict = "FAILED"
	Skipped Verdict = "skipped"
)

// Finding is a Promise that has been checked, with why it is broken or was skipped.
type Finding struct {
	Promise string   `json:"promise"`
	Verdict Verdict  `json:"verdict"`
	Reasons []string `json:"reasons,omitempty"`
	Seconds float64  `json:"seconds"`
}

// Sentence is the promise's name as words.
func Sentence(name string) string {
	var words strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			words.WriteByte(' ')
		}
		if i > 0 {
			r = unicode.ToLower(r)
		}
		words.WriteRune(r)
	}
	return words.String()
}

// Selects reports whether only matches the promise's name or its words; nil matches all.
func Selects(only *regexp.Regexp, name string) bool {
	return only == nil || only.MatchString(name) || only.MatchString(Sentence(name))
}

// Find checks one promise without Go's testing. It returns when the worker has ended and its
// folder is gone, also when ctx is cancelled meanwhile; the promise is broken then.
func (p Promise) Find(ctx context.Context, s Suite) Finding {
	began := time.Now()
	t := &check{}
	t.ctx, t.cancel = context.WithTimeout(ctx, 10*s.patience()) // no promise waits for longer
	defer t.cancel()
	t.do(func() { p.Check(t, s) })
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.do(t.cleanups[i])
	}
	f := Finding{Promise: p.Name, Verdict: Kept, Seconds: time.Since(began).Seconds()}
	switch {
	case len(t.failures) > 0:
		f.Verdict, f.Reasons = Broken, t.failures
	case t.skipped != "":
		f.Verdict, f.Reasons = Skipped, []string{t.skipped}
	}
	return f
}

// check is a T.
type check struct {
	ctx      context.Context
	cancel   context.CancelFunc
	cleanups []func() // of the goroutine that checks alone

	mu       sync.Mutex
	failures []string
	skipped  string
}

// do calls f on a goroutine that Fatal and Skip may end.
func (c *check) do(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				c.Errorf("the check itself failed: %v", p)
			}
		}()
		f()
	}()
	<-done
}

func (c *check) Context() context.Context { return c.ctx }

func (c *check) Cleanup(f func()) { c.cleanups = append(c.cleanups, f) }

func (c *check) Helper() {}

func (c *check) Error(args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, strings.TrimSpace(fmt.Sprintln(args...)))
}

func (c *check) Errorf(format string, args ...any) { c.Error(fmt.Sprintf(format, args...)) }

func (c *check) Fatal(args ...any) {
	c.Error(args...)
	runtime.Goexit()
}

func (c *check) Fatalf(format string, args ...any) { c.Fatal(fmt.Sprintf(format, args...)) }

func (c *check) Skip(args ...any) {
	c.mu.Lock()
	c.skipped = strings.TrimSpace(fmt.Sprintln(args...))
	c.mu.Unlock()
	runtime.Goexit()
}

func (c *check) Skipf(format string, args ...any) { c.Skip(fmt.Sprintf(format, args...)) }

// Start starts a worker once, to see what it is. It has ended when Start returns.
func Start(ctx context.Context, s Suite) (about About, err error) {
	t := &check{}
	t.ctx, t.cancel = context.WithCancel(ctx)
	defer t.cancel()
	t.do(func() {
		var b *bench
		if b, err = tryBench(t, &s, Options{Slots: s.slots()}); err == nil {
			d := b.worker.Description()
			about = About{d.Name, d.Version, b.worker.Runtime(), CapabilitiesOf(b.worker)}
		}
	})
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.do(t.cleanups[i])
	}
	return about, err
}

// About is what an executor says of itself.
type About struct {
	Name         string   `json:"name"`
	Version      string   `json:"version"`
	Runtime      string   `json:"runtime,omitempty"`
	Capabilities []string `json:"capabilities"`
}
