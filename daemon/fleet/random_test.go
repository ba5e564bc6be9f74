package fleet_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
	"cpulb/plugins/supervisor"
)

// life is a farm to which anything happens, by chance.
type life struct {
	task.Heard
	*daemontest.Farm
	chance *rand.Rand
	tasks  map[task.ID]string
	keyed  map[task.ID]bool // those with the concurrency key
	order  []task.ID
	// ended counts ends; mu is for it.
	mu    sync.Mutex
	ended map[task.ID]int
	// reloads is held during one.
	reloads sync.Mutex
}

// PassOn implements task.Watcher: it counts ends.
func (l *life) PassOn() { l.Each(l.count) }

func (l *life) count(ev *task.Event) {
	if ev.Kind == task.EventResult {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ended[ev.ID]++
	}
}

// Verbose implements task.Watcher.
func (l *life) Verbose() bool     { return false }
func (*life) Outlet() task.Outlet { return nil }

// Random calls, deaths, freezes, restarts and reloads: every accepted task ends once and
// in a way that it can, no worker is left that nobody wants, and no slot is lost.
func TestWhateverHappensEveryTaskEndsOnceAndEverySeatIsFilled(t *testing.T) {
	rounds := uint64(100)
	if testing.Short() {
		rounds = 5
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			daemontest.On(t, anyConfig(rand.New(rand.NewPCG(seed, 0))), func(f *daemontest.Farm) {
				l := &life{Farm: f, chance: rand.New(rand.NewPCG(seed, 1)), tasks: map[task.ID]string{}, keyed: map[task.ID]bool{}, ended: map[task.ID]int{}}
				for range 60 {
					l.step()
				}
				l.settle()
			})
		})
	}
}

// anyConfig draws a configuration.
func anyConfig(chance *rand.Rand) *config.Config {
	c := daemontest.One(1+chance.IntN(3), 1+chance.IntN(4))
	p := &c.Pools[0]
	p.AsyncConcurrency, p.Spare, p.Relief = 2*chance.IntN(2), chance.IntN(2), chance.IntN(3)
	if chance.IntN(3) == 0 {
		p.Workers, p.MaxWorkers = 0, 1+chance.IntN(3)
	}
	p.MaxTasks, p.MaxAge = 5*chance.IntN(2), time.Hour*time.Duration(chance.IntN(2))
	p.Nice = chance.IntN(2)
	c.Limits.FenceTimeout, c.Results.TTL = 10*time.Second, 1000*time.Hour
	return c
}

func (l *life) step() {
	switch l.chance.IntN(14) {
	default:
		l.submitAny()
	case 0:
		if len(l.order) > 0 {
			_ = l.Cancel(l.order[l.chance.IntN(len(l.order))]) // an error: it was evicted
		}
	case 1:
		l.process().Die("signal: killed")
	case 2:
		l.process().Freeze()
	case 3:
		l.process().Thaw()
	case 4:
		l.process().Pause()
	case 5:
		l.process().GoOn()
	case 6:
		workers := l.Engine.Workers(l.Context())
		if w := workers[l.chance.IntN(len(workers))]; !strings.Contains(w.ID, "-alone-") {
			go func() { _ = l.Engine.RestartWorker(l.Context(), daemontest.Who(), w.ID) }() // or why not
		}
	case 7:
		if l.reloads.TryLock() { // a second one would wait for a lock, which stops the virtual time
			reload := l.Offer(anyConfig(l.chance))
			go func() {
				defer l.reloads.Unlock()
				_ = reload() // or why not
			}()
		}
	case 8:
		l.Launcher.Takes(time.Duration(l.chance.IntN(3)) * time.Second)
		if l.Launcher.Refuse(nil); l.chance.IntN(3) == 0 {
			l.Launcher.Refuse(func(supervisor.Spec) error { return errors.New("no memory") })
		}
	case 9:
		_ = l.Engine.Drain(daemontest.Who())
	case 10:
		_ = l.Engine.Resume(daemontest.Who())
	}
	l.Pass(time.Duration(l.chance.IntN(3000)) * time.Millisecond)
}

// process draws one that lives, or the last that did.
func (l *life) process() *fleettest.Process {
	living := l.Launcher.Living()
	if len(living) == 0 {
		living = l.Launcher.All()
	}
	return living[l.chance.IntN(len(living))]
}

