package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/netresearch/go-cron"
)

// searchYears is how far apart two fires can be: a 29th of February on one day
// of the week comes every 28 years, and a century may leave it out.
const searchYears = 41

// star marks a day's field as one that does not restrict by itself; see days.
const star = 1 << 63

// parse reads an expression. What it returns is asked about the wall's clock only,
// written as UTC.
func parse(expression string) (*cron.SpecSchedule, error) {
	wrong := func(why string) error {
		return fmt.Errorf(`%w: cron: %.128q %s; allowed are five fields such as "*/5 8-17 * * mon-fri", or @hourly, @daily, @weekly, @monthly, @yearly`,
			ErrInvalid, expression, why)
	}
	if strings.Contains(expression, "TZ=") {
		return nil, wrong("names a zone, which is the key time_zone's to say")
	}
	if err := plain(expression); err != nil {
		return nil, wrong("is not a cron expression: " + err.Error())
	}
	parser := cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor | cron.DowOrDom)
	parsed, err := parser.WithMaxSearchYears(searchYears).Parse(expression)
	if err != nil {
		return nil, wrong("is not a cron expression: " + err.Error())
	}
	wall, ok := parsed.(*cron.SpecSchedule)
	if !ok { // @every, which would fire at times that depend on the daemon's start
		return nil, wrong("does not name times")
	}
	if fields := strings.Fields(expression); len(fields) == 5 {
		wall.Dom, wall.Dow = days(wall.Dom, fields[2]), days(wall.Dow, fields[4])
	}
	wall.Location = time.UTC
	if wall.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, wrong("is a day that no month has")
	}
	return wall, nil
}

// days marks a day's field as crontab(5) has it: one that begins with "*", a step
// behind it or not, must match together with the other one; of two that do not,
// either will do.
func days(bits uint64, field string) uint64 {
	if strings.HasPrefix(field, "*") || field == "?" {
		return bits | star
	}
	return bits &^ star
}

// plain refuses what the parser would take in silence: an empty place in a list, and
// numbers with a sign.
func plain(expression string) error {
	for _, field := range strings.Fields(expression) {
		if strings.ContainsRune(field, '+') {
			return fmt.Errorf("%q has a sign", field)
		}
		for _, part := range strings.Split(field, ",") {
			if part == "" {
				return errors.New("a list has an empty place")
			}
		}
	}
	return nil
}
