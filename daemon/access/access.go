// Package access decides who may do what. It is pure: identities come from the
// socket, rules from the configuration, and Check is the only decision.
//
// It does not protect tasks of one pool from each other: their scripts mostly share
// a uid and an interpreter. And script_dirs is checked here by name only,
// for an early error; where it counts, the executor opens the file beneath them.
package access

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

var (
	// ErrDenied is matched by the errors of Check: the caller may not do this.
	ErrDenied = errors.New("not allowed")
	// ErrHidden is matched by the error of Check for a task of somebody else. The
	// caller is to be told what it would be told if there were no such task.
	ErrHidden = errors.New("the task belongs to somebody else")
)

// Identity is who is at the other end of a connection, as the kernel reports it
// (SO_PEERCRED, SO_PEERGROUPS) of the moment at which it connected. Where the daemon's user
// namespace does not have all users, the others have the overflow uid, mostly 65534: the
// socket gives that no rights then.
type Identity struct {
	UID, GID uint32
	Groups   []uint32
	// PID is for logs. It may be somebody else's by now, so nothing is decided by it.
	PID int32
}

// Who is a set of users: those named, and the members of the groups named.
type Who struct{ Users, Groups []uint32 }

func (w Who) nobody() bool { return len(w.Users) == 0 && len(w.Groups) == 0 }

func (w Who) has(id Identity) bool {
	return slices.Contains(w.Users, id.UID) || slices.Contains(w.Groups, id.GID) ||
		slices.ContainsFunc(id.Groups, func(g uint32) bool { return slices.Contains(w.Groups, g) })
}

// Rules are what the configuration allows.
type Rules struct {
	// Submit are those who may submit tasks; if it is empty, all who can connect,
	// whom the mode and group of the socket bound.
	Submit Who
	// Administer are those who may do everything, beside root.
	Administer Who
	// Private lets the daemon's own uid, DaemonUID, administer. It must not where
	// scripts run under it that others have submitted.
	Private   bool
	DaemonUID uint32
	// ScriptDirs are absolute folders beneath which scripts have to be; none means
	// anywhere. Source allows tasks that bring their script's text. Both hold for
	// administrators, too: they say what may run, not who asks.
	ScriptDirs []string
	Source     bool
	// Pools has those who may submit to a pool; a pool that is not in it, or has
	// an empty Who, is open to all who may submit.
	Pools map[string]Who
	// AsCaller has the pools whose tasks run as those who have submitted them. Of users
	// that are no person's, which FirstUser and overflowUID tell, only those that Pools
	// names may submit there.
	AsCaller  map[string]bool
	FirstUser uint32
}

// overflowUID is nobody's (nss(5)), who is no person. Where the daemon's user namespace does not have
// all users it stands for the others, too (user_namespaces(7)).
const overflowUID = 65534

// Action is a kind of request.
type Action uint8

// The actions.
const (
	// Observe shows what belongs to nobody: status, metrics, workers, schedules.
	Observe Action = iota
	// Submit submits a task.
	Submit
	// See shows a task, its result and its events.
	See
	// Stop cancels a task.
	Stop
	// Administer restarts, swaps, drains, reloads, and shows stacks and profiles.
	Administer
)

// Request is what somebody wants to do.
type Request struct {
	Action Action
	// Owner is whose task it is, for See and Stop.
	Owner uint32
	// Pool, ScriptPath and Source are the task's, for Submit. The pool is the one
	// that the task will run in, named by it or not.
	Pool       string
	ScriptPath string
	Source     bool
	// Surroundings is the task's field that says in what its script runs, "env" or "cwd";
	// empty: it has neither.
	Surroundings string
}

// Denied says why not. It matches ErrDenied.
type Denied struct {
	// Field is the task's JSON name that is to blame, if one is.
	Field   string
	Problem string
}

func (d *Denied) Error() string { return ErrDenied.Error() + ": " + d.Problem }

// Is makes a Denied match ErrDenied.
func (d *Denied) Is(target error) bool { return target == ErrDenied }

