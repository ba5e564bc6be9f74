package top_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"cpulb/cmd/cpulb/top"
	"cpulb/daemon/api"

	"github.com/charmbracelet/x/ansi"
)

// busy is a daemon with so many workers and scripts.
func busy(workers, scripts int) *top.Snapshot {
	rate := 12.5
	s := &top.Snapshot{At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Daemon:   top.Daemon{Version: "1.2.3", PID: 77, UptimeSeconds: 3723, State: "running"},
		Tasks:    map[string]int{"queued": 12345, "failed": 3},
		Queue:    top.Queue{Size: 12345, Capacity: 100_000, Bytes: 3 << 20, Dropped: 7},
		Slots:    top.Slots{Busy: 3, Total: 34},
		Rates:    &top.Rates{Submitted: 1234, Ended: 56.78, OverSeconds: 2},
		Troubles: []top.Trouble{{Component: "journal", Health: api.Degraded, Reason: "the disk is full"}},
		Pools:    []top.Pool{{Name: "cpu", Workers: 2, Ready: 2, Slots: top.Slots{Busy: 2, Total: 2}}},
		Sample:   top.Sample{Whole: true}}
	for i := range workers {
		s.Workers = append(s.Workers, top.Worker{DonePerSecond: &rate, WorkerStatus: api.WorkerStatus{ID: fmt.Sprintf("cpu-%d", i), Pool: "cpu",
			PID: 100 + i, Core: workers - i, State: "ready", Slots: 1, SlotsBusy: i % 2, TasksDone: 1000, RSSBytes: int64(i) << 20}})
	}
	for i := range scripts {
		s.Scripts = append(s.Scripts, top.Script{Script: fmt.Sprintf("/srv/s%d.py", i), Function: "main", Running: 1, Ended: 2, Failed: 1, MeanSeconds: 0.5, LongestSeconds: 90})
	}
	return s
}

func TestAFrameSaysHowItGoes(t *testing.T) {
	text := top.Frame(busy(2, 1), top.Look{})
	for _, want := range []string{"cpulbd 1.2.3  running  pid 77  up 1h02m", "03:04:05", "queued 12,345", "[##..................] 12,345 of 100,000  3.0 MiB", "dropped 7",
		"3 of 34 busy  cpu 2/2", "submitted 1,234/s  ended 56.8/s", "! journal degraded: the disk is full", "CORE*", "1m30s  500ms", "/srv/s0.py"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Error("a plain frame has colours")
	}
	if first, second := strings.Index(text, "cpu-1 "), strings.Index(text, "cpu-0 "); first < 0 || first > second {
		t.Errorf("not by core:\n%s", text)
	}
}

func TestAFrameFitsEveryTerminal(t *testing.T) {
	for _, s := range []*top.Snapshot{busy(40, 50), busy(1, 0), {}, {Error: "no daemon answers"}} {
		for width := 1; width <= 200; width += 23 {
			for _, height := range []int{1, 2, 5, 7, 8, 9, 10, 11, 12, 13, 24, 300} {
				for _, help := range []bool{false, true} {
					look := top.Look{Width: width, Height: height, Colour: true, Help: help, Skip: 1000, Every: time.Second}
					lines := strings.Split(top.Frame(s, look), "\n")
					if len(lines) > height {
						t.Errorf("%d×%d: %d lines", width, height, len(lines))
					}
					for _, line := range lines {
						if n := ansi.StringWidth(line); n > width {
							t.Errorf("%d×%d: a line is %d wide: %q", width, height, n, line)
						}
					}
				}
			}
		}
	}
}

func TestANarrowTerminalKeepsWhatMattersMost(t *testing.T) {
	text := top.Frame(busy(3, 1), top.Look{Width: 60, Height: 24})
	for _, want := range []string{"WORKER", "CORE", "STATE", "BUSY", "RUNS", "/srv/s0.py"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "RESTARTS") {
		t.Errorf("it has room for all:\n%s", text)
	}
}

func TestALongPathIsCutAtItsBeginning(t *testing.T) {
	s := busy(1, 1)
	s.Scripts[0].Script = "/srv/" + strings.Repeat("漢字", 40) + "/the end.py"
	for width := 50; width < 60; width++ { // a wide character in the middle of the cut
		text := top.Frame(s, top.Look{Width: width, Height: 24})
		if !strings.Contains(text, "…") || !strings.HasSuffix(text, "/the end.py") {
			t.Errorf("%d columns:\n%s", width, text)
		}
	}
}

func TestWorkersAreSortedAndScrolled(t *testing.T) {
	s := busy(9, 0)
	order := func(l top.Look) (ids string) {
		l.Width, l.Height = 100, 30
		for line := range strings.Lines(top.Frame(s, l)) {
			if id, found := strings.CutPrefix(line, "cpu-"); found {
				ids += id[:1]
			}
		}
		return ids
	}
	for _, c := range []struct {
		look top.Look
		want string
	}{
		{top.Look{}, "876543210"},
		{top.Look{Reverse: true}, "012345678"},
		{top.Look{Sort: top.ByName}, "012345678"},
		{top.Look{Sort: top.ByMemory}, "876543210"},
		{top.Look{Sort: top.ByBusy}, "753186420"},
		{top.Look{Sort: top.ParseOrder("rate")}, "876543210"},
	} {
		if got := order(c.look); got != c.want {
			t.Errorf("%+v: %s, want %s", c.look, got, c.want)
		}
	}
	text := top.Frame(busy(100, 0), top.Look{Width: 100, Height: 20, Sort: top.ByCore, Reverse: true, Skip: 40})
	if !strings.Contains(text, "\ncpu-40 ") || strings.Contains(text, "\ncpu-39 ") {
		t.Errorf("not scrolled:\n%s", text)
	}
}

func TestNothingOfATaskSteersTheTerminal(t *testing.T) {
	const steering = "\x1b]0;title\x07\x1b[2J\r\n\t\u202e\x9b31m"
	s := busy(1, 1)
	s.Scripts[0].Script = steering
	s.Workers[0].Runs = &top.Running{Script: steering, Function: steering}
	s.Workers[0].ID, s.Workers[0].State, s.Troubles[0].Reason, s.Error, s.Daemon.Version = steering, steering, steering, steering, steering
	text := top.Frame(s, top.Look{})
	for _, c := range text {
		if c != '\n' && (c < ' ' || c == 0x9b || c == '\u202e') {
			t.Fatalf("%q is in %q", c, text)
		}
	}
	if lines := strings.Count(text, "\n"); lines != strings.Count(top.Frame(busy(1, 1), top.Look{}), "\n")+1 { // the error's
		t.Errorf("a script has made lines of its own: %d", lines)
	}
}

func TestFiguresOfAnySizeAreShown(t *testing.T) {
	s := busy(1, 1)
	s.Scripts[0].LongestSeconds, s.Scripts[0].MeanSeconds = math.Inf(1), 1e-9
	s.Daemon.UptimeSeconds, s.Queue.Bytes, s.Queue.Capacity = 1e9, math.MaxInt64, 0
	if text := top.Frame(s, top.Look{}); !strings.Contains(text, "11574d01h") || !strings.Contains(text, "TiB") {
		t.Error(text)
	}
}
