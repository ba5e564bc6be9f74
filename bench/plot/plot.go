// Package plot draws lines over two axes, each logarithmic or from zero, as SVG.
package plot

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Point is one of a Line.
type Point struct{ X, Y float64 }

// Line is one series, by X.
type Line struct {
	Name   string
	Points []Point
}

// Axis is what one direction shows.
type Axis struct {
	Name string
	// Log makes each power of ten, or of two, as long as the next; else it begins at 0.
	Log bool
	// Ticks are the values that are written; none: a choice is made.
	Ticks []float64
}

// Chart is what SVG draws.
type Chart struct {
	Title string
	X, Y  Axis
	Lines []Line
}

// The plot is 720 by 400, with room for the axes' names and the legend.
const width, height, left, right, top, bottom = 720.0, 400.0, 70.0, 490.0, 40.0, 345.0

func colours() []string {
	return []string{"#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#7f7f7f", "#8c564b", "#e377c2", "#17becf", "#bcbd22"}
}

// SVG returns the picture. A chart without points has axes alone.
func (c Chart) SVG() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%g" height="%g" fill="white"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%g" y="22" font-size="14">%s</text>`+"\n", left, html.EscapeString(c.Title))
	x := scaled(c.X, c.values(func(p Point) float64 { return p.X }), left, right)
	y := scaled(c.Y, c.values(func(p Point) float64 { return p.Y }), bottom, top)
	for _, v := range y.ticks {
		fmt.Fprintf(&b, `<line x1="%g" y1="%.1f" x2="%g" y2="%.1f" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, y.at(v), right, y.at(v), left-6, y.at(v)+4, short(v))
	}
	for _, v := range x.ticks {
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="middle">%s</text>`+"\n", x.at(v), bottom+18, short(v))
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="middle">%s</text>`+"\n", (left+right)/2, bottom+40, html.EscapeString(c.X.Name))
	fmt.Fprintf(&b, `<text transform="translate(16 %g) rotate(-90)" text-anchor="middle">%s</text>`+"\n", (top+bottom)/2, html.EscapeString(c.Y.Name))
	for i, l := range c.Lines {
		drawLine(&b, l, i, x, y)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func drawLine(b *strings.Builder, l Line, i int, x, y scale) {
	colour := colours()[i%len(colours())]
	var points []string
	for _, p := range l.Points {
		points = append(points, fmt.Sprintf("%.1f,%.1f", x.at(p.X), y.at(p.Y)))
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), colour)
	for _, p := range points {
		cx, cy, _ := strings.Cut(p, ",")
		fmt.Fprintf(b, `<circle cx="%s" cy="%s" r="2.5" fill="%s"/>`+"\n", cx, cy, colour)
	}
	at := top + 10 + 20*float64(i)
	fmt.Fprintf(b, `<line x1="%g" y1="%g" x2="%g" y2="%g" stroke="%s" stroke-width="2"/><text x="%g" y="%g">%s</text>`+"\n",
		right+16, at, right+40, at, colour, right+46, at+4, html.EscapeString(l.Name))
}

func (c Chart) values(of func(Point) float64) []float64 {
	var all []float64
	for _, l := range c.Lines {
		for _, p := range l.Points {
			all = append(all, of(p))
		}
	}
	return all
}

// scale places values of an axis between two ends of the picture.
type scale struct {
	log               bool
	least, most       float64
	nearest, furthest float64
	ticks             []float64
}

func scaled(a Axis, values []float64, nearest, furthest float64) scale {
	s := scale{log: a.Log, least: math.Inf(1), most: math.Inf(-1), nearest: nearest, furthest: furthest, ticks: a.Ticks}
	for _, v := range append(values, a.Ticks...) {
		s.least, s.most = min(s.least, v), max(s.most, v)
	}
	if s.least > s.most {
		s.least, s.most = 1, 10
	}
	if a.Log {
		s.logarithmic()
	} else {
		s.linear()
	}
	return s
}

func (s *scale) logarithmic() {
	if len(s.ticks) > 0 {
		return
	}
	first, last := math.Floor(math.Log10(s.least)), math.Ceil(math.Log10(s.most))
	if first == last {
		last++
	}
	s.least, s.most = math.Pow(10, first), math.Pow(10, last)
	for e := first; e <= last; e++ {
		s.ticks = append(s.ticks, math.Pow(10, e))
	}
}

// linear makes four to eight ticks of 1, 2 or 5 times a power of ten.
func (s *scale) linear() {
	s.least = 0
	if s.most <= 0 {
		s.most = 1
	}
	if len(s.ticks) > 0 {
		return
	}
	step := math.Pow(10, math.Floor(math.Log10(s.most/4)))
	for _, factor := range []float64{5, 2} {
		if s.most/(step*factor) >= 4 {
			step *= factor
			break
		}
	}
	s.most = math.Ceil(s.most/step) * step
	for i := range int(math.Round(s.most/step)) + 1 {
		s.ticks = append(s.ticks, float64(i)*step)
	}
}

func (s scale) at(v float64) float64 {
	least, most := s.least, s.most
	if s.log {
		v, least, most = math.Log(v), math.Log(least), math.Log(most)
	}
	share := 0.0
	if most > least {
		share = min(max((v-least)/(most-least), 0), 1)
	}
	return s.nearest + share*(s.furthest-s.nearest)
}

// short writes 1500000 as 1.5M.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.4gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.4gk", v/1e3)
	}
	return fmt.Sprintf("%.4g", v)
}
