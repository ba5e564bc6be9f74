// Package doctor looks whether a machine has what cpulb needs, and whether a daemon is well.
//
// Guarantees: nothing is changed, and nothing runs that could be; whatever is not as it should
// be comes with what to do about it. What the caller may not look at is said to be so, and is
// not taken for a fault.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// Level says how serious a Finding is.
type Level string

// The levels, the best first.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Failed  Level = "failed"
)

// Finding is what one check has found.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Found string `json:"found"`
	// Remedy is what to do; empty: nothing.
	Remedy string `json:"remedy,omitempty"`
}

// Daemon is the one on the socket.
type Daemon interface {
	Status(context.Context) (json.RawMessage, error)
	Executors(context.Context) ([]api.ExecutorStatus, error)
	Submit(context.Context, *task.Task) (task.View, error)
	Stacks(ctx context.Context, worker string) (string, error)
}

// Host is what is looked at.
type Host struct {
	// Root is the folder in which paths of the system are, "/" but for tests.
	Root string
	// Socket is the path of the daemon's socket, and Daemon a client of it.
	Socket string
	Daemon Daemon
	// Version is of the program that looks.
	Version string
	// Flag returns the value of a flag with which a process was started, "" if it was not.
	Flag func(pid int, name string) string
	// File returns the path that such a flag names, relative to whatever folder, "" if it was
	// not given.
	File func(pid int, name string) (string, error)
	// Find returns the path of one of cpulb's programs.
	Find func(program string) (string, error)
	// Run runs a program and returns what it prints, on stderr, too.
	Run func(ctx context.Context, program string, args ...string) (string, error)
}

// Examine makes all checks, in the order in which one thing needs another, and yields what each
// has found at once. It ends with ctx.
func Examine(ctx context.Context, h *Host) iter.Seq[Finding] {
	return func(yield func(Finding) bool) {
		p := &patient{Host: h}
		for _, check := range []func(context.Context){
			p.kernel, p.cgroups, p.programs, p.python, p.units, p.socket, p.daemon, p.rights, p.configuration, p.executors, p.state,
		} {
			p.findings = nil
			check(ctx)
			if ctx.Err() != nil { // it was not made to its end
				return
			}
			for _, f := range p.findings {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// Worst returns the most serious level of all.
func Worst(all []Finding) Level {
	worst := OK
	for _, f := range all {
		if f.Level == Failed || f.Level == Warning && worst == OK {
			worst = f.Level
		}
	}
	return worst
}

// answerTimeout is how long the daemon may take for one answer.
const answerTimeout = 10 * time.Second

// patient is a Host that is being looked at.
type patient struct {
	*Host
	findings []Finding
	// status is the daemon's answer; nil: there was none.
	status *status
	// admin: the caller administers the daemon.
	admin bool
}

// status is the part of the daemon's answer that is read.
type status struct {
	Engine     api.EngineStatus         `json:"engine"`
	Components map[string]api.Component `json:"components"`
}

func (p *patient) ok(check, format string, args ...any) { p.add(check, OK, "", format, args...) }

func (p *patient) add(check string, level Level, remedy, format string, args ...any) {
	p.findings = append(p.findings, Finding{Check: check, Level: level, Found: fmt.Sprintf(format, args...), Remedy: remedy})
}
