package top

import (
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// grid is a table.
type grid struct {
	columns []column
	rows    [][]string
}

// column is one column of a grid. The last one takes what is left of the width.
type column struct {
	title string
	right bool
	// drop says in which order columns go where there is no room, the highest first; 0: never.
	drop int
}

// leastLast is how wide the last column is at the least, while another can go for it.
const leastLast = 24

// table returns the head and n rows from a first one on.
func (p painter) table(g grid, first, n int) []string {
	widths := g.widths(first, n)
	p.fit(&g, widths)
	var titles []string
	for _, c := range g.columns {
		titles = append(titles, c.title)
	}
	lines := []string{p.head(g.line(titles, widths))}
	for _, row := range g.rows[first : first+n] {
		lines = append(lines, g.line(p.shortened(row, widths), widths))
	}
	return lines
}

// shortened cuts a path in the last column at its beginning, where there is no room for all of
// it: files are known by the end of their paths.
func (p painter) shortened(row []string, widths []int) []string {
	last := len(row) - 1
	room := p.Width
	for _, w := range widths[:last] {
		if w > 0 {
			room -= w + len(gap)
		}
	}
	wide := ansi.StringWidth(row[last])
	if p.Width == 0 || wide <= room || room < 2 || !strings.HasPrefix(row[last], "/") {
		return row
	}
	short := slices.Clone(row)
	for cut := wide - room + 1; ansi.StringWidth(short[last]) > room; cut++ { // half a wide character stays whole
		short[last] = ansi.TruncateLeft(row[last], cut, "…")
	}
	return short
}

// widths returns how wide each column is, by what is shown of it.
func (g *grid) widths(first, n int) []int {
	widths := make([]int, len(g.columns))
	for i, c := range g.columns {
		widths[i] = ansi.StringWidth(c.title)
		for _, row := range g.rows[first : first+n] {
			widths[i] = max(widths[i], ansi.StringWidth(row[i]))
		}
	}
	return widths
}

// fit sets the width of columns to 0 for which there is no room.
func (p painter) fit(g *grid, widths []int) {
	if p.Width == 0 {
		return
	}
	last := len(widths) - 1
	for {
		total, next := min(widths[last], leastLast), -1
		for i, w := range widths[:last] {
			if w == 0 {
				continue
			}
			total += w + len(gap)
			if d := g.columns[i].drop; d > 0 && (next < 0 || d > g.columns[next].drop) {
				next = i
			}
		}
		if total <= p.Width || next < 0 {
			return
		}
		widths[next] = 0
	}
}

const gap = "  "

// line puts cells beside each other.
func (g *grid) line(cells []string, widths []int) string {
	var b strings.Builder
	for i, text := range cells {
		if widths[i] == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(gap)
		}
		fill := strings.Repeat(" ", widths[i]-ansi.StringWidth(text))
		switch {
		case g.columns[i].right:
			b.WriteString(fill + text)
		case i == len(cells)-1:
			b.WriteString(text)
		default:
			b.WriteString(text + fill)
		}
	}
	return strings.TrimRight(b.String(), " ")
}
