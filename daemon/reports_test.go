package daemon_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/plugins"
)

func TestMetricsHaveThePoolsAndTheirTasks(t *testing.T) {
	daemontest.On(t, twoPools(), func(f *daemontest.Farm) {
		f.Ends("completed", 1, f.Submit(fleettest.Echo))
		f.Submit(fleettest.Sleeps)
		f.Submit(fleettest.Echo)
		families, err := f.Engine.Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, family := range families {
			for _, m := range family.Metric {
				name := family.GetName()
				for _, l := range m.Label {
					name += " " + l.GetValue()
				}
				values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
		for name, want := range map[string]float64{"cpulb_tasks running": 1, "cpulb_tasks queued": 1, "cpulb_slots_busy q": 1, "cpulb_slots p": 1, "cpulb_queue_tasks q": 1,
			"cpulb_tasks_ended_total q completed": 1, "cpulb_worker_restarts_total p p-0": 0, "cpulb_results": 1} {
			if got, ok := values[name]; !ok || got != want {
				t.Errorf("%s is %v, not %v", name, got, want)
			}
		}
	})
}

func TestTheStatusHasEveryComponent(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Queue.MaxTasks = 2
	daemontest.On(t, c, func(f *daemontest.Farm) {
		s := f.Engine.Status(f.Context())
		if !s.Engine.IsRunning || s.Components["journal"].Metrics["sync"] != "off" {
			t.Errorf("%+v", s)
		}
		for name, component := range s.Components {
			if component.Health != api.Healthy {
				t.Errorf("%s: %+v", name, component)
			}
		}
		f.Submit(fleettest.Sleeps)
		f.Many(2, fleettest.Echo)
		if q := f.Engine.Status(f.Context()).Components["input_queue"]; q.Health != api.Degraded || !strings.Contains(q.Reason, "full") {
			t.Errorf("a full queue: %+v", q)
		}
		f.Stop()
		for name, component := range f.Engine.Status(f.Context()).Components {
			if component.Health != api.Stopped {
				t.Errorf("%s once it has stopped: %+v", name, component)
			}
		}
	})
}

func TestExecutorsSayWhoRunsThem(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Executors = append(c.Executors, config.Executor{Name: "idle", Command: "/bin/true"})
	daemontest.On(t, c, func(f *daemontest.Farm) {
		f.Launcher.Describes(plugins.Description{Name: "the fake", Version: "7", CanCancel: true, TakesEnv: true,
			Settings: []plugins.Setting{{Name: "size", Kind: plugins.BytesSetting, Description: "how large", Required: true}}})
		if err := f.Engine.RestartWorker(f.Context(), daemontest.Who(), "p-0"); err != nil {
			t.Fatal(err)
		}
		all := f.Engine.Executors()
		size := api.SettingStatus{Name: "size", Kind: "bytes", Description: "how large", Required: true}
		if x := all[0]; x.Program != "the fake" || x.Version != "7" || !slices.Equal(x.Capabilities, []string{"CANCEL", "TASK_ENV"}) ||
			len(x.Settings) != 1 || !reflect.DeepEqual(x.Settings[0], size) || all[1].Program != "" {
			t.Errorf("%+v", all)
		}
		if len(all) != 2 || all[0].Runtime != "fake" || len(all[0].Pools) != 1 || len(all[1].Pools) != 0 {
			t.Errorf("%+v", all)
		}
	})
}

func TestStacksAreThoseOfTheWorker(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		if text, err := f.Engine.Stacks(f.Context(), daemontest.Who(), "p-0"); err != nil || text == "" {
			t.Errorf("%q %v", text, err)
		}
		if _, err := f.Engine.Stacks(f.Context(), daemontest.Who(), "q-0"); !errors.Is(err, api.ErrNoWorker) {
			t.Errorf("of no worker: %v", err)
		}
		f.Ready("p-0").Freeze()
		if _, err := f.Engine.Stacks(f.Context(), daemontest.Who(), "p-0"); err == nil {
			t.Error("a worker that stands still has told its stacks")
		}
	})
}

func TestAReloadIsAllOrNothing(t *testing.T) {
	c := daemontest.One(1, 1)
	daemontest.On(t, c, func(f *daemontest.Farm) {
		for why, spoil := range map[string]func(*config.Config){
			"journal.sync":        func(c *config.Config) { c.Journal.Sync = "group" },
			"no such user":        func(c *config.Config) { c.Access.Users = []string{"nobody of this name"} },
			"executor":            func(c *config.Config) { c.Pools[0].Executor = "none" },
			"/nonexistent/server": func(c *config.Config) { c.Executors[0].Command = "/nonexistent/server" },
			"cores":               func(c *config.Config) { c.Pools[0].Cores = "4095" },
		} {
			bad := daemontest.One(1, 1)
			spoil(bad)
			if err := f.Reload(bad); !errors.Is(err, api.ErrReload) || !strings.Contains(err.Error(), why) || f.Engine.Config() != c {
				t.Errorf("%s: %v", why, err)
			}
		}
		more := daemontest.One(2, 1)
		if err := f.Reload(more); err != nil || f.Engine.Config() != more || f.IDs() != "[p-0 p-1]" {
			t.Errorf("%v: ready are %s", err, f.IDs())
		}
	})
}
