package daemon

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/daemon/fleet"
	"cpulb/daemon/swapfile"
	"cpulb/plugins/supervisor"
)

// overrides are the programs that run in the place of those that the configuration has, by
// executor, and those that ran before. The engine's lock guards them; they are replaced as a
// whole.
type overrides map[string]swapfile.Swap

// saysOf is what an executor's block says of its program.
func saysOf(x *config.Executor) swapfile.Program {
	return swapfile.Program{Command: x.Command, Pin: x.SHA256}
}

// sameProgram reports whether two programs are the same to the configuration.
func sameProgram(a, b swapfile.Program) bool { return a.Command == b.Command && a.Pin == b.Pin }

// over returns c with the programs that were swapped, those overrides that still hold, and
// what is to be said of each: the configuration wins once it has another program than the
// one that was replaced.
func (o overrides) over(c *config.Config) (_ *config.Config, held overrides, words []string) {
	held = overrides{}
	for i := range c.Executors {
		x := c.Executors[i]
		s, ok := o[x.Name]
		says := saysOf(&x)
		switch {
		case !ok:
			continue
		case sameProgram(says, s.Replaced):
			if !sameProgram(says, s.Program) {
				words = append(words, fmt.Sprintf("executor %q was swapped at %s: %s runs, and not %s as the configuration says", x.Name,
					s.At.Format(timeFormat), s.Program.Command, x.Command))
			}
		case sameProgram(says, s.Program):
			s.Replaced = says // it says now what was swapped
		default:
			words = append(words, fmt.Sprintf("executor %q was swapped at %s to %s; the configuration has changed since, and %s runs as it says",
				x.Name, s.At.Format(timeFormat), s.Program.Command, x.Command))
			continue
		}
		x.Command, x.SHA256 = s.Program.Command, s.Program.Pin
		c = withExecutor(c, x)
		held[x.Name] = s
	}
	return c, held, words
}

// timeFormat is how times are written in the log's sentences.
const timeFormat = "2006-01-02 15:04:05 MST"

// swapFolder is where the file of swaps is; empty: nothing outlives the daemon.
func (e *Engine) swapFolder() string {
	if c := e.options.Config.Journal; c.Sync == "off" || e.options.StateDir == "" {
		return ""
	}
	return filepath.Join(e.options.StateDir, journalFolder)
}

// loadOverrides returns the programs that an earlier daemon has swapped. What can't be read
// is no reason not to start.
func (e *Engine) loadOverrides() overrides {
	o := overrides{}
	if e.swapFolder() == "" {
		return o
	}
	all, err := swapfile.Load(e.swapFolder())
	if err != nil {
		e.log.Error("programs that were swapped are not known any more: the configuration's run", "error", err)
	}
	for _, s := range all {
		if err := config.CheckProgram(s.Program.Command, s.Program.Pin); err != nil {
			e.log.Error("a program that was swapped is not known any more", "executor", s.Executor, "error", err)
			continue
		}
		o[s.Executor] = s
	}
	return o
}

// takeOverSwaps returns the layouts of the configuration, with the programs that an earlier
// daemon has swapped; those can be gone by now.
func (e *Engine) takeOverSwaps() ([]fleet.Layout, error) {
	known := e.loadOverrides()
	c, held, words := known.over(e.options.Config)
	for _, text := range words {
		e.log.Warn(text)
	}
	for _, name := range held.swapped() {
		if err := e.isAsSwapped(held[name].Program); err != nil {
			e.log.Error("a program that was swapped can't be used: the configuration's runs", "executor", name, "error", err)
			c = e.without(c, held, name)
		}
	}
	layouts, err := e.layouts(c)
	if err != nil && c != e.options.Config {
		e.log.Error("programs that were swapped can't be used: the configuration's run", "executors", held.swapped(), "error", err)
		c, held = e.options.Config, overrides{}
		layouts, err = e.layouts(c)
	}
	e.config.Store(c)
	e.overrides, e.stale = held, !maps.Equal(known, held)
	return layouts, err
}

