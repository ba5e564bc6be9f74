// Command balancing runs the simulation and writes its table, as Markdown, to
// stdout, and its plot to a file.
package main

import (
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"strings"

	"cpulb/balancer/simulation"
)

func main() {
	plot := flag.String("plot", "docs/balancing.svg", "`file` for the plot")
	tasks := flag.Int("tasks", 200_000, "how many for each figure")
	flag.Parse()
	if err := os.WriteFile(*plot, []byte(draw(*tasks)), 0o644); err != nil {
		log.Fatal(err)
	}
	table(*tasks)
}

func workers() []int { return []int{2, 16, 128, 1024} }

// table prints mean and 99th percentile of the slowdown.
func table(tasks int) {
	head := "| service times | workers | load |"
	for _, s := range simulation.Strategies() {
		head += " " + string(s) + " |"
	}
	fmt.Println(head)
	fmt.Println("|---|---|---|" + strings.Repeat("---|", len(simulation.Strategies())))
	for _, service := range simulation.Distributions() {
		for _, n := range workers() {
			for _, load := range []float64{0.5, 0.8, 0.95} {
				row := fmt.Sprintf("| %s | %d | %g |", service.Name, n, load)
				for _, s := range simulation.Strategies() {
					o := simulation.Run(s, simulation.Setting{Workers: n, Load: load, Service: service, Tasks: tasks, Seed: 1})
					row += fmt.Sprintf(" %s, %s |", figure(o.Mean), figure(o.P99))
				}
				fmt.Println(row)
			}
		}
	}
}

func figure(x float64) string {
	switch {
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	case x < 1000:
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.1fk", x/1000)
}

// The plot is 640 by 400, with room for the axes' names.
const left, right, top, bottom = 70.0, 470.0, 20.0, 350.0

// draw plots the 99th percentile over the number of workers, both logarithmic, for
// heavy-tailed service times at a load of 0.8.
func draw(tasks int) string {
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400" font-family="sans-serif" font-size="12">` + "\n")
	b.WriteString(`<rect width="640" height="400" fill="white"/>` + "\n")
	x := func(n int) float64 { return left + (right-left)*math.Log2(float64(n)/2)/9 }
	y := func(v float64) float64 { return bottom - (bottom-top)*math.Min(math.Log10(v), 5)/5 }
	for e := range 6 {
		at := y(math.Pow10(e))
		fmt.Fprintf(&b, `<line x1="%g" y1="%.1f" x2="%g" y2="%.1f" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end">%d</text>`+"\n",
			left, at, right, at, left-6, at+4, int(math.Pow10(e)))
	}
	for n := 2; n <= 1024; n *= 2 {
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="middle">%d</text>`+"\n", x(n), bottom+18, n)
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="middle">workers</text>`+"\n", (left+right)/2, bottom+38)
	fmt.Fprintf(&b, `<text transform="translate(16 %g) rotate(-90)" text-anchor="middle">slowdown, 99th percentile</text>`+"\n",
		(top+bottom)/2)
	service := simulation.Distributions()[2]
	colours := []string{"#d62728", "#7f7f7f", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e"}
	for i, s := range simulation.Strategies() {
		var points []string
		for n := 2; n <= 1024; n *= 2 {
			o := simulation.Run(s, simulation.Setting{Workers: n, Load: 0.8, Service: service, Tasks: tasks, Seed: 1})
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(n), y(o.P99)))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), colours[i])
		at := top + 20*float64(i)
		fmt.Fprintf(&b, `<line x1="%g" y1="%g" x2="%g" y2="%g" stroke="%s" stroke-width="2"/><text x="%g" y="%g">%s</text>`+"\n",
			right+16, at, right+40, at, colours[i], right+46, at+4, s)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
