// Package schedule says when recurring tasks are due and what their ids are. It
// is pure: it has no clock and starts nothing; the engine keeps the time up to
// which it has asked.
//
// A time that a schedule fires at has one task, whose id follows from the
// schedule's name and that time: whoever submits it twice, after a restart or a
// clock that was set back, submits the same task.
//
// Times are those of the clock on the wall in the schedule's zone, as cron has
// it. Where that clock is changed:
//   - A time that is skipped fires at the moment of the change; several fire once.
//   - A time that comes twice fires the first time only.
//   - A schedule that fires in every hour of the day does so whatever the clock
//     shows: neither of these is for it.
package schedule

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	_ "time/tzdata" // a minimal system has no zones of its own

	"github.com/google/uuid"
	"github.com/netresearch/go-cron"
)

// Overlap is what happens when the task of an earlier fire has not ended.
type Overlap string

// The overlap policies.
const (
	// Skip lets the fire pass.
	Skip Overlap = "skip"
	// Queue submits the task all the same.
	Queue Overlap = "queue"
)

// CatchUp is what happens with fires that were missed while the daemon was down.
type CatchUp string

// The catch-up policies.
const (
	// None forgets them.
	None CatchUp = "none"
	// Last runs the latest of them.
	Last CatchUp = "last"
	// All runs them all, but the latest MaxMissed at most.
	All CatchUp = "all"
)

// MaxMissed bounds what All catches up with: a daemon that was down for a year
// must not begin with half a million tasks.
const MaxMissed = 100

// Grace is how late a fire may be and still count as on time.
const Grace = time.Minute

// ErrInvalid is matched by the errors of New.
var ErrInvalid = errors.New("invalid schedule")

// Options describe a schedule, as the block of config.hcl does.
type Options struct {
	Name string
	// Cron is five fields (minute, hour, day of month, month, day of week), with
	// names, lists, ranges and steps, or one of @hourly, @daily, @weekly, @monthly
	// and @yearly. If both days are restricted, either will do.
	Cron string
	// TimeZone is a name such as "Europe/Istanbul"; "" and "Local" are the daemon's.
	TimeZone string
	// Overlap is Skip if empty, CatchUp is Last if empty.
	Overlap Overlap
	CatchUp CatchUp
}

// Schedule is a parsed schedule. It is immutable.
type Schedule struct {
	options Options
	zone    *time.Location
	wall    *cron.SpecSchedule
	hourly  bool // it fires in every hour of the day
}

// New checks o. Its error says what is allowed.
func New(o Options) (*Schedule, error) {
	if o.TimeZone == "" {
		o.TimeZone = "Local"
	}
	if o.Overlap == "" {
		o.Overlap = Skip
	}
	if o.CatchUp == "" {
		o.CatchUp = Last
	}
	zone, err := time.LoadLocation(o.TimeZone)
	switch {
	case err != nil:
		return nil, fmt.Errorf(`%w: time_zone: %.64q is not known; allowed are names such as "Europe/Istanbul", "UTC" and "Local"`, ErrInvalid, o.TimeZone)
	case o.Overlap != Skip && o.Overlap != Queue:
		return nil, fmt.Errorf("%w: overlap: %.64q is not one of: %s, %s", ErrInvalid, o.Overlap, Skip, Queue)
	case o.CatchUp != None && o.CatchUp != Last && o.CatchUp != All:
		return nil, fmt.Errorf("%w: catch_up: %.64q is not one of: %s, %s, %s", ErrInvalid, o.CatchUp, None, Last, All)
	}
	wall, err := parse(o.Cron)
	if err != nil {
		return nil, err
	}
	const everyHour = 1<<24 - 1
	return &Schedule{options: o, zone: zone, wall: wall, hourly: wall.Hour&everyHour == everyHour}, nil
}

// searchYears is how far apart two fires can be: a 29th of February on one day
// of the week comes every 28 years, and a century may leave it out.
const searchYears = 41

func parse(expression string) (*cron.SpecSchedule, error) {
	wrong := func(why string) error {
		return fmt.Errorf(`%w: cron: %.128q %s; allowed are five fields such as "*/5 8-17 * * mon-fri", or @hourly, @daily, @weekly, @monthly, @yearly`,
			ErrInvalid, expression, why)
	}
	if strings.Contains(expression, "TZ=") {
		return nil, wrong("names a zone, which is the key time_zone's to say")
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
	wall.Location = time.UTC // it is asked about the wall's clock only, written as UTC
	if wall.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, wrong("is a day that no month has")
	}
	return wall, nil
}

// Options returns what the schedule was made of, defaults filled in.
func (s *Schedule) Options() Options { return s.options }

// tasks is the namespace of the ids of scheduled tasks.
var tasks = uuid.MustParse("6f0c1f7e-0d0f-5b3a-9a55-3c1f2f7b1e84")

// TaskID returns the id of the task for the time at, a UUIDv5.
func (s *Schedule) TaskID(at time.Time) uuid.UUID {
	return uuid.NewSHA1(tasks, []byte(s.options.Name+"\x00"+at.UTC().Format(time.RFC3339)))
}

// Due returns the times in (since, now] whose tasks are to be submitted now, in
// order: the latest if it is on time, and those missed as CatchUp says. The
// engine goes on with now as its next since; the first one is when it first knew
// of the schedule.
func (s *Schedule) Due(since, now time.Time) []time.Time {
	n := 1
	if s.options.CatchUp == All {
		n = MaxMissed
	}
	due := s.latest(since, now, n)
	if s.options.CatchUp == None && len(due) > 0 && now.Sub(due[0]) > Grace {
		return nil
	}
	return due
}

// latest returns the last n times in (since, now]. It looks back further and
// further, so that it takes no longer after a long time than after a short one.
func (s *Schedule) latest(since, now time.Time, n int) []time.Time {
	for span := time.Hour; ; span *= 2 {
		from := now.Add(-span)
		whole := !from.After(since) || span > math.MaxInt64/2
		if whole {
			from = since
		}
		var found []time.Time
		for at, ok := s.Next(from); ok && !at.After(now); at, ok = s.Next(at) {
			found = append(found, at)
		}
		if whole || len(found) >= n {
			return found[max(0, len(found)-n):]
		}
	}
}
