package client

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/daemon/api"
)

// crowded is a daemon that has so many places.
type crowded struct {
	mu              sync.Mutex
	places, refused int
}

func (d *crowded) take() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.places == 0 {
		d.refused++
		return &api.Problem{Code: "queue_full", RetryAfter: time.Second}
	}
	d.places--
	return nil
}

// since returns how many were refused since it was called last.
func (d *crowded) since() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.refused
	d.refused = 0
	return n
}

func (d *crowded) give() {
	d.mu.Lock()
	d.places++
	d.mu.Unlock()
}

func TestHoweverManyWaitTheDaemonRefusesAboutOneASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, r := &crowded{}, newRoom(0, new(waits))
		var through atomic.Int64
		for range 64 {
			go func() {
				_ = r.through(t.Context(), func(func()) error { return d.take() })
				through.Add(1)
			}()
		}
		synctest.Wait()
		d.since()
		time.Sleep(time.Minute)
		if n := d.since(); n < 10 || n > 65 {
			t.Errorf("%d were refused in a minute", n)
		}
		for range 64 {
			d.give()
		}
		time.Sleep(2 * maxFull)
		if through.Load() != 64 {
			t.Errorf("%d of 64 came through when there was room", through.Load())
		}
	})
}

// A small queue is kept full by the tasks of the Client itself, at its own pace.
func TestWhereATaskHasEndedAnotherComesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, r := &crowded{places: 10}, newRoom(0, new(waits))
		var all sync.WaitGroup
		began := time.Now()
		for range 1000 {
			all.Go(func() {
				err := r.through(t.Context(), func(accepted func()) error {
					if err := d.take(); err != nil {
						return err
					}
					if accepted != nil {
						accepted()
					}
					time.Sleep(10 * time.Millisecond)
					d.give()
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("1000 tasks took %s, %d tries were refused", took, d.since())
		}
	})
}

func TestADaemonThatIsAboutToGoIsWaitedForAsLongAsOneIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := newRoom(time.Minute, new(waits)).through(t.Context(), func(func()) error { return &api.Problem{Code: "draining"} })
		if took := time.Since(began); !errors.Is(err, api.ErrDraining) || took < time.Minute || took > time.Minute+2*maxFull {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// However many are refused, and one after the other gets in, that is one wait.
func TestAWaitHasOneBeginningAndOneReasonHoweverManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(waits)
		d, r := &crowded{}, newRoom(0, w)
		var all sync.WaitGroup
		began := time.Now()
		expect := func(when string, waits bool) {
			t.Helper()
			synctest.Wait()
			var p *api.Problem
			if since, why := w.now(); waits && (!errors.As(why, &p) || p.Code != "queue_full" || !since.Equal(began)) || !waits && why != nil {
				t.Errorf("%s: %v since %s", when, why, since)
			}
		}
		expect("before", false)
		for range 3 {
			all.Go(func() {
				_ = r.through(t.Context(), func(accepted func()) error {
					err := d.take()
					if err == nil && accepted != nil {
						accepted()
						time.Sleep(time.Hour) // it runs
					}
					return err
				})
			})
		}
		expect("refused", true)
		time.Sleep(time.Minute)
		d.give()
		time.Sleep(2 * maxFull)
		expect("one got in", true)
		d.give()
		d.give()
		time.Sleep(2 * maxFull)
		expect("all run", false)
		all.Wait()
	})
}
