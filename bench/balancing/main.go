// Command balancing runs the simulation and writes its table, as Markdown, to
// stdout, and its plot to a file.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	"cpulb/balancer/simulation"
	"cpulb/bench/plot"
)

func main() {
	picture := flag.String("plot", "docs/balancing.svg", "`file` for the plot")
	tasks := flag.Int("tasks", 200_000, "how many for each figure")
	flag.Parse()
	if err := os.WriteFile(*picture, []byte(draw(*tasks)), 0o644); err != nil {
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

// draw plots the 99th percentile over the number of workers, both logarithmic, for
// heavy-tailed service times at a load of 0.8.
func draw(tasks int) string {
	service := simulation.Distributions()[2]
	chart := plot.Chart{Title: "Slowdown at a load of 0.8, " + service.Name,
		X: plot.Axis{Name: "workers", Log: true, Ticks: []float64{2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}},
		Y: plot.Axis{Name: "slowdown, 99th percentile", Log: true}}
	for _, s := range simulation.Strategies() {
		line := plot.Line{Name: string(s)}
		for n := 2; n <= 1024; n *= 2 {
			o := simulation.Run(s, simulation.Setting{Workers: n, Load: 0.8, Service: service, Tasks: tasks, Seed: 1})
			line.Points = append(line.Points, plot.Point{X: float64(n), Y: o.P99})
		}
		chart.Lines = append(chart.Lines, line)
	}
	return chart.SVG()
}
