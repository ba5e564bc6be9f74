package schedule_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/schedule"
	"cpulb/internal/alloctest"

	"pgregory.net/rapid"
)

func must(t testing.TB, o schedule.Options) *schedule.Schedule {
	t.Helper()
	s, err := schedule.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// fires holds a schedule to what follows a moment.
func fires(t *testing.T, s *schedule.Schedule, after string, want ...string) {
	t.Helper()
	at := moment(t, after)
	for _, w := range want {
		next, ok := s.Next(at)
		if !ok || next.Format(time.RFC3339) != w {
			t.Fatalf("%q in %s: after %s comes %s, want %s", s.Options().Cron, s.Options().TimeZone, at, next, w)
		}
		at = next
	}
}

func TestNextFollowsTheClockOfTheZone(t *testing.T) {
	for _, c := range []struct{ cron, zone, after, first, second string }{
		{"30 2 * * *", "UTC", "2026-01-01T02:30:00Z", "2026-01-02T02:30:00Z", "2026-01-03T02:30:00Z"},
		{"30 2 * * *", "UTC", "2026-01-01T02:29:59.999999999Z", "2026-01-01T02:30:00Z", "2026-01-02T02:30:00Z"},
		{"0 9 * * mon-fri", "Europe/Istanbul", "2026-01-02T09:00:00+03:00", "2026-01-05T09:00:00+03:00", "2026-01-06T09:00:00+03:00"},
		{"@daily", "Asia/Kolkata", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00+05:30", "2026-01-03T00:00:00+05:30"},
		{"0 0 13 * fri", "UTC", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z", "2026-02-27T00:00:00Z"}, // either day will do
		{"0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"},
		{"0 12 1 jan *", "America/New_York", "2026-06-01T00:00:00Z", "2027-01-01T12:00:00-05:00", "2028-01-01T12:00:00-05:00"},
		{"*/20 8-9 * * *", "UTC", "2026-01-01T09:20:00Z", "2026-01-01T09:40:00Z", "2026-01-02T08:00:00Z"},
	} {
		fires(t, must(t, schedule.Options{Cron: c.cron, TimeZone: c.zone}), c.after, c.first, c.second)
	}
}

// In 2026 Berlin's clock goes from 02:00 to 03:00 on 29 March, and from 03:00
// back to 02:00 on 25 October.
func TestASkippedTimeFiresOnceAtTheChange(t *testing.T) {
	const before = "2026-03-28T12:00:00+01:00"
	berlin := func(cron string) *schedule.Schedule {
		return must(t, schedule.Options{Cron: cron, TimeZone: "Europe/Berlin"})
	}
	fires(t, berlin("30 2 * * *"), before, "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00")
	fires(t, berlin("0,15,30,45 2 * * *"), "2026-03-28T02:45:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00")
	fires(t, berlin("0 2,3 * * *"), before, "2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00")
	fires(t, berlin("30 1,3 * * *"), before, "2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-30T01:30:00+02:00")
}

func TestATimeThatComesTwiceFiresTheFirstTimeOnly(t *testing.T) {
	berlin := func(cron string) *schedule.Schedule {
		return must(t, schedule.Options{Cron: cron, TimeZone: "Europe/Berlin"})
	}
	fires(t, berlin("30 2 * * *"), "2026-10-24T12:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00")
	fires(t, berlin("30 2 * * *"), "2026-10-25T02:00:00+01:00", "2026-10-26T02:30:00+01:00")
	fires(t, berlin("0 2,3 * * *"), "2026-10-24T12:00:00+02:00", "2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+01:00")
}

func TestAScheduleOfEveryHourGoesOnThroughBothChanges(t *testing.T) {
	s := must(t, schedule.Options{Cron: "5 * * * *", TimeZone: "Europe/Berlin"})
	fires(t, s, "2026-03-29T00:30:00+01:00", "2026-03-29T01:05:00+01:00", "2026-03-29T03:05:00+02:00", "2026-03-29T04:05:00+02:00")
	fires(t, s, "2026-10-25T01:30:00+02:00", "2026-10-25T02:05:00+02:00", "2026-10-25T02:05:00+01:00", "2026-10-25T03:05:00+01:00")
}

// In 2018 midnight of 4 November did not exist in São Paulo, and in 2011 a whole
// day did not in Samoa.
func TestWholeDaysAndMidnightsMayBeSkipped(t *testing.T) {
	fires(t, must(t, schedule.Options{Cron: "0 0 * * *", TimeZone: "America/Sao_Paulo"}), "2018-11-03T12:00:00-03:00",
		"2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00")
	fires(t, must(t, schedule.Options{Cron: "0 12 * * *", TimeZone: "Pacific/Apia"}), "2011-12-29T12:00:00-10:00",
		"2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00")
}

// Whatever the zone and the schedule: times come in order, none twice, and none
// is left out between two others.
func TestTimesComeInOrderAndNoneIsLeftOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cron := rapid.SampledFrom([]string{"* * * * *", "30 2 * * *", "*/15 1-3 * * *", "0 0 * * *", "59 23 * * 6", "0 2 * * *", "@hourly"}).Draw(t, "cron")
		zone := rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo",
			"Pacific/Apia", "Asia/Kolkata", "Africa/Casablanca", "Europe/Dublin"}).Draw(t, "zone")
		s, err := schedule.New(schedule.Options{Cron: cron, TimeZone: zone})
		if err != nil {
			t.Fatal(err)
		}
		from := time.Unix(rapid.Int64Range(1.2e9, 1.9e9).Draw(t, "from"), 0)
		first, ok := s.Next(from)
		second, ok2 := s.Next(first)
		if !ok || !ok2 || !first.After(from) || !second.After(first) {
			t.Fatalf("after %v come %v and %v", from, first, second)
		}
		between := from.Add(time.Duration(rapid.Int64Range(0, int64(second.Sub(from))-1).Draw(t, "between")))
		want := second
		if between.Before(first) {
			want = first
		}
		if got, _ := s.Next(between); !got.Equal(want) {
			t.Fatalf("after %v comes %v, though %v and %v follow each other", between, got, first, second)
		}
	})
}

