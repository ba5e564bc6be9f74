package daemon_test

import (
	"errors"
	"math"
	"strconv"
	"testing"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func TestListsHaveWhatTheirFilterSelects(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		for range 3 {
			if _, err, _ := answer(f, daemontest.Who(), newTask(f, fleettest.Sleeps), nil); err != nil {
				t.Fatal(err)
			}
		}
		other := newTask(f, fleettest.Echo)
		if _, err, _ := answer(f, stranger, other, nil); err != nil {
			t.Fatal(err)
		}
		all, err := f.List(f.Context(), daemontest.Who(), api.Filter{}, api.Page{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		first := all.Tasks[0]
		count := func(who access.Identity, filter api.Filter) int {
			l, err := f.List(f.Context(), who, filter, api.Page{})
			if err != nil {
				t.Fatal(err)
			}
			return len(l.Tasks)
		}
		for _, c := range []struct {
			why    string
			who    access.Identity
			filter api.Filter
			want   int
		}{
			{"all, for who may see all", daemontest.Who(), api.Filter{}, 4},
			{"one's own", stranger, api.Filter{}, 1},
			{"by status", daemontest.Who(), api.Filter{Statuses: []task.Status{task.Running}}, 1},
			{"by label", daemontest.Who(), api.Filter{Labels: map[string]string{"kind": fleettest.Sleeps}}, 3},
			{"by no such label", daemontest.Who(), api.Filter{Labels: map[string]string{"kind": "x"}}, 0},
			{"by batch", daemontest.Who(), api.Filter{Batch: task.NewID()}, 0},
			{"since before", daemontest.Who(), api.Filter{Since: first.SubmittedAt}, 4},
			{"since later", daemontest.Who(), api.Filter{Since: first.SubmittedAt.Add(1)}, 3},
			{"since before all times", daemontest.Who(), api.Filter{Since: time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC)}, 4},
			{"since after all times", daemontest.Who(), api.Filter{Since: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)}, 0},
		} {
			if n := count(c.who, c.filter); n != c.want {
				t.Errorf("%s: %d tasks, not %d", c.why, n, c.want)
			}
		}
		page, err := f.List(f.Context(), daemontest.Who(), api.Filter{}, api.Page{Limit: 3})
		rest, err2 := f.List(f.Context(), daemontest.Who(), api.Filter{}, api.Page{Limit: 3, After: page.Next})
		if err != nil || err2 != nil || len(page.Tasks) != 3 || len(rest.Tasks) != 1 || rest.Tasks[0].ID != other.ID || rest.Next != "" {
			t.Errorf("two pages: %+v %+v: %v %v", page, rest, err, err2)
		}
		newest, err := f.List(f.Context(), daemontest.Who(), api.Filter{}, api.Page{Limit: 1, Newest: true})
		others, err2 := f.List(f.Context(), daemontest.Who(), api.Filter{}, api.Page{Newest: true, After: newest.Next})
		if err != nil || err2 != nil || len(newest.Tasks) != 1 || newest.Tasks[0].ID != other.ID || len(others.Tasks) != 3 ||
			others.Tasks[0].ID != page.Tasks[2].ID || others.Tasks[2].ID != page.Tasks[0].ID || others.Next != "" {
			t.Errorf("the newest first: %+v %+v: %v %v", newest, others, err, err2)
		}
		for i, want := range []int{4, 3, 2, 1, 0} {
			since := api.Filter{Since: first.SubmittedAt.Add(time.Duration(i))} // each has a time of its own
			l, err := f.List(f.Context(), daemontest.Who(), since, api.Page{Newest: true})
			if err != nil || len(l.Tasks) != want || l.Next != "" {
				t.Errorf("the newest since number %d: %d tasks, %v", i+1, len(l.Tasks), err)
			}
		}
		if l, err := f.List(f.Context(), daemontest.Who(), api.Filter{}, api.Page{After: strconv.FormatInt(math.MaxInt64, 10)}); err != nil || len(l.Tasks) != 0 {
			t.Errorf("after the last: %d tasks, %v", len(l.Tasks), err)
		}
		if _, err := f.List(f.Context(), daemontest.Who(), api.Filter{}, api.Page{After: "banana"}); !errors.Is(err, api.ErrBadCursor) {
			t.Errorf("after a banana: %v", err)
		}
		if n, err := f.Engine.CancelAll(f.Context(), stranger, api.Filter{}); err != nil || n != 1 {
			t.Errorf("a stranger has cancelled %d tasks: %v", n, err)
		}
		if n, err := f.Engine.CancelAll(f.Context(), daemontest.Who(), api.Filter{}); err != nil || n != 3 {
			t.Errorf("%d tasks were cancelled: %v", n, err)
		}
		f.Pass(time.Second)
		if n := count(daemontest.Who(), api.Filter{Statuses: []task.Status{task.Cancelled}}); n != 4 {
			t.Errorf("%d tasks are cancelled", n)
		}
	})
}
