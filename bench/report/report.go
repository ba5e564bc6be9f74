// Package report writes what a run has measured as a page of Markdown with plots, and
// holds it to the targets.
package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cpulb/bench/part"
	"cpulb/bench/plot"
	"cpulb/bench/result"
)

const head = "# Benchmarks\n\n" +
	"Made by `make bench`, which measures cpulb beside its neighbours: the same work, on the same cores, in one run. Do not edit: the next run\n" +
	"writes it again.\n\n" +
	"## How to read it\n\n" +
	"- All systems run the same Python functions (`bench/drivers/works.py`), are warm, and have two processes for tasks. Every result is checked.\n" +
	"- Each round measures every system in turn, so that what the machine does otherwise meets all. Systems that work while nobody asks anything of them are stopped\n" +
	"  while others are measured. A figure is the median of the rounds, with the least and the most in brackets; a ratio is taken in each round.\n" +
	"- *cpulb* is without a journal where nothing else is said, as no neighbour keeps what it was given on disk. *interval* and *group* are the settings of\n" +
	"  [`journal.sync`](configuration.md).\n" +
	"- The CPU time of a task includes that its params are made and its result is checked, which is below 1 µs.\n" +
	"- The *limits* are what nobody can do without: the *C relay* is a message over two sockets to a third process and back, *one fdatasync* is 256 bytes appended and\n" +
	"  synced, the *bare embedded call* is a script's call through CPython's C interface in one thread that does nothing else, from JSON to JSON.\n" +
	"- Compare ratios, not figures, with those of another machine.\n"

// Write writes the page to docs/benchmarks.md, the plots and the results beside it.
func Write(r *result.Results, docs string) error {
	folder := filepath.Join(docs, "benchmarks")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := r.Save(filepath.Join(folder, "results.json")); err != nil {
		return err
	}
	for name, chart := range charts(r) {
		if err := os.WriteFile(filepath.Join(folder, name+".svg"), []byte(chart.SVG()), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(docs, "benchmarks.md"), []byte(Page(r)), 0o644)
}

// Page is the Markdown.
func Page(r *result.Results) string {
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("\n## Targets\n\n" + Targets(r))
	writeWorse(&b, r)
	for _, t := range tables() {
		writeTable(&b, r, t)
	}
	writeCosts(&b, r)
	b.WriteString("\n## Machine\n\n")
	for _, line := range r.Machine {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	fmt.Fprintf(&b, "- %d rounds", r.Rounds)
	if r.Short {
		b.WriteString(", in the short form, which is for a quick look only")
	}
	b.WriteString("\n\n## Versions and settings\n\n| | versions | settings |\n|---|---|---|\n")
	for _, s := range r.Systems {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", s.Name, s.Versions, s.Settings)
	}
	if len(r.Absent) > 0 {
		b.WriteString("\nNot measured:\n\n")
		for _, a := range r.Absent {
			fmt.Fprintf(&b, "- %s: %s\n", a.Name, a.Why)
		}
	}
	return b.String()
}

// Targets is the table of them.
func Targets(r *result.Results) string {
	var b strings.Builder
	b.WriteString("| figure | target | measured | |\n|---|---|---|---|\n")
	for _, t := range targets() {
		s := t.measure(r)
		sign := "≤"
		if t.atLeast {
			sign = "≥"
		}
		fmt.Fprintf(&b, "| %s | %s %g | %s | %s |\n", t.figure, sign, t.bound, spread(s), t.verdict(s))
	}
	return b.String()
}

// writeCosts writes what a task costs at some depths.
func writeCosts(b *strings.Builder, r *result.Results) {
	b.WriteString("\n## Switches and system calls\n\nBy the Go client, over all processes, a task.\n\n" +
		"| under way | switches | system calls | CPU µs |\n|---:|---:|---:|---:|\n")
	for _, depth := range []string{"1", "64", "1000"} {
		at := " at depth " + depth
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", depth, spread(r.Of("switches"+at, part.Go)), spread(r.Of("calls"+at, part.Go)), spread(r.Of("cpu"+at, part.Go)))
	}
}

// charts returns the plots by the names of their files.
func charts(r *result.Results) map[string]plot.Chart {
	chart := func(curve, title, x, y string, straight ...float64) plot.Chart {
		c := plot.Chart{Title: title, X: plot.Axis{Name: x, Log: true, Ticks: straight}, Y: plot.Axis{Name: y}}
		for _, name := range systems() {
			var points []plot.Point
			for _, p := range r.Curves[curve][name] {
				points = append(points, plot.Point{X: p.X, Y: p.Y.Median()})
			}
			if len(points) > 0 {
				c.Lines = append(c.Lines, plot.Line{Name: name, Points: points})
			}
		}
		return c
	}
	payload := chart("payload", "A string to the script and back", "bytes", "ms")
	payload.Y.Log = true
	return map[string]plot.Chart{
		"depth":   chart("depth", "No-ops by how many are under way", "tasks under way", "tasks/s"),
		"clients": chart("clients", "No-ops by connections, each 64 deep", "connections", "tasks/s", 1, 2, 4, 8, 16, 32, 64, 128, 256),
		"workers": chart("workers", "No-ops by worker processes on two cores", "workers", "tasks/s", 1, 2, 4, 8, 16, 32, 64),
		"payload": payload,
	}
}
