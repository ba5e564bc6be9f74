package schedule_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"cpulb/daemon/schedule"

	"pgregory.net/rapid"
)

// world is one schedule "s" through reloads, restarts and a clock that is set.
type world struct {
	*rapid.T
	options schedule.Options
	s       *schedule.Schedule
	p       *schedule.Plan
	now     time.Time
	// since is up to when it has been looked at by this clock; ran are the times that
	// have been run or skipped.
	since time.Time
	ran   map[int64]bool
	// begun is when the schedule began by this clock.
	begun time.Time
	// jumps that made a new span; the plan remembers so many.
	jumps int
}

func (w *world) configure() {
	s, err := schedule.New(w.options)
	if err != nil {
		w.Fatal(err)
	}
	known := map[string]schedule.State{}
	if w.p != nil {
		known = w.p.States()
	}
	w.s, w.p = s, schedule.NewPlan([]*schedule.Schedule{s}, known, w.now)
	if w.now.Before(w.since) {
		w.since = w.now
	}
}

// times are those in (from, to] that have not been run.
func (w *world) times(from, to time.Time) []time.Time {
	var all []time.Time
	for at, ok := w.s.Next(from); ok && !at.After(to); at, ok = w.s.Next(at) {
		if !w.ran[at.Unix()] {
			all = append(all, at)
		}
	}
	return all
}

// expected is what the policy says must be run now, of what is due.
func (w *world) expected() []time.Time {
	all := slices.DeleteFunc(w.times(w.since, w.now), func(at time.Time) bool {
		return !at.After(w.begun) && w.now.Sub(at) >= schedule.Grace
	})
	if len(all) > 0 && w.now.Before(w.begun) {
		w.begun = w.now
	}
	switch {
	case len(all) == 0:
		return nil
	case w.options.CatchUp == schedule.All:
		return all[max(0, len(all)-schedule.MaxMissed):]
	case w.options.CatchUp == schedule.None && w.now.Sub(all[len(all)-1]) > schedule.Grace:
		return nil
	}
	return all[len(all)-1:]
}

func (w *world) look() {
	want := w.expected()
	var got []time.Time
	if len(w.p.Ripe(w.now, runs(false))) > 0 {
		for _, f := range w.p.Look(w.s, w.now, false) {
			got = append(got, f.At)
		}
	}
	if !slices.EqualFunc(got, want, time.Time.Equal) {
		w.Fatalf("%+v: from %s to %s: ran %v, want %v", w.options, w.since, w.now, got, want)
	}
	for _, at := range got {
		w.ran[at.Unix()] = true
	}
	w.since = w.now
	if at, ok := w.p.Next(); ok && (!at.After(w.now) || w.ran[at.Unix()]) {
		w.Fatalf("next is %s at %s", at, w.now)
	}
}

func drawOptions(t *rapid.T) schedule.Options {
	return schedule.Options{
		Name:     "s",
		Cron:     rapid.SampledFrom([]string{"*/20 * * * *", "30 2 * * *", "*/15 1-3 * * *", "0 */2 * * *", "@hourly", "0 0 * * *", "59 23 * * 6"}).Draw(t, "cron"),
		TimeZone: rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"}).Draw(t, "zone"),
		Overlap:  schedule.Queue,
		CatchUp:  rapid.SampledFrom([]schedule.CatchUp{schedule.None, schedule.Last, schedule.All}).Draw(t, "catch up"),
	}
}

// A moment near a change of the clock somewhere, or anywhere.
func drawMoment(t *rapid.T) time.Time {
	near := rapid.SampledFrom([]int64{1774746000, 1792890000, 1772953200, 1793512800, 1775314800, 1791043200, 1.78e9}).Draw(t, "near")
	return time.Unix(near, 0).Add(time.Duration(rapid.Int64Range(-2880, 1440).Draw(t, "minutes")) * time.Minute)
}

