package daemon_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/swapfile"
	"cpulb/plugins/supervisor"
)

// onSwapped runs a test on a farm with a journal, whose executor was swapped.
func onSwapped(t *testing.T, test func(f *daemontest.Farm, next string)) {
	t.Helper()
	next := program(t, "next")
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		status, err := swap(f, api.SwapRequest{Command: next})
		if err != nil || !status.Swap.Persists {
			t.Fatalf("%+v %v", status.Swap, err)
		}
		test(f, next)
	})
}

// keeps: the configuration says command now.
func says(f *daemontest.Farm, command string) {
	c := daemontest.One(1, 1)
	c.Journal.Sync = "group"
	c.Executors[0].Command = command
	f.Offer(c)
}

func TestASwapOutlivesTheDaemon(t *testing.T) {
	onSwapped(t, func(f *daemontest.Farm, next string) {
		f.Restart()
		allRun(f, next, "p-0")
		f.Logged("executor \"fake\" was swapped at 2000-01-01")
		f.Crash()
		allRun(f, next, "p-0")
		if x := f.Engine.Executors()[0]; x.Command != next || x.BeforeCommand != daemontest.Program {
			t.Errorf("%+v", x)
		}
		if _, err := f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", 1<<40); err != nil {
			t.Error(err)
		}
		f.Restart()
		allRun(f, daemontest.Program, "p-0")
		if _, err := f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", 1<<40); !errors.Is(err, api.ErrSwapConflict) {
			t.Error(err)
		}
	})
}

func TestTheConfigurationWinsOnceItHasChanged(t *testing.T) {
	onSwapped(t, func(f *daemontest.Farm, next string) {
		third := program(t, "third")
		says(f, third)
		f.Restart()
		allRun(f, third, "p-0")
		f.Logged("the configuration has changed since, and " + third + " runs as it says")
		says(f, daemontest.Program) // what was replaced once: the swap is forgotten
		f.Restart()
		allRun(f, daemontest.Program, "p-0")
	})
	onSwapped(t, func(f *daemontest.Farm, next string) {
		says(f, next) // as was swapped
		f.Restart()
		allRun(f, next, "p-0")
		if _, err := f.Engine.Rollback(f.Context(), daemontest.Who(), "fake", 1<<40); err != nil {
			t.Error(err)
		}
		f.Restart()
		allRun(f, daemontest.Program, "p-0")
	})
}

func TestASwappedProgramThatIsGoneOrDoesNotStartIsGivenUp(t *testing.T) {
	for name, spoil := range map[string]func(f *daemontest.Farm, next string) error{
		"gone": func(_ *daemontest.Farm, next string) error { return os.Remove(next) },
		"does not start": func(f *daemontest.Farm, next string) error {
			f.Refuse = func(s supervisor.Spec) error {
				if s.Command == next {
					return errors.New("exits at once")
				}
				return nil
			}
			return nil
		},
		"damaged file": func(f *daemontest.Farm, _ string) error {
			return os.WriteFile(filepath.Join(f.State, "journal", swapfile.Name), []byte("{"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onSwapped(t, func(f *daemontest.Farm, next string) {
				if err := spoil(f, next); err != nil {
					t.Fatal(err)
				}
				f.Restart()
				allRun(f, daemontest.Program, "p-0")
				f.Logged("the configuration's run")
				f.Logged("[ERROR]")
				if x := f.Engine.Executors()[0]; x.Command != daemontest.Program || x.BeforeCommand != "" {
					t.Errorf("%+v", x)
				}
			})
		})
	}
}

// What is wrong with one program says nothing of the others.
func TestOneSwappedProgramThatCannotBeUsedLeavesTheOthers(t *testing.T) {
	for name, spoil := range map[string]func(f *daemontest.Farm, path string) error{
		"gone": func(_ *daemontest.Farm, path string) error { return os.Remove(path) },
		"another": func(_ *daemontest.Farm, path string) error { // that nobody has checked
			return os.WriteFile(path, []byte("#!/bin/sh\n# another\n"), 0o755)
		},
		"does not start": func(f *daemontest.Farm, path string) error {
			f.Refuse = func(s supervisor.Spec) error {
				if s.Command == path {
					return errors.New("exits at once")
				}
				return nil
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := program(t, "a"), program(t, "b")
			c := daemontest.One(1, 1)
			c.Executors = append(c.Executors, c.Executors[0])
			c.Executors[1].Name = "other"
			c.Pools = append(c.Pools, c.Pools[0])
			c.Pools[1].Name, c.Pools[1].Executor = "q", "other"
			daemontest.Keeping(t, c, func(f *daemontest.Farm) {
				for name, path := range map[string]string{"fake": a, "other": b} {
					if _, err := f.Engine.Swap(f.Context(), daemontest.Who(), name, &api.SwapRequest{Command: path}, 1<<40); err != nil {
						t.Fatal(err)
					}
				}
				if err := spoil(f, b); err != nil {
					t.Fatal(err)
				}
				for range 2 { // it is kept so
					f.Restart()
					if p, q := f.Ready("p-0").Spec.Command, f.Ready("q-0").Spec.Command; p != a || q != daemontest.Program {
						t.Errorf("p runs %s, q runs %s", p, q)
					}
				}
				f.Logged("executor=other")
			})
		})
	}
}

func TestASwapWithoutAJournalSaysThatItDoesNotLast(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		status, err := swap(f, api.SwapRequest{Command: program(t, "next")})
		if err != nil || status.Swap.Persists || status.Swap.Persistence != "there is no journal: the next daemon runs what the configuration says" {
			t.Errorf("%+v %v", status.Swap, err)
		}
	})
}

// What can't be kept is said, and holds all the same.
func TestASwapThatCannotBeKeptSaysSo(t *testing.T) {
	next := program(t, "next")
	daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		if err := os.MkdirAll(filepath.Join(f.State, "journal", swapfile.Name+".new", "full"), 0o700); err != nil {
			t.Fatal(err)
		}
		status, err := swap(f, api.SwapRequest{Command: next})
		if err != nil || status.Swap.State != api.SwapDone || status.Swap.Persists {
			t.Errorf("%+v %v", status.Swap, err)
		}
		allRun(f, next, "p-0")
	})
}
