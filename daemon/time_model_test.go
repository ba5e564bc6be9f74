package daemon_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// A clock on the wall that is set either way at any time, also between two lives of the
// daemon: durations take their length all the same, and instants follow the clock.
func TestDurationsTakeTheirLengthAndInstantsFollowTheClock(t *testing.T) {
	rounds := uint64(40)
	if testing.Short() {
		rounds = 8
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := daemontest.One(1, 200)
			c.Results.TTL = 10000 * time.Hour
			daemontest.Keeping(t, c, func(f *daemontest.Farm) {
				m := &timeModel{Farm: f, chance: rand.New(rand.NewPCG(seed, 7)), began: time.Now()}
				for range 60 {
					m.step()
				}
				m.ordered()
			})
		})
	}
}

// timeModel is what must hold of tasks that have to do with time.
type timeModel struct {
	*daemontest.Farm
	chance *rand.Rand
	began  time.Time
	ahead  time.Duration
	// life is when the engine was started, and reboots how often the machine has been.
	life    time.Duration
	reboots int
	tasks   []*timedTask
}

// timedTask is a task and what is known of it. Times are since the model's beginning,
// which no clock that is set changes.
type timedTask struct {
	id   task.ID
	kind string
	// whole is its duration, which ends between the times from and to.
	whole, from, to time.Duration
	// at is its instant. The clock may have shown it to the engine, or must have.
	at        time.Time
	may, must bool

	submitted        time.Duration
	shown            time.Time // by the clock when it was submitted
	ahead            time.Duration
	reboots          int
	attempts         int
	over             bool
	retryFrom, retry time.Duration // when the attempt began, at the earliest and the latest
}

func (m *timeModel) now() time.Duration { return time.Since(m.began) }

// duration draws one that ends between two steps of the model.
func (m *timeModel) duration() time.Duration {
	return time.Duration(m.chance.IntN(60))*time.Second + time.Second/4
}

func (m *timeModel) step() {
	switch m.chance.IntN(12) {
	default:
		m.submit()
	case 0, 1, 2:
		m.ahead = []time.Duration{0, -time.Hour, time.Hour, 24 * time.Hour, -24 * time.Hour, 7 * time.Second, -7 * time.Second}[m.chance.IntN(7)]
		m.SetClock(m.ahead)
	case 3:
		again := m.RestartAfter
		if m.chance.IntN(2) == 0 && !m.anyRuns() { // of what runs it would be to blame, which is another matter
			again = m.CrashFor
		}
		m.restart(again, false)
	case 4:
		if m.chance.IntN(3) == 0 {
			m.restart(m.Reboot, true)
		}
	}
	m.seen(0)
	d := time.Duration(m.chance.IntN(12)) * time.Second
	m.Pass(d)
	m.seen(d)
	for _, k := range m.tasks {
		m.check(k, d)
	}
}

// seen notes which instants the engine has been shown, after so long.
func (m *timeModel) seen(passed time.Duration) {
	for _, k := range m.tasks {
		if k.at.IsZero() {
			continue
		}
		over := m.Now().Sub(k.at)
		k.may = k.may || over >= 0
		k.must = k.must || over >= time.Second && passed >= 2*time.Second
	}
}

func (m *timeModel) anyRuns() bool {
	return slices.ContainsFunc(m.tasks, func(k *timedTask) bool { return k.kind == "limited" && !k.over })
}

func (m *timeModel) restart(again func(time.Duration), reboot bool) {
	m.seen(0)
	again(time.Duration(m.chance.IntN(60)) * time.Second)
	m.life = m.now()
	if reboot {
		m.reboots++
	}
	for _, k := range m.tasks {
		switch {
		case k.over && k.kind != "kept":
		case k.kind == "limited":
			k.from, k.to = m.life+k.whole, m.life+k.whole // it begins anew
		case k.kind == "retried":
			if reboot { // what is left may be anything of it
				k.retryFrom, k.retry = 0, m.life
			}
		case k.reboots == m.reboots || !reboot && k.kind == "delayed": // the uptime tells how much is left
		case m.ahead != k.ahead: // the clock on the wall has to, and can't
			k.from, k.to = min(k.from, m.life), m.life+k.whole
			if k.kind == "delayed" { // which is noted
				k.ahead = m.ahead
			}
		}
	}
}

