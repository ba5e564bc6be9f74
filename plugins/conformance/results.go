package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/reaper"
)

func (b *bench) mustEcho(params string) {
	b.Helper()
	if o := b.run(Echo, params); o.Status != task.Completed || !sameJSON(o.Data, params) {
		b.Fatalf("echo of %.100s: %s", params, outcome(o))
	}
}

// sameJSON compares texts, or what they mean: an executor may format anew.
func sameJSON(got []byte, want string) bool {
	if string(got) == want {
		return true
	}
	var a, b any
	return json.Unmarshal(got, &a) == nil && json.Unmarshal([]byte(want), &b) == nil && fmt.Sprint(a) == fmt.Sprint(b)
}

func echoes(b *bench) {
	t := b.task(0, Echo, `{"value":[1,"zwei",null]}`)
	o := b.end(t)
	if o.Status != task.Completed || !sameJSON(o.Data, `{"value":[1,"zwei",null]}`) {
		b.Fatalf("wanted the params back, got %s", outcome(o))
	}
	if o.Stdout != t.ID+"\n" {
		b.Errorf("wanted the stdout %q, got %q", t.ID+"\n", o.Stdout)
	}
	if got := b.up[0].Of(t.Seq); got != fmt.Sprintf("started %d, ended %[1]d", t.Seq) && got != fmt.Sprintf("ended %d", t.Seq) {
		b.Errorf("wanted Started, or none, and the Result, got: %s", got)
	}
}

func largeParams(b *bench) {
	for _, size := range []int{60_000, 64 << 10, 1 << 20, 3 << 20} {
		b.mustEcho(`"` + strings.Repeat("x", size) + `"`)
	}
}

func inOrder(b *bench) {
	const tasks = 3 * plugins.Window
	first := b.seq[0] + 1
	for i := range uint64(tasks) {
		if i >= plugins.Window {
			b.up[0].Wait(b, "ended", first+i-plugins.Window)
		}
		b.send(0, Echo, fmt.Sprint(i))
	}
	b.up[0].Wait(b, "ended", first+tasks-1)
	seq := first
	for i, e := range b.up[0].since(first) {
		switch e.String() {
		case fmt.Sprintf("started %d", seq):
		case fmt.Sprintf("ended %d", seq):
			if string(e.Outcome.Data) != fmt.Sprint(seq-first) {
				b.Fatalf("task %d gave %s", seq, e.Outcome.Data)
			}
			seq++
		default:
			b.Fatalf("event %d is %v, while task %d was to end", i, e, seq)
		}
	}
	if seq != first+tasks {
		b.Fatalf("task %d did not end", seq)
	}
}

func events(b *bench) {
	t := b.task(0, Events, "{}")
	b.end(t)
	want := strings.ReplaceAll("started N, progress N, log N, partial N, partial N, partial N, ended N", "N", fmt.Sprint(t.Seq))
	if got := b.up[0].Of(t.Seq); got != want {
		b.Fatalf("wanted Started, progress, log, three partial results and the Result, got: %s", got)
	}
	all := b.up[0].since(t.Seq)
	if p := all[1]; p.Fraction != 0.5 || p.Value != "half way" {
		b.Errorf("progress %v %q", p.Fraction, p.Value)
	}
	if l := all[2]; l.Level != "info" || l.Value != "hello" {
		b.Errorf("log %q %q", l.Level, l.Value)
	}
	for i, p := range all[3:6] {
		if p.Number != uint64(i+1) || p.Value != fmt.Sprint(i+1) {
			b.Errorf("partial %d has number %d and value %s", i+1, p.Number, p.Value)
		}
	}
}

func lateEvents(b *bench) {
	for range 20 {
		b.run(LateEvents, "{}")
	}
	b.mustEcho("1")
	ended := map[uint64]bool{}
	for _, e := range b.up[0].Events() {
		if ended[e.Seq] {
			b.Fatalf("%v came after the Result", e)
		}
		ended[e.Seq] = e.Kind == "ended"
	}
}

func environment(b *bench) {
	o := b.run(Environment, "{}")
	var env map[string]string
	if err := json.Unmarshal(o.Data, &env); err != nil {
		b.Fatalf("wanted an object of texts, got %s: %v", outcome(o), err)
	}
	for name := range env {
		if name == reaper.MarkEnv {
			continue // by which what scripts start is found
		}
		plumbing := []string{plugins.Handshake().MagicCookieKey, plugins.LifelineEnv, plugins.ProgramEnv, plugins.OutputEnv, "NOTIFY_SOCKET"}
		if strings.HasPrefix(name, "PLUGIN_") || strings.HasPrefix(name, "LISTEN_") || slices.Contains(plumbing, name) {
			b.Errorf("a script sees %s", name)
		}
	}
	given := []string{"PATH", "MALLOC_ARENA_MAX", "OMP_NUM_THREADS", reaper.MarkEnv}
	if !slices.ContainsFunc(given, func(name string) bool { return env[name] != "" }) {
		return // a sandbox's, which has nothing of its worker's
	}
	for _, name := range given {
		if env[name] == "" {
			b.Errorf("a script does not see %s", name)
		}
	}
}