func (l *life) submitAny() {
	scripts := append(fleettest.Scripts(), fleettest.Echo, fleettest.Sleeps, fleettest.Sleeps)
	script := scripts[l.chance.IntN(len(scripts))]
	k := &task.Task{ID: task.NewID(), ScriptPath: l.Dir + "/" + script, Function: "main", Type: task.IOBound, Priority: l.chance.IntN(10),
		Params: fmt.Appendf(nil, "%dms", l.chance.IntN(20_000)), Extra: &task.Extras{}}
	if l.chance.IntN(3) == 0 {
		k.Timeout = task.Duration(time.Duration(1+l.chance.IntN(10)) * time.Second)
	}
	switch x := k.Extra; l.chance.IntN(5) {
	case 0:
		x.OnWorkerLost = task.Fail
	case 1:
		x.MaxRetries, x.RetryBackoff = 2, task.Duration(time.Second)
	case 2:
		x.ConcurrencyKey = "key"
	case 3:
		x.Delay = task.Duration(5 * time.Second)
	}
	who := daemontest.Who()
	who.UID = uint32(l.chance.IntN(4)) // root, and others
	l.Engine.Submit(l.Context(), who, k, l, func(_ task.View, err error) {
		if err == nil {
			l.tasks[k.ID], l.keyed[k.ID] = script, k.Extra.ConcurrencyKey != ""
			l.order = append(l.order, k.ID)
		} else if !errors.Is(err, api.ErrDraining) {
			l.Error(err)
		}
	})
}

// calm lets time pass in which nothing stands still.
func (l *life) calm() {
	for _, p := range l.Launcher.Living() {
		p.Thaw()
		p.GoOn()
	}
	l.Pass(time.Minute)
}

// waits sees to it that who has not ended runs, or waits for something that it can't have.
func (l *life) waits() {
	runs := map[task.ID]bool{}
	held := false // the key, by a task that runs
	for id := range l.tasks {
		runs[id] = l.View(id).Status == task.Running
		held = held || runs[id] && l.keyed[id]
	}
	free, freeAlone, alone := 0, 0, 0
	for _, w := range l.Workers("") {
		switch n := w.Slots - w.SlotsBusy; {
		case strings.Contains(w.ID, "-alone-"):
			alone++
			freeAlone += n
		case w.State == "ready" && !strings.Contains(w.ID, "-spare-") && !strings.Contains(w.ID, "-relief-"):
			free += n
		}
	}
	loops := len(l.Launcher.Living()) * l.Engine.Config().Pools[0].AsyncConcurrency
	for id, script := range l.tasks {
		v := l.View(id)
		switch {
		case v.Status.Terminal(), runs[id], l.keyed[id] && held:
		case free == 0, script == fleettest.NeedsAThread && free <= loops:
		case alone > 0 && freeAlone == 0: // it may be a suspect
		default:
			l.Errorf("%s is %s for ever, %d slots are free\n%s", script, v.Status, free, l.Log)
		}
	}
}

// settle lets everything come to rest, and looks at it.
func (l *life) settle() {
	l.Launcher.Refuse(nil)
	l.Launcher.Takes(0)
	_ = l.Engine.Resume(daemontest.Who())
	for range 120 {
		l.calm()
	}
	l.waits()
	for range 60 {
		_, _ = l.Engine.CancelAll(l.Context(), daemontest.Who(), api.Filter{Labels: nil, Statuses: []task.Status{task.Running, task.Queued, task.Pending}})
		l.calm()
	}
	synctest.Wait()
	for id, script := range l.tasks {
		if v := l.View(id); !v.Status.Terminal() || l.ended[id] != 1 {
			l.Errorf("%s is %s and has ended %d times", script, v.Status, l.ended[id])
		}
	}
	for _, w := range l.Workers("") {
		if w.State != "ready" || w.SlotsBusy != 0 || strings.Contains(w.ID, "-alone-") || strings.Contains(w.ID, "-relief-") {
			l.Errorf("in the end: %+v", w)
		}
	}
	if n := len(l.Launcher.Living()); n != len(l.Workers("")) {
		l.Errorf("%d processes live for %d workers: %s", n, len(l.Workers("")), l.Launcher)
	}
	if size := l.Engine.Status(l.Context()).Components["input_queue"].Metrics["size"]; size != 0 {
		l.Errorf("%v tasks are in the queue", size)
	}
	l.Ends("completed", 1, l.Submit(fleettest.Echo)) // every seat works
}
