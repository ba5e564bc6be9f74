package daemon_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"cpulb/daemon/access"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// Who a caller is, is asked before anything of what it sends is read, and for every
// connection: it must not wait behind whatever keeps the engine busy.
func TestRightsAreKnownWithoutWaitingForTheEngine(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Access.Users, c.Access.AdminUsers = []string{"1001"}, []string{"1002"}
	daemontest.On(t, c, func(f *daemontest.Farm) {
		f.Engine.Locked(func() {
			for uid, want := range map[uint32]struct{ submits, administers bool }{
				0: {true, true}, 1001: {true, false}, 1002: {true, true}, 1003: {false, false},
			} {
				who := access.Identity{UID: uid, GID: uid}
				err := f.Engine.MaySubmit(who)
				if (err == nil) != want.submits || err != nil && !errors.Is(err, access.ErrDenied) {
					t.Errorf("uid %d submits: %v", uid, err)
				}
				if f.Engine.Administers(who) != want.administers {
					t.Errorf("uid %d administers: %v", uid, !want.administers)
				}
			}
		})
	})
}

// Whether a file exists, an id is taken or the daemon drains is not for those who may not
// have the task run: they get one answer whatever is there.
func TestWhoMayNotRunATaskLearnsOnlyThat(t *testing.T) {
	c := daemontest.One(1, 1)
	other := c.Pools[0]
	other.Name, other.Users = "others", []string{"1002"}
	c.Pools = append(c.Pools, other)
	c.Access.Users = []string{"1001"}
	daemontest.On(t, c, func(f *daemontest.Farm) {
		known := f.Submit(fleettest.Echo)
		allowed := access.Identity{UID: 1001, GID: 1001}
		into := func(pool string) daemontest.Option { return func(k *task.Task) { k.Pool = pool } }
		for _, try := range []struct {
			name    string
			who     access.Identity
			options []daemontest.Option
		}{
			{"who may not submit", access.Identity{UID: 1003, GID: 1003}, nil},
			{"who may not use the pool", allowed, []daemontest.Option{into("others")}},
		} {
			answers := map[string][]string{}
			ask := func(what string) {
				for name, script := range map[string]string{"a script": fleettest.Echo, "no script": "missing.py", "a folder": "."} {
					for _, id := range []task.ID{known, task.NewID()} {
						k := newTask(f, script)
						k.ID = id
						for _, o := range try.options {
							o(k)
						}
						_, err, _ := answer(f, try.who, k, nil)
						if !errors.Is(err, access.ErrDenied) {
							t.Errorf("%s, %s, %s: %v", try.name, what, name, err)
							continue
						}
						answers[err.Error()] = append(answers[err.Error()], name)
					}
				}
				var again error
				f.Engine.Rerun(f.Context(), try.who, known, nil, func(_ task.View, err error) { again = err })
				if again == nil || try.options == nil && !errors.Is(again, access.ErrDenied) {
					t.Errorf("%s, %s, reruns: %v", try.name, what, again)
				}
			}
			ask("serving")
			if err := f.Engine.Drain(daemontest.Who()); err != nil {
				t.Fatal(err)
			}
			ask("draining")
			if err := f.Engine.Resume(daemontest.Who()); err != nil {
				t.Fatal(err)
			}
			if len(answers) != 1 {
				t.Errorf("%s can tell things apart: %v", try.name, answers)
			}
		}
		k := newTask(f, fleettest.Echo)
		k.Pool = "misspelt"
		_, err, _ := answer(f, allowed, k, nil)
		var field *task.FieldError
		if !errors.As(err, &field) || len(field.Allowed) != 1 || field.Allowed[0] != "p" {
			t.Errorf("a misspelt pool: %v, allowed %v", err, field)
		}
	})
}

