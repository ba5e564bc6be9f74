package daemon_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// mortal is a farm whose workers and daemons die by chance.
type mortal struct {
	*daemontest.Farm
	chance *rand.Rand
	all    []*task.Task
	// kills counts the workers and daemons that were ended from outside.
	kills int
	// freezes: some tasks freeze their workers, and others are sent to these that do not
	// begin before the daemon dies, as far as that can know.
	freezes bool
}

// Deaths of workers and daemons, stops in order and tasks that do not stop, with every
// setting of retries and on_worker_lost: attempts are what ran, no two runs of a task or
// of a key are at the same time, what must not run twice does not, and who kills workers
// is found.
func TestWhoeverDiesEachTaskRunsAsOftenAsItMay(t *testing.T) {
	rounds := uint64(100)
	if testing.Short() {
		rounds = 5
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			chance := rand.New(rand.NewPCG(seed, 7))
			daemontest.Keeping(t, mortalConfig(chance), func(f *daemontest.Farm) {
				m := &mortal{Farm: f, chance: chance, freezes: seed%3 == 0}
				for range 40 {
					m.step()
				}
				m.settle()
			})
		})
	}
}

func mortalConfig(chance *rand.Rand) *config.Config {
	c := daemontest.One(1+chance.IntN(2), 1)
	c.Pools = append(c.Pools, c.Pools[0])
	c.Pools[1].Name, c.Pools[1].Threads = "shared", 2+chance.IntN(3)
	c.Limits.FenceTimeout, c.Results.TTL = 10*time.Second, 10_000*time.Hour
	return c
}

func (m *mortal) step() {
	switch m.chance.IntN(12) {
	default:
		m.submitAny()
	case 0:
		if living := m.Launcher.Living(); len(living) > 0 {
			m.kills++
			living[m.chance.IntN(len(living))].Die("signal: killed")
		}
	case 1:
		m.kills++
		m.Crash()
	case 2:
		m.kills++
		m.Restart()
	case 3:
		if len(m.all) > 0 {
			_ = m.Cancel(m.all[m.chance.IntN(len(m.all))].ID) // an error: a daemon has taken it along
		}
	}
	m.Pass(time.Duration(m.chance.IntN(4000)) * time.Millisecond)
}

func (m *mortal) submitAny() {
	scripts := []string{fleettest.Echo, fleettest.Sleeps, fleettest.Sleeps, fleettest.Sleeps, fleettest.Fails, fleettest.FailsOnce, fleettest.Blocks,
		fleettest.Stubborn, fleettest.StubbornOnce, fleettest.Crashes, fleettest.Crashes, fleettest.CrashesOften}
	if m.freezes {
		scripts = append(scripts, fleettest.Freezes)
	}
	k := &task.Task{ID: task.NewID(), ScriptPath: filepath.Join(m.Dir, scripts[m.chance.IntN(len(scripts))]), Function: "main", Type: task.IOBound,
		Priority: m.chance.IntN(10), Params: fmt.Appendf(nil, `"%dms"`, m.chance.IntN(10_000)), Extra: &task.Extras{}}
	k.Pool = []string{"p", "shared"}[m.chance.IntN(2)]
	x := k.Extra
	if m.chance.IntN(3) == 0 || filepath.Base(k.ScriptPath) == fleettest.Stubborn {
		k.Timeout = task.Duration(time.Duration(1+m.chance.IntN(5)) * time.Second)
	}
	if m.chance.IntN(3) == 0 {
		x.OnWorkerLost = task.Fail
	}
	x.MaxRetries, x.RetryBackoff = []int{0, 0, 1, 4}[m.chance.IntN(4)], task.Duration(time.Second)
	if m.chance.IntN(4) == 0 {
		x.ConcurrencyKey = "key"
	}
	if m.chance.IntN(6) == 0 {
		x.Durable = new(bool)
	}
	m.Engine.Submit(m.Context(), daemontest.Who(), k, nil, func(_ task.View, err error) {
		if err != nil {
			m.Error(err)
		}
	})
	m.all = append(m.all, k)
}

