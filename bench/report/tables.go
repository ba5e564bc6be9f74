package report

import (
	"fmt"
	"math"
	"strings"

	"cpulb/bench/part"
	"cpulb/bench/result"
	"cpulb/bench/stats"
)

// column is one of a table: a figure of each system.
type column struct {
	name, figure string
	// times is what it is multiplied with for the unit of the name; 0: as it is.
	times float64
	// better is 1 if more is better, -1 if less is, 0 if nothing is said of who is better.
	better int
}

// table has a row for each system that has any of the figures.
type table struct {
	title, text string
	columns     []column
	plots       []string
}

func tables() []table {
	return []table{
		{"Round trip", "A no-op is handed over and its result fetched, one after the other, in µs; processes run where the scheduler puts them.",
			[]column{{"p50", "p50 noop", 0, -1}, {"p99", "p99 noop", 0, -1}}, nil},
		{"Round trip, pinned", "The same with the client and the daemon, or the relay, on one core and the only worker on the other, in µs.",
			[]column{{"p50", "p50 noop pinned", 0, -1}, {"p99", "p99 noop pinned", 0, -1}}, nil},
		{"Throughput", "No-ops a second, all results fetched, and the CPU time of all processes together (client, servers, workers) a task, in µs. *One by one* hands " +
			"over each by itself without waiting for the one before; *batched* is the system's way for many at once.",
			[]column{{"one by one, tasks/s", "rate each", 0, 1}, {"batched, tasks/s", "rate batch", 0, 1},
				{"one by one, CPU µs", "cpu each", 0, -1}, {"batched, CPU µs", "cpu batch", 0, -1}}, []string{"depth", "clients", "workers"}},
		{"Tasks that do something", "Time over the best there can be on two cores: tasks of 1 ms of computing; tasks of very different lengths; tasks that wait for 100 ms, 64 at a " +
			"time. And the round trip of a script that imports numpy, in ms.",
			[]column{{"1 ms of computing", "ideal spin", 0, -1}, {"skewed lengths", "ideal sleep", 0, -1}, {"64 that wait", "ideal waiting", 0, -1},
				{"numpy, ms", "p50 total", 1e-3, -1}}, nil},
		{"Payload", "A string to the script and back, in ms: see the plot.", nil, []string{"payload"}},
		{"Durability", "Tasks a second by the Go client.", []column{{"32 clients that wait", "journal submitters", 0, 0}, {"a batch", "journal batch", 0, 0},
			{"64 deep on one connection", "journal pipelined", 0, 0}}, nil},
		{"A million queued", "Tasks submitted in batches of a thousand, with the journal in `group`, behind one that sleeps: tasks a second in the first and in the last tenth, bytes of heap a " +
			"task, and the 99th percentile of an answer to a question for the status meanwhile, in ms.",
			[]column{{"at first", "queued at the start", 0, 0}, {"at last", "queued at the end", 0, 0}, {"bytes a task", "queued bytes", 0, 0},
				{"status, ms", "queued status p99", 0, 0}}, nil},
		{"Balancing", "40 tasks of computing by one worker and by two, in s; the 99th percentile of 1 ms tasks at half of capacity, on two workers with one free slot each, without and beside " +
			"two tasks of 5 s, in ms.",
			[]column{{"one worker", "computing by 1", 0, 0}, {"two", "computing by 2", 0, 0}, {"p99 without", "p99 beside 0 long", 0, 0},
				{"p99 beside", "p99 beside 2 long", 0, 0}}, nil},
		{"A process for each task", "No-ops in threads, in a process each forked from a warm template (`isolation = \"process\"`), and by a new interpreter: one after the other and after " +
			"a pause of 20 ms, in µs; tasks a second on two cores, two slots each; the memory of a worker with 16 slots that are idle, in MB; how long after its timeout a task ends in " +
			"which C code hangs, in ms; the round trip of a script that uses numpy and pandas, which the template has loaded, in ms.",
			[]column{{"p50", "p50 noop walls", 0, 0}, {"p50 after a pause", "p50 ready walls", 0, 0}, {"tasks/s", "rate walls", 0, 0}, {"16 idle slots", "memory walls", 0, 0},
				{"hung, end", "hung walls", 0, 0}, {"numpy and pandas", "p50 frame walls", 1e-3, 0}}, nil},
		{"Executors", "A no-op by each executor, in turns, in µs, and the CPU time of the task itself: a program's includes its start.",
			[]column{{"p50", "p50 executors", 0, 0}, {"p99", "p99 executors", 0, 0}, {"CPU", "cpu executors", 0, 0}}, nil},
		{"Calls by an Executor", "The Python client's Executor beside ProcessPoolExecutor: a no-op and its result, one after the other, in µs; calls a second, each submitted by itself, and by " +
			"map(chunksize=100), with the CPU time of all processes a call, in µs; a numpy array of 100 MB of random numbers as an argument, whose sum the call takes, in ms.",
			[]column{{"p50", "p50 noop futures", 0, 0}, {"p99", "p99 noop futures", 0, 0}, {"submit, calls/s", "rate each futures", 0, 0}, {"CPU", "cpu each futures", 0, 0},
				{"map, calls/s", "rate batch futures", 0, 0}, {"CPU", "cpu batch futures", 0, 0}, {"array, ms", "array futures", 0, 0}}, nil},
		{"Memory and start", "Memory of all processes, shared pages divided among those that share them, in MB: after the round trips, and after all no-ops. Start is until the first tasks are done.",
			[]column{{"after the round trips", "memory idle", 0, -1}, {"after the no-ops", "memory", 0, -1}, {"start, s", "start", 0, 0}}, nil},
	}
}

