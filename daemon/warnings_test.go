package daemon_test

import (
	"strings"
	"testing"

	"cpulb/daemon"
	"cpulb/daemon/config"
	"cpulb/plugins/supervisor"
)

// A daemon that may become anybody is not to be where scripts can take it over.
func TestTheDaemonWarnsOfScriptsThatHaveItsUserAndItsPrivileges(t *testing.T) {
	if err := supervisor.MayChangeUser(); err != nil {
		t.Skip("this process has none:", err)
	}
	for _, c := range []struct{ user, want string }{
		{"", "scripts of pool cpu, io run as the daemon's user"},
		{"65534", ""},
		{config.UserCaller, ""},
	} {
		all := config.Default()
		for i := range all.Pools {
			all.Pools[i].User, all.Pools[i].Group = c.user, c.user
		}
		if got := strings.Join(daemon.Warnings(all), "; "); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.user, got)
		}
	}
}