func (m *timeModel) submit() {
	k := &timedTask{submitted: m.now(), shown: m.Now(), ahead: m.ahead, whole: m.duration(), reboots: m.reboots}
	k.from, k.to = k.submitted+k.whole, k.submitted+k.whole
	k.kind = []string{"delayed", "kept", "limited", "retried", "scheduled", "expires"}[m.chance.IntN(6)]
	script, change := fleettest.Echo, func(*task.Task) {}
	switch k.kind {
	case "delayed":
		change = func(t *task.Task) { t.Extra.Delay = task.Duration(k.whole) }
	case "kept":
		change = func(t *task.Task) { t.Extra.ResultTTL = task.Duration(k.whole) }
	case "limited":
		script, change = fleettest.Sleeps, func(t *task.Task) { t.Timeout = task.Duration(k.whole) }
	case "retried":
		script = fleettest.Fails
		k.retryFrom, k.retry, k.attempts = k.submitted, k.submitted, 1
		change = func(t *task.Task) { t.Extra.MaxRetries, t.Extra.RetryBackoff = 3, task.Duration(k.whole) }
	case "scheduled":
		k.at = m.Now().Add([]time.Duration{time.Hour, 24 * time.Hour, m.duration()}[m.chance.IntN(3)] + time.Second/4)
		change = func(t *task.Task) { t.Extra.RunAt = k.at }
	case "expires":
		k.at = m.Now().Add([]time.Duration{time.Hour, m.duration()}[m.chance.IntN(2)] + time.Second/4)
		change = func(t *task.Task) { t.Extra.ExpiresAt, t.Extra.Delay = k.at, task.Duration(10000*time.Hour) }
	}
	k.id = m.Submit(script, change)
	m.tasks = append(m.tasks, k)
}

// check holds a task to what it promises, after a wait.
func (m *timeModel) check(k *timedTask, waited time.Duration) {
	m.Helper()
	now := m.now()
	if k.kind == "kept" {
		_, err := m.Engine.View(m.Context(), daemontest.Who(), k.id)
		switch gone := errors.Is(err, task.ErrEvicted) || errors.Is(err, task.ErrNotFound); {
		case gone:
			k.over = true
			m.want(k, now > k.from, "its result has gone")
		case err == nil:
			m.want(k, now <= max(k.to, m.life), "its result is there")
		default:
			m.Fatal(err)
		}
		return
	}
	v := m.View(k.id)
	if !v.SubmittedAt.Equal(k.shown) {
		m.Fatalf("%s was submitted at %s, and shows %s", k.kind, k.shown, v.SubmittedAt)
	}
	ended := v.Status.Terminal()
	switch k.kind {
	case "delayed", "limited":
		m.want(k, !ended || now > k.from, "it has ended")
		m.want(k, ended || now < max(k.to, m.life), "it has not ended")
	case "scheduled", "expires":
		m.want(k, !ended || k.may, "it has ended")
		m.want(k, ended || !k.must, "it has not ended")
	case "retried":
		m.attempts(k, v.Attempts, now, waited)
	}
	if ended && !k.over {
		k.over = true
		m.ended(k, m.Result(k.id))
	}
}

func (m *timeModel) want(k *timedTask, ok bool, what string) {
	m.Helper()
	if !ok {
		m.Fatalf("%s at %s, the clock %s ahead: %s: %+v\n%s", k.kind, m.now(), m.ahead, what, *k, m.Log)
	}
}

// attempts holds a task that always fails to its pauses.
func (m *timeModel) attempts(k *timedTask, attempts int, now, waited time.Duration) {
	m.Helper()
	pause := k.whole << (k.attempts - 1)
	if attempts == k.attempts {
		m.want(k, attempts == 4 || now <= max(k.retry+pause, m.life), "the next attempt is late")
		return
	}
	for ; k.attempts < attempts; k.attempts++ {
		pause = k.whole << (k.attempts - 1)
		m.want(k, now >= k.retryFrom+pause/2, "the next attempt is early")
		k.retryFrom, k.retry = max(k.retryFrom+pause/2, now-waited), now
	}
}

// ended looks at what the Result says of times.
func (m *timeModel) ended(k *timedTask, r *task.Result) {
	m.Helper()
	m.want(k, r.SubmittedAt.Equal(k.shown) && r.QueueSeconds >= 0 && r.RunSeconds >= 0, fmt.Sprintf("%+v", r))
	if r.StartedAt != nil {
		m.want(k, !r.StartedAt.After(r.FinishedAt), "it ended before it began")
	}
	if k.reboots == m.reboots {
		total := time.Duration((r.QueueSeconds + r.RunSeconds) * float64(time.Second))
		m.want(k, total <= m.now()-k.submitted+time.Millisecond, fmt.Sprintf("it took %s", total))
	}
	switch how := outcome(r); k.kind {
	case "expires":
		m.want(k, how == "expired", how)
	case "limited":
		m.want(k, how == "timed_out" && time.Duration(r.RunSeconds*1e9).Round(time.Millisecond) == k.whole, how)
	}
}

// ordered holds the list to the order of submission, in pages.
func (m *timeModel) ordered() {
	m.Helper()
	place := map[task.ID]int{}
	for i, k := range m.tasks {
		place[k.id] = i
	}
	last, seen, page := -1, 0, api.Page{Limit: 7}
	for {
		list, err := m.List(m.Context(), daemontest.Who(), api.Filter{}, page)
		if err != nil {
			m.Fatal(err)
		}
		for _, v := range list.Tasks {
			if place[v.ID] <= last {
				m.Fatalf("task %d is listed after task %d", place[v.ID], last)
			}
			last = place[v.ID]
			seen++
		}
		if page.After = list.Next; list.Next == "" {
			break
		}
	}
	for _, k := range m.tasks {
		if !(k.kind == "kept" && k.over) {
			seen--
		}
	}
	if seen != 0 {
		m.Fatalf("%d more are listed than are known", seen)
	}
}