// Whatever callers send, metrics are labelled by what the configuration bounds.
func TestMetricsHaveNothingOfTheCallers(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		f.Ends("completed", 1, f.Submit(fleettest.Echo, func(k *task.Task) {
			k.Labels = map[string]string{"secret": "secret"}
			k.Extra.ConcurrencyKey, k.Extra.IdempotencyKey = "secret", "secret"
		}))
		families, err := f.Engine.Gather()
		if err != nil {
			t.Fatal(err)
		}
		allowed := []string{"pool", "status", "worker", "version", "quantile", "le"} // the last three are Go's own
		for _, family := range families {
			for _, m := range family.Metric {
				for _, l := range m.Label {
					if !slices.Contains(allowed, l.GetName()) || strings.Contains(l.GetValue(), "secret") {
						t.Errorf("%s is labelled %s", family.GetName(), l)
					}
				}
			}
		}
	})
}

// Who administers no more sees no further end, event or result of others' tasks, whatever it
// has begun to wait for.
func TestWhoLosesARightSeesNothingMore(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Access.AdminUsers = []string{"1002"}
	daemontest.On(t, c, func(f *daemontest.Farm) {
		admin := access.Identity{UID: 1002, GID: 1002}
		var batch task.ID
		k := newTask(f, fleettest.Sleeps)
		f.Engine.SubmitBatch(f.Context(), stranger, task.NewID(), []*task.Task{k}, func(id task.ID, _ []task.ID, errs []error) {
			if batch = id; errs[0] != nil {
				t.Error(errs[0])
			}
		})
		synctest.Wait()
		events, err := f.Events(f.Context(), admin, k.ID, task.Cursor{})
		results, err2 := f.Engine.BatchResults(f.Context(), admin, batch)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		waits := map[string]func() error{
			"result": func() error { _, err := f.Engine.Result(f.Context(), admin, k.ID); return err },
			"events": func() (err error) {
				for ev, wrong := range events {
					if err = wrong; ev != nil && ev.Kind == task.EventResult {
						t.Error("the event of the result is shown")
					}
				}
				return err
			},
			"batch": func() (err error) {
				for _, err = range results {
				}
				return err
			},
		}
		ended := make(chan struct{})
		for name, wait := range waits {
			go func() {
				if err := wait(); !errors.Is(err, task.ErrNotFound) {
					t.Errorf("%s: %v", name, err)
				}
				ended <- struct{}{}
			}()
		}
		synctest.Wait()
		without := *c
		without.Access.AdminUsers = nil
		if err := f.Reload(&without); err != nil {
			t.Fatal(err)
		}
		f.Ends("completed", 1, k.ID)
		for range waits {
			<-ended
		}
	})
}

// Behind a link, ".." leads out of the folder by whose name it begins.
func TestNoPathAsksForFilesOutsideOfScriptDirs(t *testing.T) {
	dir := t.TempDir()
	scripts, release := filepath.Join(dir, "scripts"), filepath.Join(dir, "releases", "5")
	if err := errors.Join(os.Mkdir(scripts, 0o700), os.MkdirAll(release, 0o700), os.Symlink(release, filepath.Join(scripts, "current")),
		os.WriteFile(filepath.Join(dir, "releases", "secret"), nil, 0o600), os.WriteFile(filepath.Join(release, "echo"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	c := daemontest.One(1, 1)
	c.Access.ScriptDirs = []string{scripts}
	daemontest.On(t, c, func(f *daemontest.Farm) {
		for path, code := range map[string]string{"current/../secret": "script_not_found", "current/../nothing": "script_not_found",
			"current/../current/echo": "", "current/echo": ""} {
			k := newTask(f, fleettest.Echo)
			k.ScriptPath = scripts + "/" + path
			_, err, _ := answer(f, stranger, k, nil)
			var wrong *task.FieldError
			if errors.As(err, &wrong); (err == nil) != (code == "") || err != nil && wrong.Code != code {
				t.Errorf("%s: %v; want %q", path, err, code)
			}
		}
	})
}
