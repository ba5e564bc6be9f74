package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// style is how a row of a grid is shown where there are colours.
type style string

// The styles, as the numbers that select them in a terminal.
const (
	plain style = ""
	bold  style = "1"
	faint style = "2"
	bad   style = "31"
	good  style = "32"
)

// grid is a table whose rows have styles. Nothing that is put into a cell can steer the
// terminal, see row.
type grid struct {
	text   bytes.Buffer
	table  *tabwriter.Writer
	styles []style
}

func newGrid(header string) *grid {
	g := &grid{styles: []style{bold}}
	g.table = table(&g.text)
	fmt.Fprintln(g.table, header)
	return g
}

// row adds a row.
func (g *grid) row(s style, cells ...any) {
	_ = row(g.table, cells...) // a buffer takes all
	g.styles = append(g.styles, s)
}

// lines returns the rows, with their styles if there are colours, each in less than width
// characters; 0: however long.
func (g *grid) lines(colours bool, width int) []string {
	_ = g.table.Flush()
	all := strings.Split(strings.TrimSuffix(g.text.String(), "\n"), "\n")
	for i, s := range g.styles {
		if width > 0 {
			all[i] = clipped(all[i], width-1)
		}
		if colours && s != plain {
			all[i] = fmt.Sprintf("\x1b[%sm%s\x1b[0m", s, all[i])
		}
	}
	return all
}

// print prints the table.
func (g *grid) print(t *terminal) error {
	_, err := io.WriteString(t.asIs(), strings.Join(g.lines(t.colours(), 0), "\n")+"\n")
	return err
}

// colours reports whether stdout is to have any: see https://no-color.org.
func (t *terminal) colours() bool {
	return isTerminal(t.raw.out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