// isAsSwapped returns why p can't be used any more: nobody has checked what is at its path now.
func (e *Engine) isAsSwapped(p swapfile.Program) error {
	path, err := supervisor.Find(p.Command, e.options.BinDir)
	if err != nil || p.SHA256 == "" {
		return err
	}
	hash, err := e.programs.hashFile(path)
	if err == nil && hash != p.SHA256 {
		err = fmt.Errorf("%s has changed since it was checked: its sha256 is %s, and was %s", path, hash, p.SHA256)
	}
	return err
}

// swapped are the executors that don't run what the configuration says.
func (o overrides) swapped() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if !sameProgram(o[name].Program, o[name].Replaced) {
			names = append(names, name)
		}
	}
	return names
}

// without returns c with the configuration's program for an executor, whose swap it removes.
func (e *Engine) without(c *config.Config, held overrides, name string) *config.Config {
	delete(held, name)
	if x := executorIn(e.options.Config, name); x != nil {
		return withExecutor(c, *x)
	}
	return c
}

// proveSwaps has a worker started with each program that an earlier daemon has swapped. Where one
// can't be, the configuration's program runs. Nobody else uses the engine yet.
func (e *Engine) proveSwaps(ctx context.Context) {
	for _, name := range e.overrides.swapped() {
		err := e.fleet.CanStart(ctx, []string{name})
		if err == nil {
			continue
		}
		held := maps.Clone(e.overrides)
		c := e.without(e.config.Load(), held, name)
		layouts, broken := e.layouts(c)
		if broken != nil {
			continue // the start says why
		}
		e.log.Error("a program that was swapped can't be started: the configuration's runs", "executor", name, "error", err)
		e.fleet.Replace(layouts)
		e.config.Store(c)
		e.overrides, e.stale = held, true
	}
	if !e.stale {
		return
	}
	if err := e.keepOverrides(e.overrides); err != nil {
		e.log.Error("the next daemon may run programs that were swapped before", "error", err)
	}
}

// keepOverrides makes o hold, and sees that it outlives the daemon.
func (e *Engine) keepOverrides(o overrides) error {
	e.do(func(*effects.List) { e.overrides = o })
	folder := e.swapFolder()
	if folder == "" {
		return nil
	}
	return swapfile.Save(folder, slices.SortedFunc(maps.Values(o), func(a, b swapfile.Swap) int { return strings.Compare(a.Executor, b.Executor) }))
}

// noteSwaps notes programs that have all tasks now.
func (e *Engine) noteSwaps(all []*swap) error {
	if len(all) == 0 {
		return nil
	}
	var o overrides
	persists, how := e.persistence(all[0].status.By) // one has asked for all
	e.do(func(*effects.List) {
		o = maps.Clone(e.overrides)
		for _, s := range all {
			s.status.Persists, s.status.Persistence = persists, how
			entry := swapfile.Swap{Executor: s.executor, Replaced: s.replaced, Program: s.program, At: e.momentLocked().Wall}
			if s.status.By != byRollback { // to go back twice would be to go forth again
				before := s.before
				entry.Before = &before
			}
			if o[s.executor] = entry; entry.Before == nil && sameProgram(entry.Replaced, entry.Program) {
				delete(o, s.executor)
			}
		}
	})
	err := e.keepOverrides(o)
	if err == nil {
		return nil
	}
	e.do(func(*effects.List) {
		for _, s := range all {
			if s.status.By != byReload {
				s.status.Persists, s.status.Persistence = false, "it could not be kept for the next daemon: "+err.Error()
			}
		}
	})
	return err
}

// dropOverrides forgets the programs that were swapped where the file, which holds now, says
// something else since.
func (e *Engine) dropOverrides(file *config.Config) error {
	var was overrides
	e.do(func(*effects.List) { was = e.overrides })
	_, held, _ := was.over(file)
	if maps.Equal(was, held) {
		return nil
	}
	if err := e.keepOverrides(held); err != nil {
		return &partial{"the next daemon may run programs that were swapped before", err}
	}
	return nil
}

// executorIn returns an executor's block; nil: there is none.
func executorIn(c *config.Config, name string) *config.Executor {
	for i := range c.Executors {
		if c.Executors[i].Name == name {
			return &c.Executors[i]
		}
	}
	return nil
}
