package plot_test

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"cpulb/bench/plot"
)

// wellFormed returns the text that the picture shows.
func wellFormed(t *testing.T, svg string) string {
	t.Helper()
	var text strings.Builder
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return text.String()
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, svg)
		}
		if c, ok := token.(xml.CharData); ok {
			text.Write(c)
			text.WriteByte('|')
		}
	}
}

func TestAChartShowsItsLinesAndTheirNames(t *testing.T) {
	t.Parallel()
	svg := plot.Chart{
		Title: "a < b", X: plot.Axis{Name: "depth", Log: true}, Y: plot.Axis{Name: "tasks/s"},
		Lines: []plot.Line{{Name: "one & two", Points: []plot.Point{{X: 1, Y: 0}, {X: 100, Y: 80_000}}}, {Name: "three"}},
	}.SVG()
	text := wellFormed(t, svg)
	for _, want := range []string{"a < b|", "depth|", "tasks/s|", "one & two|", "three|", "|10|", "|80k|"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	// The first point is where the axes meet, the last at the other end of both.
	if !strings.Contains(svg, `points="70.0,345.0 490.0,40.0"`) {
		t.Errorf("the line is elsewhere:\n%s", svg)
	}
}

func TestAChartOfNothingIsAPicture(t *testing.T) {
	t.Parallel()
	for _, log := range []bool{true, false} {
		svg := plot.Chart{X: plot.Axis{Log: log}, Y: plot.Axis{Log: log}, Lines: []plot.Line{{Name: "empty"}}}.SVG()
		if wellFormed(t, svg); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("not a number in\n%s", svg)
		}
	}
}

func TestASingleValueHasAPlace(t *testing.T) {
	t.Parallel()
	for _, log := range []bool{true, false} {
		svg := plot.Chart{X: plot.Axis{Log: log}, Y: plot.Axis{Log: log}, Lines: []plot.Line{{Points: []plot.Point{{X: 10, Y: 10}}}}}.SVG()
		if wellFormed(t, svg); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("not a number in\n%s", svg)
		}
	}
}