// Check returns nil if id may do what it requests, else an error that matches
// ErrDenied or ErrHidden.
func (r *Rules) Check(id Identity, q Request) error {
	switch {
	case q.Action == Observe:
		return nil
	case q.Action == Submit:
		return r.submit(id, q)
	case r.Administers(id):
		return nil
	case q.Action == Administer:
		return &Denied{Problem: "this is for root and for the administrators that access names"}
	case q.Owner == id.UID:
		return nil
	}
	return ErrHidden
}

// submit asks who calls before what is to run: who may not submit need not learn where
// scripts lie.
func (r *Rules) submit(id Identity, q Request) error {
	if err := r.MaySubmit(id); err != nil {
		return err
	}
	if !r.MayUse(id, q.Pool) {
		return &Denied{Field: "pool", Problem: fmt.Sprintf("uid %d may not submit to pool %.64q", id.UID, q.Pool)}
	}
	if err := r.MayRunAs(id.UID, q.Pool); err != nil {
		return err
	}
	if q.Source && !r.Source {
		return &Denied{Field: "source", Problem: "tasks must name a script_path (access.source is false)"}
	}
	if !q.Source && !r.beneath(q.ScriptPath) {
		return &Denied{Field: "script_path", Problem: fmt.Sprintf("%.256q is not beneath access.script_dirs (%s)",
			q.ScriptPath, strings.Join(r.ScriptDirs, ", "))}
	}
	if q.Surroundings != "" && len(r.ScriptDirs) > 0 && !r.Source {
		return &Denied{Field: q.Surroundings, Problem: q.Surroundings + " can have a script load what is not beneath access.script_dirs " +
			"(PYTHONPATH, LD_PRELOAD, a relative path); with script_dirs it takes access.source = true"}
	}
	return nil
}

// MayRunAs returns nil if a task of that user may run in the pool, where it may run as the
// user, else an error that matches ErrDenied.
func (r *Rules) MayRunAs(uid uint32, pool string) error {
	if !r.AsCaller[pool] {
		return nil
	}
	return r.MayBecome(uid, pool)
}

// MayBecome is MayRunAs where the worker runs tasks as their callers, whatever the pool's next
// ones will do.
func (r *Rules) MayBecome(uid uint32, pool string) error {
	if uid >= r.FirstUser && uid != overflowUID || slices.Contains(r.Pools[pool].Users, uid) {
		return nil
	}
	return &Denied{Field: "pool", Problem: fmt.Sprintf("the tasks of pool %.64q run as their callers, and uid %d is a system user "+
		"(below %d, or %d): pool.users must name it", pool, uid, r.FirstUser, overflowUID)}
}

// MayUse reports whether id, if it may submit at all, may submit to a pool.
func (r *Rules) MayUse(id Identity, pool string) bool {
	who := r.Pools[pool]
	return who.nobody() || who.has(id) || r.Administers(id)
}

// MaySubmit returns nil if id may submit tasks at all, whatever it may then not run or
// not use, else an error that matches ErrDenied. It is what is known of a request
// before anything of it has been read.
func (r *Rules) MaySubmit(id Identity) error {
	if r.Submit.nobody() || r.Submit.has(id) || r.Administers(id) {
		return nil
	}
	return &Denied{Problem: fmt.Sprintf("uid %d is not among those who may submit (access.users, access.groups)", id.UID)}
}

// Administers reports whether id may do everything.
func (r *Rules) Administers(id Identity) bool {
	return r.MayRunAnything(id) || r.Administer.has(id)
}

// MayRunAnything reports whether id may have the daemon run any program as itself: root, and the
// daemon's own user if it is private, who could do so anyway.
func (r *Rules) MayRunAnything(id Identity) bool {
	return id.UID == 0 || r.Private && id.UID == r.DaemonUID
}

// beneath reports whether path names a file beneath one of the folders. Links
// are not followed: that is for whoever opens it.
func (r *Rules) beneath(path string) bool {
	if len(r.ScriptDirs) == 0 {
		return true
	}
	return slices.ContainsFunc(r.ScriptDirs, func(dir string) bool {
		rel, err := filepath.Rel(dir, path)
		return err == nil && filepath.IsLocal(rel) && rel != "."
	})
}
