package daemon

import (
	"fmt"
	"os"
	"strings"

	"cpulb/daemon/config"
	"cpulb/plugins/supervisor"
)

// Warnings reports the pools whose scripts get what the daemon may do beyond its user's
// rights, here and now: they run as the daemon's user although that may become any other, so
// that whoever takes the daemon over has all, or as root.
func Warnings(c *config.Config) (all []string) {
	var own, root []string
	for _, p := range c.Pools {
		uid, ok := uidOf(p)
		switch {
		case !ok:
		case uid == 0 && p.User != "":
			root = append(root, p.Name)
		case uid == os.Geteuid():
			own = append(own, p.Name)
		}
	}
	if len(own) > 0 && supervisor.MayChangeUser() == nil {
		all = append(all, fmt.Sprintf("scripts of pool %s run as the daemon's user, uid %d, and the daemon may become any user: "+
			"who writes one can take the daemon over, and with it the machine. Name another user in pool.user, or by -worker-user",
			strings.Join(own, ", "), os.Geteuid()))
	}
	if len(root) > 0 {
		all = append(all, fmt.Sprintf("scripts of pool %s run as root: who may submit there can do anything to the machine", strings.Join(root, ", ")))
	}
	return all
}

// uidOf returns whom the scripts of a pool run as; false: as nobody who is known now.
func uidOf(p config.Pool) (uid int, ok bool) {
	switch {
	case p.AsCaller():
		return 0, false
	case p.User == "":
		return os.Geteuid(), true
	}
	u, err := supervisor.FindUser(p.User, p.Group)
	if err != nil {
		return 0, false
	}
	return int(u.UID), true
}
