package main

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/api"
	"cpulb/ipc/ipctest"
)

func TestTheLineSaysHowFarHowFastAndHowLongYet(t *testing.T) {
	begin := time.Unix(1, 0)
	var p pace
	p.note(begin, 0)
	p.note(begin.Add(10*time.Second), 100)
	half := 0.5
	for want, s := range map[string]barState{
		"[#####...............]  25%  100 of 400  10/s  ETA 30s":    {pace: p, count: 100, total: 400},
		"[####################] 100%  400 of 400  10/s":             {pace: p, count: 400, total: 400},
		"[####################] 100%  401 of 401  10/s  3 failed":   {pace: p, count: 401, total: 400, failed: 3},
		"[....................]   0%  0 of 100000  10/s  ETA 2h47m": {pace: p, total: 100_000},
		"100 lines  10/s  waiting for room [queue_full]":            {pace: p, count: 100, waits: inShort(&api.Problem{Code: "queue_full"})},
		"100 lines  10/s":                       {pace: p, count: 100},
		"0 lines":                               {},
		"":                                      {one: true},
		"waiting for room":                      {one: true, waits: "waiting for room"},
		"[##########..........]  50%  half way": {share: &half, message: "half way", count: 3},
	} {
		if got := s.line(80); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	wide := barState{share: &half, message: strings.Repeat("漢\x1b", 40)}
	if got := wide.line(40); strings.Contains(got, "\x1b") || len([]rune(got)) >= 40 {
		t.Errorf("%q", got)
	}
}

func TestThePaceIsThatOfLately(t *testing.T) {
	var p pace
	at := time.Unix(1, 0)
	for i := range 1000 { // one in a second, then two
		p.note(at, i)
		if at = at.Add(time.Second); i >= 500 {
			at = at.Add(-time.Second / 2)
		}
	}
	if r := p.rate(); r < 1.9 || r > 2.1 || len(p.marks) > 40 {
		t.Errorf("%g, of %d marks", r, len(p.marks))
	}
	p.skip(100)
	p.note(at, 1100)
	if r := p.rate(); r < 1.9 || r > 2.1 {
		t.Errorf("after a hundred that were there: %g", r)
	}
	for d, want := range map[time.Duration]string{400 * time.Millisecond: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m1s", 3 * time.Hour: "3h0m", 120 * time.Hour: "5d"} {
		if got := untilThen(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	for rate, want := range map[float64]string{1234.5: "1234/s", 2.5: "2.5/s", 0.5: "30.0/min", 0.001: "3.6/h"} {
		if got := perTime(rate); got != want {
			t.Errorf("%g: %q, want %q", rate, got, want)
		}
	}
}

func TestOnlyATerminalsStderrShowsHowFarAMapIs(t *testing.T) {
	engine := administrator(t)
	input := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(input, []byte("1\n\n2\n{bad\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(input)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	tty, shown := terminalPair(t)
	text := make(chan string, 1)
	t.Setenv("TERM", "xterm")
	var out strings.Builder
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"map", ipctest.Held, "--keep-going"}, newTerminal(in, &out, tty))
	}()
	if err := engine.AwaitTasks(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	complete(t, engine, 2)
	if code := <-ended; code != 1 {
		t.Errorf("exit code %d", code)
	}
	text <- shown()
	got := <-text
	const last = "cpulb: line 4: it is not one JSON value"
	if !strings.Contains(got, eraseLine) || !strings.Contains(got, eraseLine+last) || strings.HasSuffix(got, eraseLine) {
		t.Errorf("%q", got)
	}
	if strings.Count(out.String(), "\n") != 3 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%q", out.String())
	}
}

// A terminal is not drawn on as often as a script reports its progress.
func TestTheLineIsDrawnNoMoreOftenThanItCanBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		screen := newFile(t, "")
		b := &bar{out: screen}
		for i := range 1000 { // in a second
			b.fraction(float64(i)/1000, "")
			time.Sleep(time.Millisecond)
		}
		b.hide() // what is written beside it
		b.show()
		text, err := os.ReadFile(screen.Name())
		if n := strings.Count(string(text), "%"); err != nil || n != 5+1 {
			t.Errorf("it was drawn %d times: %v", n, err)
		}
	})
}

// The lines are counted beside the map that reads them from the same descriptor.
func TestTheTotalIsThatOfAllLinesHoweverManyHaveBeenReadMeanwhile(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // who counts has its turn when all is read
	synctest.Test(t, func(t *testing.T) {
		in := newFile(t, "before\n1\n\n2\n3\n")
		if _, err := in.Seek(int64(len("before\n")), io.SeekStart); err != nil {
			t.Fatal(err)
		}
		r := &mapper{terminal: newTerminal(in, io.Discard, io.Discard), bar: &bar{out: newFile(t, "")}}
		r.total()
		if _, err := io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := r.bar.state.total; n != 3 {
			t.Errorf("%d lines of 3", n)
		}
	})
}

// newFile opens a file that has text, from its beginning.
func newFile(t *testing.T, text string) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err == nil {
		_, err = f.WriteAt([]byte(text), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
