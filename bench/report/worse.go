package report

import (
	"fmt"
	"slices"
	"strings"

	"cpulb/bench/part"
	"cpulb/bench/result"
)

// reasons says of a figure why some neighbour can be better than cpulb; a figure without
// one is reported all the same.
func reasons() map[string]string {
	const hops = "a message goes straight to the worker and back, over one hop: nobody queues, tracks, balances or limits in between. The way through a daemon is the limit of the C relay"
	return map[string]string{
		"p50 noop":      hops,
		"p99 noop":      hops,
		"rate each":     "what is handed over is not tracked: it has no id, can't be found, cancelled or retried, and is lost with the client",
		"cpu each":      "what is handed over is not tracked, and there is no daemon between",
		"rate batch":    "a chunk of tasks is one message, and its tasks can't be tracked, cancelled or balanced one by one",
		"cpu batch":     "a chunk of tasks is one message, and its tasks can't be tracked, cancelled or balanced one by one",
		"memory idle":   "the workers are forked from the client and share its memory; cpulb's are programs of their own, with a daemon beside them",
		"memory":        "the workers are forked from the client and share its memory, and no results are kept; cpulb keeps them for whoever asks later",
		"ideal spin":    "less beside the tasks takes of the two cores: no daemon, no id and no event for each",
		"ideal sleep":   "a worker takes its next task from a pipe or a queue by itself",
		"ideal waiting": "64 processes or threads take their next task by themselves",
		"p50 total":     hops,
	}
}

// writeWorse lists the figures in which a neighbour is better than the better of our
// clients, and by how much.
func writeWorse(b *strings.Builder, r *result.Results) {
	b.WriteString("\n## Where neighbours are better\n\n")
	none := true
	for _, t := range tables() {
		for _, c := range t.columns {
			if line := worse(r, c); line != "" {
				none = false
				fmt.Fprintf(b, "- %s, %s: %s.", t.title, c.name, line)
				if why := reasons()[c.figure]; why != "" {
					b.WriteString(" There, " + why + ".")
				}
				b.WriteString("\n")
			}
		}
	}
	if none {
		b.WriteString("In none of these figures.\n")
	}
}

// worse names who is better in a figure; empty if nobody is, or nothing is said of that.
func worse(r *result.Results, c column) string {
	if c.better == 0 {
		return ""
	}
	better := func(a, b float64) bool { return float64(c.better)*(a-b) > 0 }
	ours := r.Of(c.figure, part.Go).Median()
	if python := r.Of(c.figure, part.Python).Median(); better(python, ours) || ours != ours {
		ours = python
	}
	var names []string
	for _, n := range part.Neighbours() {
		if theirs := r.Of(c.figure, n.Name).Median(); better(theirs, ours) {
			names = append(names, fmt.Sprintf("%s %s", n.Name, number(scaled(r.Of(c.figure, n.Name), c.times).Median())))
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	unit := ours
	if c.times != 0 {
		unit *= c.times
	}
	return strings.Join(names, ", ") + "; cpulb " + number(unit)
}
