package top

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"
)

// patience is how long the daemon may take to answer until the screen says that it does not.
const patience = 5 * time.Second

// errSilent is shown when the daemon takes longer.
var errSilent = fmt.Errorf("the daemon has not answered for %s", patience)

// Show follows the daemon on a terminal until its reader leaves, or ctx is done. The terminal
// is then as it was. The environment decides about colours, as NO_COLOR.
func Show(ctx context.Context, c *Collector, in, out *os.File, environment []string, l Look) error {
	questions, cancel := context.WithCancel(ctx)
	defer cancel()  // one that is under way
	l.Colour = true // the renderer leaves out what the terminal does not know, and what NO_COLOR forbids
	options := []tea.ProgramOption{tea.WithOutput(out), tea.WithoutSignalHandler(), tea.WithEnvironment(environment)}
	if isTerminal(in) { // else it asks the controlling terminal for keys
		options = append(options, tea.WithInput(in))
	}
	program := tea.NewProgram(screen{ctx: questions, collector: c, look: l, asking: true}, options...)
	// Not tea.WithContext, which does not wait for its reader of keys.
	defer context.AfterFunc(ctx, program.Quit)()
	_, err := program.Run()
	return err
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// screen is a tea.Model.
type screen struct {
	ctx       context.Context // of the questions to the daemon, which are tea's commands
	collector *Collector
	look      Look
	shown     Snapshot
	// asking: the answer of the daemon will come, and then the next tick.
	asking bool
	// turn is of the tick that counts: those of former turns are late.
	turn int
}

// answered brings what the daemon has said.
type answered Snapshot

// tick is the time to ask again.
type tick int

// Init implements tea.Model.
func (s screen) Init() tea.Cmd { return s.ask }

// ask is a tea.Cmd: one runs at a time, as asking says.
func (s screen) ask() tea.Msg {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	shot, err := s.collector.Next(ctx)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		shot.Error = errSilent.Error()
	}
	return answered(shot)
}

// Update implements tea.Model.
func (s screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.look.Width, s.look.Height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return s.key(msg.String())
	case answered:
		s.asking = false
		if !s.look.Paused {
			s.shown = Snapshot(msg)
		}
		return s.wait()
	case tick:
		if int(msg) == s.turn && !s.look.Paused && !s.asking {
			s.asking = true
			return s, s.ask
		}
	}
	return s, nil
}

// wait begins the time until the next question.
func (s screen) wait() (tea.Model, tea.Cmd) {
	s.turn++
	turn := s.turn
	return s, tea.Tick(s.look.Every, func(time.Time) tea.Msg { return tick(turn) })
}

// intervals are the times between two questions that keys choose from.
func intervals() []time.Duration {
	return []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute}
}

func (s screen) key(name string) (tea.Model, tea.Cmd) {
	l := &s.look
	switch name {
	case "q", "ctrl+c", "esc":
		return s, tea.Quit
	case "ctrl+z":
		return s, tea.Suspend
	case "p", "space", " ":
		l.Paused = !l.Paused
		if !l.Paused && !s.asking {
			s.asking = true
			return s, s.ask
		}
	case "s":
		l.Sort, l.Skip = (l.Sort+1)%orders, 0
	case "r":
		l.Reverse = !l.Reverse
	case "?", "h":
		l.Help = !l.Help
	case "+", "=", "-":
		l.Every = nextInterval(l.Every, name != "-")
		if !s.asking {
			return s.wait()
		}
	default:
		l.Skip = s.scrolled(name)
	}
	return s, nil
}

// scrolled returns how many workers are to be skipped after a key.
func (s screen) scrolled(key string) int {
	skip := s.look.Skip
	switch key {
	case "down", "j":
		skip++
	case "up", "k":
		skip--
	case "pgdown":
		skip += 10
	case "pgup":
		skip -= 10
	case "home":
		skip = 0
	}
	return max(0, min(skip, len(s.shown.Workers)-1))
}

// nextInterval returns the next shorter or longer one, if there is any.
func nextInterval(now time.Duration, shorter bool) time.Duration {
	all := intervals()
	for i := range all {
		if shorter && all[len(all)-1-i] < now {
			return all[len(all)-1-i]
		}
		if !shorter && all[i] > now {
			return all[i]
		}
	}
	return now
}

// View implements tea.Model.
func (s screen) View() tea.View {
	v := tea.NewView(Frame(&s.shown, s.look))
	v.AltScreen = true
	v.WindowTitle = "cpulb top"
	return v
}
