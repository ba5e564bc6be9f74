package daemon_test

import (
	"errors"
	"testing"

	"cpulb/daemon/access"
	"cpulb/daemon/daemontest"
)

// Who a caller is, is asked before anything of what it sends is read, and for every
// connection: it must not wait behind whatever keeps the engine busy.
func TestRightsAreKnownWithoutWaitingForTheEngine(t *testing.T) {
	c := daemontest.One(1, 1)
	c.Access.Users, c.Access.AdminUsers = []string{"1001"}, []string{"1002"}
	daemontest.On(t, c, func(f *daemontest.Farm) {
		f.Engine.Locked(func() {
			for uid, want := range map[uint32]struct{ submits, administers bool }{
				0: {true, true}, 1001: {true, false}, 1002: {true, true}, 1003: {false, false},
			} {
				who := access.Identity{UID: uid, GID: uid}
				err := f.Engine.MaySubmit(who)
				if (err == nil) != want.submits || err != nil && !errors.Is(err, access.ErrDenied) {
					t.Errorf("uid %d submits: %v", uid, err)
				}
				if f.Engine.Administers(who) != want.administers {
					t.Errorf("uid %d administers: %v", uid, !want.administers)
				}
			}
		})
	})
}
