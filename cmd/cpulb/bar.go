package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"cpulb/cmd/cpulb/printable"

	"golang.org/x/sys/unix"
)

// bar shows on a terminal's stderr how far a command has come, in one line that is drawn
// again and again. Where stderr is no terminal it does nothing.
type bar struct {
	out *os.File // nil: nothing is shown
	// done is closed at the end, and drawn once nobody draws any more.
	done, drawn chan struct{}

	mu    sync.Mutex
	state barState
	// drawnAt is when it was drawn last.
	drawnAt time.Time
	hidden  int
	ended   bool
}

// barState is what the line tells.
type barState struct {
	pace pace
	// one: it is of one task, which has no lines that are done.
	one bool
	// count is how many are done, total of how many: 0 while that is not known.
	count, total, failed int
	// share, if message or share are set, is how far a task says that it has come.
	share   *float64
	message string
	// waits is what everything waits for at the moment.
	waits string
}

// drawInterval is how often the line is drawn, at most but for what hide takes away.
const drawInterval = 200 * time.Millisecond

// bar begins to show one. Its end must be called before anything else is written to stderr
// but for what hide and show enclose.
func (t *terminal) bar() *bar {
	b := &bar{done: make(chan struct{}), drawn: make(chan struct{})}
	if f, ok := t.raw.err.(*os.File); ok && isTerminal(f) && os.Getenv("TERM") != "dumb" {
		b.out = f
		t.shown.Store(b)
		b.state.pace.note(time.Now(), 0)
		go b.run()
	}
	return b
}

// taskBar is bar for one task: it shows nothing until that says how far it has come.
func (t *terminal) taskBar() *bar {
	b := t.bar()
	b.set(func(s *barState) { s.one = true })
	return b
}

// shown reports whether anybody sees it.
func (b *bar) shown() bool { return b.out != nil }

func (b *bar) run() {
	defer close(b.drawn)
	ticker := time.NewTicker(drawInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			b.mu.Lock()
			b.state.pace.note(time.Now(), b.state.count)
			b.drawLocked()
			b.mu.Unlock()
		case <-b.done:
			return
		}
	}
}

// change changes the state and draws it, if it is a while since it was drawn; else run does.
func (b *bar) change(f func(*barState)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.state)
	if time.Since(b.drawnAt) >= drawInterval {
		b.drawLocked()
	}
}

// set changes what is drawn next.
func (b *bar) set(f func(*barState)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.state)
}

func (b *bar) add(n int)      { b.set(func(s *barState) { s.count += n }) }
func (b *bar) setTotal(n int) { b.set(func(s *barState) { s.total = n }) }
func (b *bar) setFailed(n int) {
	b.set(func(s *barState) { s.failed = n })
}

// setWaits shows what everything waits for; false: nobody sees this bar.
func (b *bar) setWaits(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.waits = text
	return b.out != nil && !b.ended
}

// skip counts what need not be done: it is not part of the pace.
func (b *bar) skip(n int) {
	b.set(func(s *barState) {
		s.count += n
		s.pace.skip(n)
	})
}

// fraction shows how far a task has come.
func (b *bar) fraction(share float64, message string) {
	b.change(func(s *barState) { s.share, s.message = &share, message })
}

// The codes of a terminal that this needs: the first column, and what is right of it erased.
const eraseLine = "\r\x1b[K"

// drawLocked draws the line. b.mu is held. A terminal that can't be written to is nobody's
// trouble.
func (b *bar) drawLocked() {
	if b.out != nil && b.hidden == 0 && !b.ended {
		b.drawnAt = time.Now()
		_, _ = io.WriteString(b.out, eraseLine+b.state.line(terminalWidth(b.out)))
	}
}

// hide takes the line away until show: something else is to be written.
func (b *bar) hide() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hidden++; b.hidden == 1 && b.out != nil && !b.ended {
		_, _ = io.WriteString(b.out, eraseLine)
	}
}

func (b *bar) show() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hidden--
	b.drawLocked()
}

// end takes the line away for good.
func (b *bar) end() {
	b.mu.Lock()
	if b.ended {
		b.mu.Unlock()
		return
	}
	if b.out != nil && b.hidden == 0 {
		_, _ = io.WriteString(b.out, eraseLine)
	}
	b.ended = true
	b.mu.Unlock()
	close(b.done)
	if b.out != nil {
		<-b.drawn
	}
}

// terminalWidth is how many characters a line has; 80 where that is not known.
func terminalWidth(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return 80
	}
	return int(size.Col)
}

// boxWidth is how many characters the picture of a share has.
const boxWidth = 20

// line is the state in less than width characters.
func (s *barState) line(width int) string {
	var parts []string
	switch {
	case s.share != nil:
		parts = append(parts, box(*s.share), printable.Escape(s.message, ""))
	case s.total > 0:
		share := float64(s.count) / float64(max(s.count, s.total))
		parts = append(parts, box(share), fmt.Sprintf("%d of %d", s.count, max(s.count, s.total)))
	case !s.one:
		parts = append(parts, fmt.Sprintf("%d lines", s.count))
	}
	if s.share == nil {
		if rate := s.pace.rate(); rate > 0 {
			parts = append(parts, perTime(rate))
			if left := s.total - s.count; left > 0 {
				parts = append(parts, "ETA "+untilThen(time.Duration(float64(left)/rate*float64(time.Second))))
			}
		}
		if s.failed > 0 {
			parts = append(parts, fmt.Sprintf("%d failed", s.failed))
		}
	}
	if s.waits != "" {
		parts = append(parts, s.waits)
	}
	return clipped(strings.Join(parts, "  "), width-1)
}

// box is a picture of a share from 0 to 1, and the share in percent.
func box(share float64) string {
	share = min(max(share, 0), 1)
	full := int(share * boxWidth)
	return fmt.Sprintf("[%s%s] %3d%%", strings.Repeat("#", full), strings.Repeat(".", boxWidth-full), int(share*100))
}

// perTime is a rate in the unit that makes it readable.
func perTime(perSecond float64) string {
	switch {
	case perSecond >= 10:
		return fmt.Sprintf("%.0f/s", perSecond)
	case perSecond >= 1:
		return fmt.Sprintf("%.1f/s", perSecond)
	case perSecond*60 >= 1:
		return fmt.Sprintf("%.1f/min", perSecond*60)
	default:
		return fmt.Sprintf("%.1f/h", perSecond*3600)
	}
}

// untilThen is a duration as exact as anybody wants to know it.
func untilThen(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return strings.TrimSuffix(d.Round(time.Second).String(), "0s")
	case d < 100*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	default:
		return fmt.Sprintf("%dd", int(d/(24*time.Hour)))
	}
}

// clipped cuts text to a width. What is not ASCII counts twice, as the widest do.
func clipped(text string, width int) string {
	for i, r := range text {
		if width--; r > 0x7f {
			width--
		}
		if width < 0 {
			return text[:i]
		}
	}
	return text
}