// systems returns the names that can have rows, ours first.
func systems() []string {
	names := []string{part.Go, part.Python, part.GoInterval, part.PythonInterval, part.GoGroup, part.PythonGroup, part.Thread, part.Process, part.ExecBinary, part.ExecScript, part.Wasm, part.WasmProcess, part.Futures}
	for _, n := range part.Neighbours() {
		names = append(names, n.Name)
	}
	return append(names, part.Relay, part.Fdatasync, part.Bare)
}

func writeTable(b *strings.Builder, r *result.Results, t table) {
	var rows []string
	for _, name := range systems() {
		row, any := "| "+name+" |", false
		for _, c := range t.columns {
			s := r.Of(c.figure, name)
			any = any || len(s) > 0
			row += " " + spread(scaled(s, c.times)) + " |"
		}
		if any {
			rows = append(rows, row)
		}
	}
	var plots []string
	for _, plot := range t.plots {
		if len(r.Curves[plot]) > 0 {
			plots = append(plots, plot)
		}
	}
	if len(rows)+len(plots) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n", t.title, t.text)
	if len(rows) > 0 {
		b.WriteString("\n| |")
		for _, c := range t.columns {
			b.WriteString(" " + c.name + " |")
		}
		b.WriteString("\n|---|" + strings.Repeat("---:|", len(t.columns)) + "\n" + strings.Join(rows, "\n") + "\n")
	}
	for _, plot := range plots {
		fmt.Fprintf(b, "\n![%s](benchmarks/%s.svg)\n", plot, plot)
	}
}

func scaled(s stats.Sample, factor float64) stats.Sample {
	if factor == 0 {
		return s
	}
	return s.Times(factor)
}

// spread writes a figure with the least and the most of its rounds.
func spread(s stats.Sample) string {
	switch {
	case len(s) == 0:
		return "–"
	case len(s) == 1:
		return number(s[0])
	}
	return fmt.Sprintf("%s (%s–%s)", number(s.Median()), number(s.Min()), number(s.Max()))
}

// number writes three significant digits, and thousands apart.
func number(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case abs >= 1000:
		digits := fmt.Sprintf("%.0f", v)
		for at := len(digits) - 3; at > 0; at -= 3 {
			digits = digits[:at] + "," + digits[at:]
		}
		return digits
	case abs >= 100:
		return fmt.Sprintf("%.0f", v)
	case abs >= 10:
		return fmt.Sprintf("%.1f", v)
	case abs >= 0.1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.2g", v)
}
