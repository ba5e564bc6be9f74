// Package result holds what a run has measured, as JSON: figures by part, kind and
// system, each with its rounds, and curves.
package result

import (
	"encoding/json"
	"os"
	"slices"
	"strings"

	"cpulb/bench/stats"
)

// System is one that was measured.
type System struct {
	Name     string `json:"name"`
	Versions string `json:"versions"`
	Settings string `json:"settings"`
}

// Absent is one that was not, and why.
type Absent struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Point is one of a curve, with its rounds.
type Point struct {
	X float64      `json:"x"`
	Y stats.Sample `json:"y"`
}

// Results are of one run.
type Results struct {
	Machine []string `json:"machine"`
	Rounds  int      `json:"rounds"`
	Short   bool     `json:"short"`
	Systems []System `json:"systems"`
	Absent  []Absent `json:"absent"`
	// Figures are by Key.
	Figures map[string]stats.Sample `json:"figures"`
	// Curves are by figure and system.
	Curves map[string]map[string][]Point `json:"curves"`
}

// New returns Results without any.
func New() *Results {
	return &Results{Figures: map[string]stats.Sample{}, Curves: map[string]map[string][]Point{}}
}

// Key names a figure of a system.
func Key(figure, system string) string { return figure + "/" + system }

// Add adds a round's value of a figure.
func (r *Results) Add(figure, system string, value float64) {
	key := Key(figure, system)
	r.Figures[key] = append(r.Figures[key], value)
}

// Of returns a figure's rounds; none were measured if it is empty.
func (r *Results) Of(figure, system string) stats.Sample { return r.Figures[Key(figure, system)] }

// Plot adds a round's value to a curve at x.
func (r *Results) Plot(figure, system string, x, y float64) {
	if r.Curves[figure] == nil {
		r.Curves[figure] = map[string][]Point{}
	}
	points := r.Curves[figure][system]
	i, found := slices.BinarySearchFunc(points, x, func(p Point, x float64) int {
		switch {
		case p.X < x:
			return -1
		case p.X > x:
			return 1
		}
		return 0
	})
	if !found {
		points = slices.Insert(points, i, Point{X: x})
	}
	points[i].Y = append(points[i].Y, y)
	r.Curves[figure][system] = points
}

// Saw notes that a system is measured.
func (r *Results) Saw(s System) {
	if !slices.ContainsFunc(r.Systems, func(t System) bool { return t.Name == s.Name }) {
		r.Systems = append(r.Systems, s)
	}
}

// Lacks notes that a system, or one of its figures, is not, once for each reason.
func (r *Results) Lacks(name, why string) {
	why = strings.TrimSpace(why)
	if !slices.Contains(r.Absent, Absent{name, why}) {
		r.Absent = append(r.Absent, Absent{name, why})
	}
}

// Save writes the Results to a file.
func (r *Results) Save(path string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Load reads what Save has written.
func Load(path string) (*Results, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := New()
	return r, json.Unmarshal(text, r)
}
