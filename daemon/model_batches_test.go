package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

// crowd is a farm whose clients send batches again, in parts and at once, look for tasks
// that are on their way in, cancel them, and go.
type crowd struct {
	*daemontest.Farm
	chance *rand.Rand
	all    []*sentTask
	// batches are those that were answered, by id.
	batches map[task.ID]map[task.ID]bool
	// open are calls that were not answered yet.
	open    []*parcel
	release func() // of the commits; nil: they are not held
}

// sentTask is what the clients know of a task.
type sentTask struct {
	task *task.Task
	// accepted: somebody was told so. unseen: it was cancelled when nobody could have
	// been told, so that it must not have run.
	accepted, unseen bool
	result           *task.Result
}

// parcel is a batch that was sent.
type parcel struct {
	tasks    []*sentTask
	leave    context.CancelFunc
	left     bool // nobody reads the answer
	answered *sentBatch
}

// Batches that are sent again whole, in part, twice at once and after a start; tasks that
// are looked for and cancelled on their way in; clients that go: a batch has all its
// tasks and no others, what is cancelled early never runs, and nothing is left that waits.
func TestABatchHasItsTasksWhateverIsSentAgain(t *testing.T) {
	rounds := uint64(60)
	if testing.Short() {
		rounds = 4
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := daemontest.One(1, 2)
			c.Queue.MaxTasks, c.Queue.Policy, c.Results.TTL = 8, []string{"block", "reject"}[seed%2], 1000*time.Hour
			daemontest.Keeping(t, c, func(f *daemontest.Farm) {
				m := &crowd{Farm: f, chance: rand.New(rand.NewPCG(seed, 3)), batches: map[task.ID]map[task.ID]bool{}}
				for range 60 {
					m.step()
				}
				m.settle()
			})
		})
	}
}

func (m *crowd) step() {
	switch m.chance.IntN(12) {
	case 0, 1, 2, 3:
		m.send()
	case 4, 5:
		m.cancel()
	case 6:
		m.look()
	case 7:
		if len(m.open) > 0 {
			p := m.open[m.chance.IntN(len(m.open))]
			p.leave()
			p.left = true
		}
	case 8:
		if m.release == nil {
			m.release = m.Engine.HoldCommits()
		}
	case 9:
		m.letCommit()
	case 10:
		m.Pass(time.Duration(m.chance.IntN(int(time.Minute))))
	case 11:
		if m.chance.IntN(3) == 0 {
			m.letCommit()
			m.collect()
			m.open = nil // who was not answered is told so, or his connection ends
			[]func(){m.Restart, m.Crash}[m.chance.IntN(2)]()
		}
	}
	synctest.Wait()
	m.collect()
	m.check()
}

// send sends a few tasks as a batch: new ones, and some that were sent before.
func (m *crowd) send() {
	p := &parcel{answered: &sentBatch{}}
	if n := len(m.all); n > 0 && m.chance.IntN(3) > 0 {
		from := m.chance.IntN(n)
		p.tasks = append(p.tasks, m.all[from:min(n, from+1+m.chance.IntN(4))]...)
	}
	for range m.chance.IntN(4) {
		k := newTask(m.Farm, []string{fleettest.Echo, fleettest.Sleeps}[m.chance.IntN(2)])
		if m.chance.IntN(3) == 0 {
			k.Extra.IdempotencyKey = k.ID.String()
		}
		m.all = append(m.all, &sentTask{task: k})
		p.tasks = append(p.tasks, m.all[len(m.all)-1])
	}
	if len(p.tasks) == 0 {
		return
	}
	client, leave := context.WithCancel(m.Context())
	p.leave = leave
	var copies []*task.Task
	for _, s := range p.tasks {
		again := *s.task
		if again.Extra.IdempotencyKey != "" && s.accepted { // the key alone says which it is
			again.ID = task.NewID()
		}
		copies = append(copies, &again)
	}
	b := p.answered
	m.Engine.SubmitBatch(client, daemontest.Who(), task.NewID(), copies, func(id task.ID, ids []task.ID, errs []error) { b.id, b.ids, b.errs = id, ids, errs })
	m.open = append(m.open, p)
}

// collect notes what was answered.
func (m *crowd) collect() {
	m.open = slices.DeleteFunc(m.open, func(p *parcel) bool {
		if p.answered.ids == nil || p.left {
			return p.answered.ids != nil
		}
		members := map[task.ID]bool{}
		for i, err := range p.answered.errs {
			if err == nil {
				members[p.answered.ids[i]] = true
				p.tasks[i].accepted = true
				if p.answered.ids[i] != p.tasks[i].task.ID {
					m.Errorf("a task is known as %s, not %s", p.answered.ids[i], p.tasks[i].task.ID)
				}
			}
		}
		if before := m.batches[p.answered.id]; before != nil && len(before) != len(members) {
			m.Errorf("batch %s had %d tasks and has %d", p.answered.id, len(before), len(members))
		}
		if len(members) > 0 {
			m.batches[p.answered.id] = members
		}
		return true
	})
}

