package daemon_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

var variables = map[string]string{"A": "1"}

func withEnv(k *task.Task) { k.Extra.Env = variables }

func withCwd(k *task.Task) { k.Extra.Cwd = "/srv" }

// takesBoth describes an executor that takes both.
func takesBoth() plugins.Description { return plugins.Description{TakesEnv: true, TakesCwd: true} }

// refusal submits a task, and returns the error of the field that it was refused for.
func refusal(f *daemontest.Farm, options ...daemontest.Option) *task.FieldError {
	f.Helper()
	k := &task.Task{ID: task.NewID(), ScriptPath: f.Dir + "/" + fleettest.Echo, Function: "main", Params: []byte("1"), Type: task.IOBound, Extra: &task.Extras{}}
	for _, change := range options {
		change(k)
	}
	var field *task.FieldError
	f.Engine.Submit(f.Context(), daemontest.Who(), k, nil, func(_ task.View, err error) {
		if !errors.As(err, &field) {
			f.Errorf("it was not refused for a field: %v", err)
			field = &task.FieldError{}
		}
	})
	return field
}

func TestEnvAndCwdReachAnExecutorThatTakesThem(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Launcher.Describes(takesBoth())
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0"); err != nil {
			t.Fatal(err)
		}
		id := f.Submit(fleettest.Echo, withEnv, withCwd)
		f.Ends("completed", 1, id)
		if run := f.Launcher.Runs.Of(id.String())[0]; !maps.Equal(run.Env, variables) || run.Cwd != "/srv" {
			t.Errorf("it ran with %v in %q", run.Env, run.Cwd)
		}
		again := make(chan task.View, 1)
		f.Engine.Rerun(f.Context(), daemontest.Who(), id, nil, func(v task.View, _ error) { again <- v })
		second := (<-again).ID
		f.Ends("completed", 1, second)
		if run := f.Launcher.Runs.Of(second.String())[0]; !maps.Equal(run.Env, variables) || run.Cwd != "/srv" {
			t.Errorf("it ran again with %v in %q", run.Env, run.Cwd)
		}
	})
}

func TestATaskIsRefusedForWhatItsExecutorDoesNotTakeAndToldWhoDoes(t *testing.T) {
	c := daemontest.One(1, 1)
	other := c.Pools[0]
	other.Name, other.Nice = "other", 1
	c.Pools = append(c.Pools, other)
	daemontest.On(t, c, func(f *daemontest.Farm) {
		for name, option := range map[string]daemontest.Option{"env": withEnv, "cwd": withCwd} {
			got := refusal(f, option)
			want := task.FieldError{Field: name, Code: "not_supported",
				Problem: "the executor fake of pool p does not take it, as it is configured: leave it out, or choose another pool"}
			if got.Field != want.Field || got.Code != want.Code || got.Problem != want.Problem || got.Allowed != nil {
				t.Errorf("%s: %+v", name, got)
			}
		}
		f.Launcher.Describes(takesBoth())
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "other-0"); err != nil {
			t.Fatal(err)
		}
		if got := refusal(f, withEnv); !slices.Equal(got.Allowed, []string{"pool other"}) {
			t.Errorf("%+v", got)
		}
		f.Ends("completed", 1, f.Submit(fleettest.Echo, withEnv, func(k *task.Task) { k.Pool = "other" }), f.Submit(fleettest.Echo))
	})
}

// The next worker may be another one: nothing is ignored without words.
func TestATaskThatMeetsAnExecutorWhichDoesNotTakeWhatItHasFails(t *testing.T) {
	run := func(t *testing.T, test func(f *daemontest.Farm, ids ...task.ID)) {
		daemontest.Keeping(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
			f.Launcher.Describes(takesBoth())
			if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0"); err != nil {
				t.Fatal(err)
			}
			f.Submit(fleettest.Sleeps, daemontest.Params("1h"))
			f.Launcher.Describes(plugins.Description{})
			test(f, f.Submit(fleettest.Echo, withEnv), f.Submit(fleettest.Fails, withCwd, daemontest.Retries(3)))
		})
	}
	t.Run("its worker is exchanged", func(t *testing.T) {
		run(t, func(f *daemontest.Farm, ids ...task.ID) {
			if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0"); err != nil {
				t.Fatal(err)
			}
			f.Ends("not_supported", 0, ids...)
		})
	})
	t.Run("the daemon is restarted", func(t *testing.T) {
		run(t, func(f *daemontest.Farm, ids ...task.ID) {
			f.Crash()
			f.Ends("not_supported", 0, ids...)
		})
	})
	t.Run("between two attempts", func(t *testing.T) {
		run(t, func(f *daemontest.Farm, _ ...task.ID) {
			id := f.Submit(fleettest.Fails, withCwd, daemontest.Retries(3), func(k *task.Task) { k.Priority = 9 })
			f.Pass(time.Hour)
			f.Ready("p-0").Die("exit status 1")
			f.Ends("not_supported", 1, id)
		})
	})
}

// While workers are exchanged a task may meet one of the old ones.
func TestNoTaskIsAdmittedThatSomeWorkerOfThePoolWouldFail(t *testing.T) {
	daemontest.On(t, daemontest.One(2, 1), func(f *daemontest.Farm) {
		f.Launcher.Describes(takesBoth())
		for _, worker := range []string{"p-0", "p-1"} {
			if got := refusal(f, withEnv); got.Field != "env" {
				t.Errorf("before %s is exchanged: %+v", worker, got)
			}
			if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), worker); err != nil {
				t.Fatal(err)
			}
		}
		f.Ends("completed", 1, f.Submit(fleettest.Echo, withEnv))
	})
}

func TestAReloadDecidesWhatTasksMayHave(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Launcher.Describes(takesBoth())
		after := daemontest.One(1, 1)
		after.Pools[0].Nice = 1
		if err := f.Reload(after); err != nil {
			t.Fatal(err)
		}
		f.Ends("completed", 1, f.Submit(fleettest.Echo, withEnv))
	})
}

func TestWithScriptDirsNobodyBringsCodeByTheEnvironment(t *testing.T) {
	c := daemontest.One(1, 1)
	daemontest.On(t, c, func(f *daemontest.Farm) {
		after := *c
		after.Access.ScriptDirs = []string{f.Dir}
		if err := f.Reload(&after); err != nil {
			t.Fatal(err)
		}
		for name, option := range map[string]daemontest.Option{"env": withEnv, "cwd": withCwd} {
			k := &task.Task{ID: task.NewID(), ScriptPath: f.Dir + "/" + fleettest.Echo, Type: task.IOBound, Extra: &task.Extras{}}
			option(k)
			var denied *access.Denied
			f.Engine.Submit(f.Context(), daemontest.Who(), k, nil, func(_ task.View, err error) {
				if !errors.As(err, &denied) || denied.Field != name {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
	})
}
