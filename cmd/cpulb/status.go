package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

type statusCommand struct {
	JSON bool `help:"Print the daemon's answer unchanged, as JSON."`
}

// status is the part of the daemon's answer that is printed for people.
type status struct {
	Engine struct {
		IsRunning     bool           `json:"is_running"`
		Version       string         `json:"version"`
		PID           int            `json:"pid"`
		UptimeSeconds float64        `json:"uptime_seconds"`
		Tasks         map[string]int `json:"tasks"`
	} `json:"engine"`
	Components map[string]component `json:"components"`
}

type component struct {
	Health  string                     `json:"health"`
	Reason  string                     `json:"reason"`
	Metrics map[string]json.RawMessage `json:"metrics"`
}

// Run implements the command.
func (s *statusCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	raw, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if s.JSON {
		_, err := fmt.Fprintln(t.data(), string(raw))
		return err
	}
	var st status
	if err := json.Unmarshal(raw, &st); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	return st.print(t.out)
}

func (st *status) print(out io.Writer) error {
	st.printEngine(out)
	if err := st.printComponents(out); err != nil {
		return err
	}
	return st.printWorkers(out)
}

func (st *status) printEngine(out io.Writer) {
	e := st.Engine
	state := "running"
	if !e.IsRunning {
		state = "not running"
	}
	uptime := time.Duration(e.UptimeSeconds * float64(time.Second)).Round(time.Second)
	fmt.Fprintf(out, "cpulbd %s, %s, pid %d, up %s\n", e.Version, state, e.PID, uptime)
	var counts []string
	for _, s := range task.Statuses() {
		counts = append(counts, fmt.Sprintf("%s %d", strings.ReplaceAll(s.String(), "_", " "), e.Tasks[s.String()]))
	}
	fmt.Fprintf(out, "tasks: %s\n\n", strings.Join(counts, ", "))
}

func (st *status) printComponents(out io.Writer) error {
	w := table(out)
	fmt.Fprintln(w, "COMPONENT\tHEALTH\tFIGURES")
	for _, name := range slices.Sorted(maps.Keys(st.Components)) {
		c := st.Components[name]
		var figures []string
		for _, key := range slices.Sorted(maps.Keys(c.Metrics)) {
			if number := string(c.Metrics[key]); isNumber(number) {
				figures = append(figures, key+" "+number)
			}
		}
		row(w, name, strings.TrimSuffix(c.Health+": "+c.Reason, ": "), strings.Join(figures, ", "))
	}
	fmt.Fprintln(w)
	return w.Flush()
}

// isNumber tells figures from lists.
func isNumber(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

func (st *status) printWorkers(out io.Writer) error {
	var workers []api.WorkerStatus
	if raw := st.Components["process_pool"].Metrics["workers"]; raw != nil {
		if err := json.Unmarshal(raw, &workers); err != nil {
			return fmt.Errorf("status: workers: %w", err)
		}
	}
	return printWorkers(out, workers)
}

func table(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }
