package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"cpulb/ipc/client"
)

type statusCommand struct {
	JSON bool `help:"Print the daemon's answer as it is."`
}

// status is what of the daemon's answer people are shown.
type status struct {
	Engine struct {
		IsRunning     bool           `json:"is_running"`
		Version       string         `json:"version"`
		PID           int            `json:"pid"`
		UptimeSeconds float64        `json:"uptime_seconds"`
		Tasks         map[string]int `json:"tasks"`
	} `json:"engine"`
	Components map[string]struct {
		Health  string         `json:"health"`
		Reason  string         `json:"reason"`
		Metrics map[string]any `json:"metrics"`
	} `json:"components"`
}

// Run implements the command.
func (s *statusCommand) Run(ctx context.Context, c *client.Client, t *terminal) error {
	raw, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if s.JSON {
		_, err := fmt.Fprintln(t.out, string(raw))
		return err
	}
	var st status
	if err := json.Unmarshal(raw, &st); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	st.print(w)
	return w.Flush()
}

func (st *status) print(w *tabwriter.Writer) {
	e := st.Engine
	uptime := time.Duration(e.UptimeSeconds * float64(time.Second)).Round(time.Second)
	fmt.Fprintf(w, "cpulbd %s\tpid %d\tup %s\trunning: %v\n", e.Version, e.PID, uptime, e.IsRunning)
	fmt.Fprint(w, "tasks")
	for _, name := range []string{"pending", "queued", "running", "completed", "failed", "cancelled", "timed_out"} {
		fmt.Fprintf(w, "\t%s %d", name, e.Tasks[name])
	}
	fmt.Fprint(w, "\n\nCOMPONENT\tHEALTH\tFIGURES\n")
	for _, name := range slices.Sorted(maps.Keys(st.Components)) {
		c := st.Components[name]
		fmt.Fprintf(w, "%s\t%s\t", name, c.Health)
		for _, key := range slices.Sorted(maps.Keys(c.Metrics)) {
			if n, ok := c.Metrics[key].(float64); ok {
				fmt.Fprintf(w, "%s %.0f  ", key, n)
			}
		}
		fmt.Fprintln(w, c.Reason)
	}
	workers, _ := st.Components["process_pool"].Metrics["workers"].([]any)
	fmt.Fprint(w, "\nWORKER\tPID\tSTATE\tCORE\tMAY RUN ON\tBUSY\tDONE\tRESTARTS\tRSS MIB\tRUNTIME\n")
	for _, x := range workers {
		v, _ := x.(map[string]any)
		rss, _ := v["rss_bytes"].(float64)
		fmt.Fprintf(w, "%v\t%v\t%v\t%v\t%v\t%v/%v\t%v\t%v\t%.1f\t%v\n", v["id"], v["pid"], v["state"], v["core"], v["cpus_allowed"],
			v["slots_busy"], v["slots"], v["tasks_done"], v["restarts"], rss/(1<<20), v["runtime"])
	}
}
