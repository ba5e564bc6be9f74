package top

import (
	"fmt"
	"strings"
	"time"

	"cpulb/cmd/cpulb/printable"
	"cpulb/daemon/task"

	"github.com/charmbracelet/x/ansi"
)

// Frame returns the text of one screen, without a newline after its last line.
func Frame(s *Snapshot, l Look) string {
	p := painter{l}
	var lines []string
	if l.Help {
		lines = p.help()
	} else {
		lines = p.header(s)
		if s.Daemon.PID != 0 {
			lines = append(lines, p.tables(s, len(lines))...)
		}
	}
	if l.Height > 0 && len(lines) > l.Height {
		lines = lines[:l.Height]
	}
	if l.Width > 0 {
		for i, text := range lines {
			lines[i] = ansi.Truncate(text, l.Width, "…")
		}
	}
	return strings.Join(lines, "\n")
}

// painter writes parts of a frame.
type painter struct{ Look }

// header is what comes above the tables.
func (p painter) header(s *Snapshot) []string {
	d := &s.Daemon
	title := fmt.Sprintf("cpulbd %s  %s  pid %d  up %s", clean(d.Version), p.state(d.State), d.PID, span(d.UptimeSeconds))
	if d.Restarts > 0 {
		title += p.warn(fmt.Sprintf("  restarted %s meanwhile", times(d.Restarts)))
	}
	if d.PID == 0 { // it has never answered
		title = "cpulbd"
	}
	lines := []string{p.bold(title) + "   " + p.moment(s)}
	if s.Error != "" {
		lines = append(lines, p.bad("! "+clean(s.Error)))
		if d.PID == 0 {
			return lines
		}
	}
	lines = append(lines, p.counts(s), p.queue(&s.Queue), p.slots(s), p.rates(s.Rates))
	for _, t := range s.Troubles {
		lines = append(lines, p.warn(fmt.Sprintf("! %s %s: %s", t.Component, t.Health, clean(t.Reason))))
	}
	return lines
}

// moment says of when the figures are.
func (p painter) moment(s *Snapshot) string {
	text := s.At.Format(time.TimeOnly)
	switch {
	case s.At.IsZero():
		text = "no figures yet"
	case s.Error != "":
		text = "the figures are of " + text
	}
	switch {
	case p.Paused:
		text += "  " + p.warn("PAUSED (p goes on)")
	case p.Every > 0:
		text += fmt.Sprintf("  every %s, ? for help", p.Every)
	}
	return text
}

func (p painter) counts(s *Snapshot) string {
	var all []string
	for _, status := range task.Statuses() {
		name, n := status.String(), s.Tasks[status.String()]
		text := strings.ReplaceAll(name, "_", " ") + " " + count(n)
		if n > 0 && (status == task.Failed || status == task.TimedOut) {
			text = p.warn(text)
		}
		all = append(all, text)
	}
	return "tasks   " + strings.Join(all, "  ")
}

func (p painter) queue(q *Queue) string {
	text := fmt.Sprintf("queue   %s %s of %s  %s", p.bar(q.Size, q.Capacity), count(q.Size), count(q.Capacity), size(q.Bytes))
	if q.Blocked > 0 {
		text += p.warn(fmt.Sprintf("  %s blocked", count(q.Blocked)))
	}
	return text + fmt.Sprintf("  dropped %s  expired %s", count(int(q.Dropped)), count(int(q.Expired)))
}

func (p painter) slots(s *Snapshot) string {
	text := fmt.Sprintf("slots   %s %d of %d busy", p.bar(s.Slots.Busy, s.Slots.Total), s.Slots.Busy, s.Slots.Total)
	for _, pool := range s.Pools {
		text += fmt.Sprintf("  %s %d/%d", clean(pool.Name), pool.Slots.Busy, pool.Slots.Total)
	}
	return text
}

func (p painter) rates(r *Rates) string {
	if r == nil {
		return "rates   -"
	}
	text := fmt.Sprintf("rates   submitted %s/s  ended %s/s", rate(r.Submitted), rate(r.Ended))
	if r.Dropped > 0 {
		text += p.warn(fmt.Sprintf("  dropped %s/s", rate(r.Dropped)))
	}
	return text
}

// barWidth is that of a bar.
const barWidth = 20

// bar shows which part of a whole there is. Something is never shown as nothing.
func (p painter) bar(part, whole int) string {
	filled := 0
	if whole > 0 && part > 0 {
		filled = min(barWidth, max(1, part*barWidth/whole))
	}
	text := strings.Repeat("#", filled)
	if filled*5 >= barWidth*4 {
		text = p.warn(text)
	} else {
		text = p.good(text)
	}
	return "[" + text + strings.Repeat(".", barWidth-filled) + "]"
}

func (p painter) help() []string {
	return strings.Split(`Keys

  q, Esc, Ctrl-C   leave
  p, Space         pause, and go on
  s                sort the workers by the next of: core, busy, done/s, memory, restarts, name
  r                the other way round
  Up, Down, k, j   scroll the workers by one, PgUp and PgDn by ten, Home to the first
  +, -             look more often, less often
  ?, h             this help, and back

The scripts are those of the tasks that run, of up to 1000 that have ended and were submitted
during the last 15 minutes, and of those that were seen here to run; without the rights of an administrator, of your own ones.`, "\n")
}

func (p painter) styled(text string, with ansi.Style) string {
	if !p.Colour || text == "" {
		return text
	}
	return with.Styled(text)
}

func (p painter) bold(text string) string { return p.styled(text, ansi.NewStyle().Bold()) }
func (p painter) head(text string) string { return p.styled(text, ansi.NewStyle().Reverse(true)) }
func (p painter) good(text string) string { return p.coloured(text, ansi.Green) }
func (p painter) warn(text string) string { return p.coloured(text, ansi.Yellow) }
func (p painter) bad(text string) string  { return p.coloured(text, ansi.Red) }

func (p painter) coloured(text string, c ansi.BasicColor) string {
	return p.styled(text, ansi.NewStyle().ForegroundColor(c))
}

func (p painter) state(text string) string {
	if text == "running" || text == "ready" {
		return text
	}
	return p.warn(text)
}

// clean escapes what is not the program's own.
func clean(text string) string { return printable.Escape(text, "") }