func stats(b *bench) {
	before, err := b.worker.Stats(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.mustEcho("1")
	running := b.block(1)
	s, err := b.worker.Stats(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if s.TasksDone != before.TasksDone+1 || s.SlotsBusy != 1 || s.RSSBytes < 1<<20 || s.Threads < 3 || s.CPUsAllowed == "" {
		b.Errorf("one task is done and one runs: wanted tasks_done %d, slots_busy 1, rss_bytes, threads and cpus_allowed of the process, got %+v", before.TasksDone+1, s)
	}
	b.release(running)
	b.up[1].Wait(b, "ended", running.seq)
}

// largeHeader sends what some libraries' readers of delimited messages refuse, at 4 MiB: a
// source that is mostly empty lines.
func largeHeader(b *bench) { b.sourced(strings.Repeat("\n", 5<<20)) }

func notThere(b *bench) {
	t := b.task(0, "", "1")
	t.ScriptPath = b.suite.Scripts[Echo] + ".is-not-there"
	if err := blames(b.end(t), "script_not_found"); err != nil {
		b.Fatal(err)
	}
	b.mustEcho("1")
}

func source(b *bench) { b.sourced("") }

// sourced sends the text of the script that echoes, or of none, instead of its path, with
// some more at its end.
func (b *bench) sourced(more string) {
	text, err := os.ReadFile(b.suite.Scripts[Echo])
	known := err == nil && utf8.Valid(text)
	if !known { // it is in the executor, or is not text
		text = []byte("return")
	}
	t := b.task(0, "", "1")
	t.Source = string(text) + more
	switch o := b.end(t); {
	case o.Status == task.Completed && (!known || sameJSON(o.Data, "1")):
	case o.Status == task.Failed && o.Fault == plugins.NoFault && o.Error != nil && o.Error.Code != "":
	default:
		b.Fatalf("the echo's source instead of its path: wanted 1, or a failed Result with a code and without a fault, got %s", outcome(o))
	}
	b.mustEcho("2")
}

// seenWhileItRuns: what comes before the Result is how that begins, and comes only if it is asked for.
func seenWhileItRuns(b *bench) {
	w := benchWith(b, b.suite, Options{Slots: 1, OutputInterval: 50 * time.Millisecond})
	seq := w.send(0, PrintsAndBlocks, "{}")
	w.up[0].wait(b, `an Output with "begun" while the task runs`, func(e Event) bool {
		return e.Kind == "output" && e.Seq == seq && strings.Contains(w.printed(seq, e.Stream), "begun\n")
	})
	w.cancel(0, seq, plugins.StopCancelled)
	o := w.up[0].Wait(b, "ended", seq).Outcome
	for stream, whole := range map[plugins.Stream]string{plugins.Stdout: o.Stdout, plugins.Stderr: o.Stderr} {
		if got := w.printed(seq, stream); !strings.HasPrefix(whole, got) {
			b.Errorf("Outputs of stream %d have %.100q, which is not how the Result's begins: %.100q", stream, got, whole)
		}
	}
	seq = b.send(0, PrintsAndBlocks, "{}")
	b.up[0].Wait(b, "started", seq)
	b.cancel(0, seq, plugins.StopCancelled)
	b.up[0].Wait(b, "ended", seq)
	if got := b.up[0].Of(seq); strings.Contains(got, "output") {
		b.Errorf("Outputs come, for which nobody has asked: %s", got)
	}
}

// printed is what Outputs have brought of a task of slot 0.
func (b *bench) printed(seq uint64, to plugins.Stream) (text string) {
	for _, e := range b.up[0].Events() {
		if e.Kind == "output" && e.Seq == seq && e.Stream == to {
			text += e.Value
		}
	}
	return text
}

func printsMuch(b *bench) {
	o := b.run(PrintsMuch, "1")
	if o.Status != task.Completed {
		b.Fatalf("wanted completed, got %s", outcome(o))
	}
	if !o.Truncated || len(o.Stdout) < SuiteOutputBytes/2 {
		b.Errorf("1 MB was printed, and %d bytes are kept: wanted about so many, and truncated; got %d, truncated %v", SuiteOutputBytes, len(o.Stdout), o.Truncated)
	}
	if o = b.run(Echo, "1"); o.Truncated || o.Stdout == "" || len(o.Stdout) > 100 {
		b.Errorf("the next task printed its id: got %.100q, truncated %v", o.Stdout, o.Truncated)
	}
}