// Whatever is done to the clock and the configuration, at any zone's change of its
// clock: each time is run once, as the policy says, and never before it.
func TestEachTimeIsRunOnceWhateverTheClockDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{T: t, options: drawOptions(t), now: drawMoment(t), ran: map[int64]bool{}}
		w.since, w.begun = w.now, w.now
		w.configure()
		step := func(name string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, name))
		}
		ahead := func() {
			if w.jumps < 6 {
				w.jumps++
				w.now = w.now.Add(step("ahead", 72*time.Hour))
			}
		}
		back := func() {
			if w.jumps < 6 {
				w.jumps++
				w.now = w.now.Add(-step("back", 72*time.Hour))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { w.look() },
			"a minute": func(*rapid.T) {
				w.now = w.now.Add(step("a minute", time.Minute))
			},
			"hours, looked at each": func(*rapid.T) {
				for range 10 {
					at, ok := w.p.Next()
					if w.now = w.now.Add(15 * time.Minute); ok && at.Before(w.now) {
						w.now = at
					}
					w.look()
				}
			},
			"ahead, or down": func(*rapid.T) { ahead() },
			"back": func(*rapid.T) {
				if back(); w.now.Before(w.since) {
					w.p.SetBack(w.now)
					w.since = w.now
				}
			},
			"reload": func(*rapid.T) { w.configure() },
			"down, with the clock set": func(*rapid.T) {
				if rapid.Bool().Draw(t, "to the past") {
					back()
				} else {
					ahead()
				}
				w.configure()
			},
			"changed": func(*rapid.T) {
				before := w.s.Spec()
				w.options = drawOptions(t)
				w.configure()
				if w.s.Spec() != before {
					w.changed()
				}
			},
			"taken away and added again": func(*rapid.T) {
				w.p = nil
				w.since, w.begun, w.ran, w.jumps = w.now, w.now, map[int64]bool{}, 0
				w.configure()
			},
		})
	})
}

// changed begins anew: what the old expression had looked at does not come again, be
// it a time of the new one.
func (w *world) changed() {
	w.since, w.begun = w.now, w.now
	for _, d := range w.p.States()["s"].Done {
		for at, ok := w.s.Next(d.From); ok && !at.After(d.To); at, ok = w.s.Next(at) {
			w.ran[at.Unix()] = true
		}
	}
}

// With overlap = "skip", what was missed is run in the end, one at a time, in order,
// and nothing twice; only a present time that meets a task passes.
func TestAllThatWasMissedIsRunInTheEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{T: t, options: drawOptions(t), now: drawMoment(t), ran: map[int64]bool{}}
		w.options.Overlap, w.options.CatchUp = schedule.Skip, schedule.All
		w.configure()
		begun, wanted := w.now, map[int64]bool{}
		busy := false
		look := func() {
			skipped := w.p.States()["s"].Skipped
			var got []schedule.Fire
			if len(w.p.Ripe(w.now, runs(busy))) > 0 {
				got = w.p.Look(w.s, w.now, busy)
			}
			if len(got) > 1 || busy && len(got) > 0 {
				t.Fatalf("%d tasks at once", len(got))
			}
			for _, f := range got {
				if w.ran[f.At.Unix()] || f.At.After(w.now) || !f.At.After(begun) {
					t.Fatalf("%v is run at %v", f.At, w.now)
				}
				w.ran[f.At.Unix()], busy = true, true
			}
			if w.p.States()["s"].Skipped != skipped {
				if !busy {
					t.Fatal("a time was skipped, though nothing ran")
				}
				all := w.times(begun, w.now)
				wanted[all[len(all)-1].Unix()] = false
			}
		}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			w.now = w.now.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 20 * time.Minute, 5 * time.Hour}).Draw(t, "step"))
			busy = busy && rapid.Bool().Draw(t, "runs on")
			if rapid.IntRange(0, 4).Draw(t, "restart") == 0 {
				w.configure()
			}
			look()
		}
		for range 2 * schedule.MaxMissed {
			busy = false
			look()
		}
		all := w.times(begun, w.now)
		lost := 0
		for _, at := range all {
			if _, skipped := wanted[at.Unix()]; !skipped {
				lost++
			}
		}
		if total := len(w.ran) + len(all); lost > max(0, total-schedule.MaxMissed) {
			t.Fatalf("%d of %d times were lost: %v, ran %v", lost, total, all, slices.Sorted(maps.Keys(w.ran)))
		}
	})
}