// goesOn reports whether some task has not ended.
func (m *mortal) goesOn() bool {
	return slices.ContainsFunc(m.all, func(k *task.Task) bool {
		view, err := m.Engine.View(m.Context(), daemontest.Who(), k.ID)
		return err == nil && !view.Status.Terminal()
	})
}

// settle lets everything end, and looks at what there was.
func (m *mortal) settle() {
	for minutes := 0; minutes < 60 && (minutes == 0 || m.goesOn()); minutes++ {
		m.Pass(time.Minute)
		for _, k := range m.all { // those that never end by themselves
			if name := filepath.Base(k.ScriptPath); name == fleettest.Blocks || name == fleettest.Stubborn || name == fleettest.StubbornOnce {
				_ = m.Cancel(k.ID)
			}
		}
	}
	var keyed []fleettest.Run
	for _, k := range m.all {
		runs := m.Launcher.Runs.Of(k.ID.String())
		if k.Extra.ConcurrencyKey != "" {
			keyed = append(keyed, runs...)
		}
		m.apart("the runs of one task", runs)
		view, err := m.Engine.View(m.Context(), daemontest.Who(), k.ID)
		if errors.Is(err, task.ErrNotFound) && k.Extra.Durable != nil {
			continue
		}
		if err != nil || !view.Status.Terminal() {
			m.Errorf("%s is %s: %v\n%s", k.ScriptPath, view.Status, err, m.Log)
			continue
		}
		m.look(k, runs, m.Result(k.ID))
	}
	m.apart("the runs of one key", keyed)
	if size := m.Engine.Status(m.Context()).Components["input_queue"].Metrics["size"]; size != 0 {
		m.Errorf("%v tasks are in the queue", size)
	}
	if n, _ := m.Engine.CancelAll(m.Context(), daemontest.Who(), api.Filter{}); n != 0 {
		m.Errorf("%d tasks had not ended", n)
	}
}

// apart: no run begins before the one before it has really stopped.
func (m *mortal) apart(what string, runs []fleettest.Run) {
	slices.SortFunc(runs, func(a, b fleettest.Run) int { return a.Began - b.Began })
	for i := 1; i < len(runs); i++ {
		if last := runs[i-1]; last.Ended == 0 || last.Ended > runs[i].Began {
			m.Errorf("%s are at the same time: %+v and %+v", what, last, runs[i])
		}
	}
}

// look compares what ran with what is told of a task.
func (m *mortal) look(k *task.Task, runs []fleettest.Run, r *task.Result) {
	name, x := filepath.Base(k.ScriptPath), k.Extra
	complain := func(why string) {
		m.Errorf("%s: %s, retries %d, %q, key %q, durable %v, timeout %s: ended as %s %+v after %d attempts:", why, name, x.MaxRetries, x.OnWorkerLost,
			x.ConcurrencyKey, x.Durable == nil, time.Duration(k.Timeout), r.Status, r.Error, r.Attempts)
		for _, run := range runs {
			m.Errorf("  attempt %d, from %d to %d, lost: %v", run.Attempt, run.Began, run.Ended, run.Lost)
		}
	}
	if r.Attempts != len(runs) && (!m.freezes || r.Attempts < len(runs)) {
		complain("attempts are not what ran")
	}
	inOrder := 0 // runs that were not lost
	for i, run := range runs {
		if run.Attempt != i+1 && (!m.freezes || i > 0 && run.Attempt <= runs[i-1].Attempt) {
			complain("an attempt has another number")
		}
		if !run.Lost {
			inOrder++
		}
	}
	stubborn := name == fleettest.Stubborn || name == fleettest.StubbornOnce || name == fleettest.Freezes // whose workers are ended by us
	for i, run := range runs {
		if run.Lost && i < len(runs)-1 && x.OnWorkerLost == task.Fail && !(stubborn && k.Timeout > 0) {
			complain("it must not run twice")
		}
	}
	if inOrder > x.MaxRetries+1 {
		complain("it was tried too often")
	}
	if name == fleettest.Crashes && len(runs) > 3+m.kills {
		complain("it killed too many workers")
	}
	if r.Error != nil && r.Error.Code == "worker_lost" && x.OnWorkerLost != task.Fail && len(runs) < 2 {
		complain("it is poison at its first attempt")
	}
}
