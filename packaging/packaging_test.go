// Package packaging_test holds what is packaged beside the programs to what these are.
package packaging_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dashboard is the part of Grafana's model that is checked.
type dashboard struct {
	Title  string
	Panels []struct {
		Title   string
		ID      int
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr string }
	}
}

func read(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile("grafana/cpulb.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheDashboardIsWhole(t *testing.T) {
	d := read(t)
	ids, places := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if p.Title == "" || ids[p.ID] || len(p.Targets) == 0 {
			t.Errorf("panel %d %q has no title, an id twice or no query", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, taken := places[[2]int{x, y}]; taken || x >= 24 {
					t.Fatalf("panel %q lies over %q, or beyond the 24 columns", p.Title, other)
				}
				places[[2]int{x, y}] = p.Title
			}
		}
		for _, q := range p.Targets {
			if strings.Count(q.Expr, "{") != strings.Count(q.Expr, "$instance") {
				t.Errorf("panel %q does not go by the instance that is chosen: %s", p.Title, q.Expr)
			}
		}
	}
	if len(d.Panels) < 10 {
		t.Errorf("only %d panels", len(d.Panels))
	}
}

// promtool runs a check in a folder.
func promtool(t *testing.T, folder string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; make check-alerts installs it")
	}
	c := exec.CommandContext(t.Context(), path, args...)
	c.Dir = folder
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestTheAlertRulesFireWhenTheyShould(t *testing.T) {
	promtool(t, "prometheus", "check", "rules", "cpulb.rules.yml")
	promtool(t, "prometheus", "test", "rules", "cpulb.rules_test.yml")
}

// What the dashboard asks is written as rules, which promtool can parse.
func TestTheDashboardAsksWhatPrometheusUnderstands(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for _, p := range read(t).Panels {
		for i, q := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$pool", ".*").Replace(q.Expr)
			fmt.Fprintf(&rules, "  - record: panel_%d_%d\n    expr: %q\n", p.ID, i, expr)
		}
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "rules.yml"), []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, folder, "check", "rules", "rules.yml")
}
