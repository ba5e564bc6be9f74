package exec

import (
	"fmt"
	"os/user"
	"strconv"
	"sync"
	"time"
)

// knownFor is how long what is known of a user holds.
const knownFor = time.Minute

// caller is the user as whom a task runs.
type caller struct {
	credential
	home, name string
}

// callers looks users up in the system's files, as it is built without cgo, and keeps what it has
// found. With cgo it asks whatever /etc/nsswitch.conf names, which may be another machine.
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
	c := &caller{credential: credential{uid: uid, gid: uint32(gid)}, home: u.HomeDir, name: u.Username}
	for _, id := range ids {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s: its groups: %w", u.Username, err)
		}
		c.groups = append(c.groups, uint32(n))
	}
	return c, nil
}
