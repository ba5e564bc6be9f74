// Package schedule says when recurring tasks are due and what their ids are. It
// is pure: it has no clock and starts nothing. A Plan has the State of each schedule,
// by name, which the engine keeps over reloads and restarts.
//
// What has passed is what was looked at, not what has fired:
//   - A schedule begins when it is first seen, and again when its expression or zone
//     is changed: it never fires for times before that. One that was taken away has no
//     past when it comes again.
//   - From then on each of its times is looked at once. Those that passed while nobody
//     looked (the daemon was down, the machine suspended) were missed; CatchUp says
//     which of them are run.
//   - The clock may be set. What it shows then counts, at once; a time that has been
//     looked at already does not come again, even if the clock shows it again.
//
// A time that a schedule fires at has one task, whose id follows from the
// schedule's name and that time: whoever submits it twice submits the same task.
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

var (
	// ErrInvalid is matched by the errors of New.
	ErrInvalid = errors.New("invalid schedule")
	// ErrZone is matched as well when the zone is not known.
	ErrZone = errors.New("time_zone")
)

// Options describe a schedule, as the block of config.hcl does.
type Options struct {
	Name string
	// Cron is five fields (minute, hour, day of month, month, day of week), with
	// names, lists, ranges and steps, or one of @hourly, @daily, @weekly, @monthly
	// and @yearly. If neither of the two days begins with "*", either will do.
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
		return nil, fmt.Errorf(`%w: %w: %.64q is not known; allowed are names such as "Europe/Istanbul", "UTC" and "Local"`, ErrInvalid, ErrZone, o.TimeZone)
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

// Options returns what the schedule was made of, defaults filled in.
func (s *Schedule) Options() Options { return s.options }

// Spec returns what decides when the schedule fires, its expression and its zone. A
// State holds for one Spec.
func (s *Schedule) Spec() string {
	return strings.ToLower(strings.Join(strings.Fields(s.options.Cron), " ")) + " in " + s.options.TimeZone
}

// tasks is the namespace of the ids of scheduled tasks.
var tasks = uuid.MustParse("6f0c1f7e-0d0f-5b3a-9a55-3c1f2f7b1e84")

// TaskID returns the id of the task for the time at, a UUIDv5.
func (s *Schedule) TaskID(at time.Time) uuid.UUID {
	return uuid.NewSHA1(tasks, []byte(s.options.Name+"\x00"+at.UTC().Format(time.RFC3339)))
}