func (m *crowd) letCommit() {
	if m.release != nil {
		m.release()
		m.release = nil
		synctest.Wait()
	}
}

// arriving reports whether s waits for its commit or for room, or is unknown.
func (m *crowd) arriving(s *sentTask) bool {
	short, cancel := context.WithTimeout(m.Context(), time.Nanosecond)
	defer cancel()
	_, err := m.Engine.View(short, daemontest.Who(), s.task.ID)
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, task.ErrNotFound)
}

func (m *crowd) cancel() {
	if len(m.all) == 0 {
		return
	}
	s := m.all[m.chance.IntN(len(m.all))]
	arrives := m.arriving(s)
	told := cancelled(m.Farm, s.task.ID)
	if told.answers > 0 && errors.Is(told.err, task.ErrNotFound) {
		if s.accepted {
			m.Errorf("a task that was accepted is not found: %v", told.err)
		}
		return
	}
	s.unseen = s.unseen || arrives
}

func (m *crowd) look() {
	for _, s := range m.all {
		for name, look := range looks(m.Farm, s.task.ID) {
			if name == "rerun" && m.release != nil {
				continue // it is a submission, too, which is not answered
			}
			short, cancel := context.WithTimeout(m.Context(), time.Nanosecond)
			if _, err := look(short); errors.Is(err, task.ErrNotFound) && s.accepted {
				m.Errorf("a task that was accepted is not found: %v", err)
			}
			cancel()
		}
		return // the first is enough: its reruns are tasks, too
	}
}

func (m *crowd) check() {
	if m.release != nil {
		return
	}
	for id, members := range m.batches {
		v, err := m.Engine.Batch(daemontest.Who(), id)
		if err != nil || v.Total != len(members) {
			m.Errorf("batch %s: %+v %v, and it has %d tasks", id, v, err, len(members))
		}
		l, err := m.List(m.Context(), daemontest.Who(), api.Filter{Batch: id}, api.Page{Limit: 1000})
		if err != nil || len(l.Tasks) != len(members) {
			m.Errorf("batch %s lists %d tasks, and has %d: %v", id, len(l.Tasks), len(members), err)
		}
	}
}

// settle lets all go to its end.
func (m *crowd) settle() {
	m.letCommit()
	for range 60 {
		m.Pass(10 * time.Minute)
		if m.collect(); m.idle() {
			break
		}
	}
	if n := blockedTasks(m.Farm); n != 0 || len(m.open) > 0 {
		m.Errorf("%d tasks wait for room, %d calls for their answers", n, len(m.open))
	}
	for range 2 {
		for _, s := range m.all {
			m.ended(s)
		}
		for id, members := range m.batches {
			b := &sentBatch{id: id}
			if got := b.results(m.Farm); len(got) != len(members) || slices.ContainsFunc(got, func(id task.ID) bool { return !members[id] }) {
				m.Errorf("batch %s gives %d results of %d", id, len(got), len(members))
			}
		}
		m.Restart()
	}
}

// idle reports whether nothing waits or runs.
func (m *crowd) idle() bool {
	return len(m.open) == 0 && !slices.ContainsFunc(m.all, func(s *sentTask) bool {
		v, err := m.Engine.View(m.Context(), daemontest.Who(), s.task.ID)
		return err == nil && !v.Status.Terminal()
	})
}

func (m *crowd) ended(s *sentTask) {
	v, err := m.Engine.View(m.Context(), daemontest.Who(), s.task.ID)
	if err != nil {
		if s.accepted {
			m.Errorf("a task that was accepted is gone: %v", err)
		}
		return
	}
	if !v.Status.Terminal() {
		m.Errorf("a task is %s for ever", v.Status)
		return
	}
	r := m.Result(s.task.ID)
	if s.unseen && (r.Status != task.Cancelled || r.Attempts > 0) {
		m.Errorf("a task that was cancelled on its way in is %s at attempt %d", r.Status, r.Attempts)
	}
	if s.result != nil && (s.result.Status != r.Status || !s.result.FinishedAt.Equal(r.FinishedAt)) {
		m.Errorf("a task ended as %+v and then as %+v", s.result, r)
	}
	s.result = r
}
