package python

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"sync"
	"time"

	"cpulb/plugins"
)

// knownFor is how long what is known of a user holds.
const knownFor = time.Minute

// caller is the user as whom a task runs, as template.py reads it.
type caller struct {
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups"`
	Home   string   `json:"home"`
	Name   string   `json:"name"`
}

// callers looks users up, which may ask another machine, and keeps what it has found.
type callers struct {
	known sync.Map // of uid: knownCaller
}

type knownCaller struct {
	*caller
	until time.Time
}

func (c *callers) of(uid uint32) (*caller, error) {
	if k, ok := c.known.Load(uid); ok && time.Now().Before(k.(knownCaller).until) {
		return k.(knownCaller).caller, nil
	}
	found, err := lookUp(uid)
	if err != nil {
		return nil, err
	}
	c.known.Store(uid, knownCaller{found, time.Now().Add(knownFor)})
	return found, nil
}

func lookUp(uid uint32) (*caller, error) {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return nil, fmt.Errorf("user %d: %w", uid, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: its group: %w", u.Username, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("user %s: its groups: %w", u.Username, err)
	}
	c := &caller{UID: uid, GID: uint32(gid), Groups: []uint32{}, Home: u.HomeDir, Name: u.Username}
	for _, id := range ids {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s: its groups: %w", u.Username, err)
		}
		c.Groups = append(c.Groups, uint32(n))
	}
	return c, nil
}

// callerOf is the user as whom t is to run; nil: the worker's.
func (i *isolation) callerOf(t *plugins.Task) (*caller, error) {
	switch {
	case !i.asCaller || t.Probe:
		return nil, nil
	case t.RunAs == nil:
		return nil, errNoCaller
	}
	return i.callers.of(*t.RunAs)
}

var errNoCaller = errors.New("nobody knows who that is")