func TestTheTaskOfATimeIsAlwaysTheSame(t *testing.T) {
	s := must(t, schedule.Options{Name: "report", Cron: "@daily", TimeZone: "Europe/Berlin"})
	at := moment(t, "2026-10-25T02:30:00+02:00")
	id := s.TaskID(at)
	if id != s.TaskID(at.UTC()) || id.Version() != 5 {
		t.Errorf("%v", id)
	}
	// Known by heart: an id must not change from one release to the next.
	if got := id.String(); got != "4c9328e9-6bbf-51e6-be0d-bb192bdc1a54" {
		t.Errorf("the id has become %s", got)
	}
	other := must(t, schedule.Options{Name: "report2", Cron: "@daily"})
	if id == other.TaskID(at) || id == s.TaskID(at.Add(time.Hour)) {
		t.Error("another schedule, or the second 02:30 of that day, has the same id")
	}
}

func TestABadScheduleIsRefusedWithWhatIsAllowed(t *testing.T) {
	for _, c := range []struct {
		o    schedule.Options
		said string
	}{
		{schedule.Options{Cron: ""}, "five fields"},
		{schedule.Options{Cron: "* * * *"}, "five fields"},
		{schedule.Options{Cron: "* * * * * *"}, "five fields"},
		{schedule.Options{Cron: "60 * * * *"}, "60"},
		{schedule.Options{Cron: "1,,2 * * * *"}, "empty place"},
		{schedule.Options{Cron: "0 0 * * mon,"}, "empty place"},
		{schedule.Options{Cron: "+5 * * * *"}, "sign"},
		{schedule.Options{Cron: "*/0 * * * *"}, "step"},
		{schedule.Options{Cron: "*/-5 * * * *"}, "cron expression"},
		{schedule.Options{Cron: "0 0 0 * *"}, "0"},
		{schedule.Options{Cron: "0 0 * * 8"}, "8"},
		{schedule.Options{Cron: "0 0 * 13 *"}, "13"},
		{schedule.Options{Cron: "0 0 L * *"}, "cron expression"},
		{schedule.Options{Cron: "0 0 * * 1#1"}, "cron expression"},
		{schedule.Options{Cron: "٣ * * * *"}, "cron expression"},
		{schedule.Options{Cron: "1-5-9 * * * *"}, "hyphens"},
		{schedule.Options{Cron: "0 0 30 2 *"}, "a day that no month has"},
		{schedule.Options{Cron: "@every 1h"}, "does not name times"},
		{schedule.Options{Cron: "@reboot"}, "@reboot"},
		{schedule.Options{Cron: "TZ=UTC 0 * * * *"}, "time_zone"},
		{schedule.Options{Cron: "@daily", TimeZone: "Mars/Base"}, `"Europe/Istanbul"`},
		{schedule.Options{Cron: "@daily", TimeZone: "../../etc/passwd"}, "not known"},
		{schedule.Options{Cron: "@daily", Overlap: "kill"}, "skip, queue"},
		{schedule.Options{Cron: "@daily", CatchUp: "some"}, "none, last, all"},
	} {
		if _, err := schedule.New(c.o); !errors.Is(err, schedule.ErrInvalid) || !strings.Contains(err.Error(), c.said) {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
	s := must(t, schedule.Options{Cron: "@daily"})
	if o := s.Options(); o.Overlap != schedule.Skip || o.CatchUp != schedule.Last || o.TimeZone != "Local" {
		t.Errorf("defaults are %+v", o)
	}
}

func FuzzCron(f *testing.F) {
	for _, seed := range []string{"* * * * *", "@daily", "1-5/2,7 0 L * #", "0 0 31 feb *", "59 23 29 2 7", "*/0 * * * *", "5-1 * * * *"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cron string) {
		alloctest.Within(t, 256<<10+64*len(cron), func() { _, _ = schedule.New(schedule.Options{Cron: cron, TimeZone: "Europe/Berlin"}) })
		s, err := schedule.New(schedule.Options{Cron: cron, TimeZone: "Europe/Berlin"})
		if err != nil {
			return
		}
		from := time.Unix(1.77e9, 0)
		next, ok := s.Next(from)
		if !ok || !next.After(from) {
			t.Fatalf("%q: after %v comes %v %v", cron, from, next, ok)
		}
	})
}
