package daemon_test

import (
	"math"
	"testing"
	"time"

	"cpulb/daemon/daemontest"
	"cpulb/daemon/fleet/fleettest"
	"cpulb/daemon/task"
)

func TestNoResultEndsBeforeItBegan(t *testing.T) {
	for _, ahead := range []time.Duration{-24 * time.Hour, -2 * time.Second, 0, 2 * time.Second, 24 * time.Hour} {
		daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
			submitted := f.Now()
			id := f.Submit(fleettest.Sleeps, daemontest.Params(`"10s"`))
			waits := f.Submit(fleettest.Sleeps, daemontest.Params(`"5s"`))
			f.Pass(time.Second)
			if v := f.View(id); !v.StartedAt.Equal(submitted) {
				t.Errorf("it runs since %s, not since %s", v.StartedAt, submitted)
			}
			f.SetClock(ahead)
			for _, x := range []struct {
				id         task.ID
				queue, run float64
			}{{id, 0, 10}, {waits, 10, 5}} {
				r := f.Result(x.id)
				if !r.SubmittedAt.Equal(submitted) || !r.FinishedAt.Equal(f.Now()) {
					t.Errorf("with the clock %s ahead: from %s to %s, which it did not show then", ahead, r.SubmittedAt, r.FinishedAt)
				}
				began := r.FinishedAt.Add(-time.Duration(x.run) * time.Second)
				if r.FinishedAt.After(submitted) && began.Before(submitted) {
					began = submitted
				}
				if !r.StartedAt.Equal(began) || r.QueueSeconds != x.queue || r.RunSeconds != x.run {
					t.Errorf("with the clock %s ahead: waited for %g s, ran for %g s from %s to %s", ahead,
						r.QueueSeconds, r.RunSeconds, r.StartedAt, r.FinishedAt)
				}
				if v := f.View(x.id); !v.StartedAt.Equal(*r.StartedAt) || !v.FinishedAt.Equal(r.FinishedAt) {
					t.Errorf("its view has %s and %s", v.StartedAt, v.FinishedAt)
				}
			}
		})
	}
}

func TestAClockThatWasSetIsNoticedWithinASecond(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		at := f.Now().Add(time.Hour)
		runs := f.Submit(fleettest.Echo, func(k *task.Task) { k.Extra.RunAt = at })
		expires := f.Submit(fleettest.Echo, func(k *task.Task) { k.Extra.RunAt, k.Extra.ExpiresAt = at.Add(time.Hour), at.Add(time.Second) })
		f.Pass(30 * time.Second)
		f.SetClock(-time.Hour)
		f.Pass(time.Hour)
		f.Are(task.Pending, runs, expires)
		f.SetClock(0)
		f.Pass(time.Second)
		f.Are(task.Completed, runs)
		f.Pass(time.Second)
		f.Are(task.Failed, expires)
		f.Ends("expired", 0, expires)
	})
}

// A duration that is added to another stays one.
func TestTheLongestDurationsAreLong(t *testing.T) {
	const longest = time.Duration(math.MaxInt64)
	c := daemontest.One(2, 2)
	c.Results.TTL = longest
	c.Limits.CancelGrace, c.Limits.FenceTimeout, c.Limits.StartTimeout, c.Limits.GILStall = longest, longest, longest, longest
	c.Pools[0].IdleTimeout, c.Pools[0].MaxAge = longest, longest
	daemontest.On(t, c, func(f *daemontest.Farm) {
		limited := f.Submit(fleettest.Sleeps, daemontest.Params(`"1h"`), daemontest.Within(time.Duration(task.MaxDuration)))
		once := f.Submit(fleettest.Sleeps, daemontest.Params(`"1h"`), daemontest.Within(2*time.Hour), daemontest.OnceOnly)
		kept := f.Submit(fleettest.Echo, func(k *task.Task) { k.Extra.ResultTTL = task.MaxDuration })
		delayed := f.Submit(fleettest.Echo, func(k *task.Task) { k.Extra.Delay = task.MaxDuration })
		retried := f.Submit(fleettest.FailsOnce, func(k *task.Task) { k.Extra.MaxRetries, k.Extra.RetryBackoff = 1, task.MaxDuration })
		f.Pass(time.Minute)
		f.Are(task.Running, limited, once)
		f.Are(task.Pending, delayed, retried)
		f.Ends("completed", 1, limited, once, kept)
		f.Pass(2 * time.Hour)
		f.Are(task.Completed, limited, once, kept)
		f.Blameless()
	})
}

func TestAnAttemptThatWasDoneTooLateHasTimedOut(t *testing.T) {
	daemontest.On(t, daemontest.One(1, 1), func(f *daemontest.Farm) {
		for timeout, how := range map[time.Duration]string{time.Nanosecond: "timed_out", time.Second: "completed", 0: "completed"} {
			k := newTask(f, fleettest.Echo) // which takes a microsecond
			k.Timeout = task.Duration(timeout)
			if _, err, _ := answer(f, daemontest.Who(), k, nil); err != nil {
				t.Fatal(err)
			}
			f.Ends(how, 1, k.ID)
		}
		k := newTask(f, fleettest.Echo)
		k.Timeout, k.Extra.MaxRetries = task.Duration(time.Nanosecond), 2
		if _, err, _ := answer(f, daemontest.Who(), k, nil); err != nil {
			t.Fatal(err)
		}
		f.Ends("timed_out", 3, k.ID)
	})
}
