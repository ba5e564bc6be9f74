package schedule_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/schedule"

	"pgregory.net/rapid"
)

func TestDaysAreJoinedAsCrontabHasIt(t *testing.T) {
	for _, c := range []struct{ cron, first, second, third string }{
		// Neither begins with a star: either will do.
		{"0 0 13 * 5", "2026-01-02", "2026-01-09", "2026-01-13"},
		{"0 0 1-7 * mon", "2026-01-02", "2026-01-03", "2026-01-04"},
		{"0 0 1,*/10 * mon", "2026-01-05", "2026-01-11", "2026-01-12"}, // it begins with a number
		// One begins with a star: both must match.
		{"0 0 */2 * 1", "2026-01-05", "2026-01-19", "2026-02-09"},
		{"0 0 1 * */2", "2026-02-01", "2026-03-01", "2026-08-01"},
		{"0 0 */10 * *", "2026-01-11", "2026-01-21", "2026-01-31"},
		{"0 0 * * 7", "2026-01-04", "2026-01-11", "2026-01-18"},
		{"0 0 *,1 * sat", "2026-01-03", "2026-01-10", "2026-01-17"},
		{"0 0 ? * 0", "2026-01-04", "2026-01-11", "2026-01-18"},
	} {
		at := func(day string) string { return day + "T00:00:00Z" }
		fires(t, must(t, schedule.Options{Cron: c.cron, TimeZone: "UTC"}), "2026-01-01T00:30:00Z", at(c.first), at(c.second), at(c.third))
	}
}

func TestNamesAreExpressions(t *testing.T) {
	for name, expression := range map[string]string{
		"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
		"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
		"0 0 1 JAN,Jul Mon": "0 0 1 1,7 1", "0 0 * * sat-sun": "0 0 * * 6,0", "0 22-2 * * *": "0 22,23,0,1,2 * * *",
		"0 0 * * 5-7": "0 0 * * 0,5,6", "5/15 * * * *": "5,20,35,50 * * * *", "  0\t0  1 *  * ": "0 0 1 * *",
	} {
		a, b := must(t, schedule.Options{Cron: name, TimeZone: "UTC"}), must(t, schedule.Options{Cron: expression, TimeZone: "UTC"})
		at := moment(t, "2026-01-01T00:30:00Z")
		for range 50 {
			x, _ := a.Next(at)
			if y, _ := b.Next(at); !x.Equal(y) {
				t.Fatalf("after %s %q comes at %s, %q at %s", at, name, x, expression, y)
			}
			at = x
		}
	}
}

// field is one field of an expression for the reference: its text, and what it has.
type field struct {
	text string
	has  func(int) bool
}

// drawField draws what crontab(5) allows: "*", numbers, ranges, lists, steps.
func drawField(t *rapid.T, name string, low, high int) field {
	var parts []string
	var tests []func(int) bool
	for i := range rapid.IntRange(1, 3).Draw(t, name+" parts") {
		label := fmt.Sprintf("%s part %d", name, i)
		a := rapid.IntRange(low, high).Draw(t, label+" from")
		b := rapid.IntRange(a, high).Draw(t, label+" to")
		step := rapid.IntRange(1, high-low).Draw(t, label+" step")
		within := max(1, b-a) // a step that is not less than its range is refused
		kind := rapid.IntRange(0, 4).Draw(t, label)
		if kind == 4 && a == b {
			kind = 2
		}
		text := []string{"*", "*/" + strconv.Itoa(step), strconv.Itoa(a), fmt.Sprintf("%d-%d", a, b), fmt.Sprintf("%d-%d/%d", a, b, within)}[kind]
		from, to, by := low, high, 1
		switch kind {
		case 1:
			by = step
		case 2:
			from, to = a, a
		case 3:
			from, to = a, b
		case 4:
			from, to, by = a, b, within
		}
		parts = append(parts, text)
		tests = append(tests, func(n int) bool { return n >= from && n <= to && (n-from)%by == 0 })
	}
	return field{strings.Join(parts, ","), func(n int) bool {
		for _, f := range tests {
			if f(n) {
				return true
			}
		}
		return false
	}}
}

// What cron(8) does each minute: it compares the minute with the five fields.
func TestEveryExpressionIsWhatCronWouldRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minute, hour := drawField(t, "minute", 0, 59), drawField(t, "hour", 0, 23)
		day, month, weekday := drawField(t, "day", 1, 31), drawField(t, "month", 1, 12), drawField(t, "weekday", 0, 6)
		expression := strings.Join([]string{minute.text, hour.text, day.text, month.text, weekday.text}, " ")
		s, err := schedule.New(schedule.Options{Cron: expression, TimeZone: "UTC"})
		if err != nil {
			if strings.Contains(err.Error(), "no month has") {
				return
			}
			t.Fatal(err)
		}
		stars := day.text[0] == '*' || weekday.text[0] == '*'
		matches := func(at time.Time) bool {
			d, w := day.has(at.Day()), weekday.has(int(at.Weekday()))
			days := d || w
			if stars {
				days = d && w
			}
			return minute.has(at.Minute()) && hour.has(at.Hour()) && month.has(int(at.Month())) && days
		}
		from := time.Unix(rapid.Int64Range(28_000_000, 32_000_000).Draw(t, "from")*60, 0).UTC()
		want := from.Add(time.Minute)
		for end := from.AddDate(0, 0, 40); want.Before(end) && !matches(want); want = want.Add(time.Minute) {
		}
		got, ok := s.Next(from)
		if !matches(want) {
			if ok && got.Before(want) {
				t.Fatalf("%q: after %s comes %s, which does not match", expression, from, got)
			}
			return
		}
		if !got.Equal(want) {
			t.Fatalf("%q: after %s comes %s, cron has %s", expression, from, got, want)
		}
	})
}
