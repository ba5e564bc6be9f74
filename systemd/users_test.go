package systemd

import (
	"fmt"
	"strings"
	"testing"
)

// whoAmI tells whom a script runs as, and what it may do to the daemon.
const whoAmI = `import os, pwd
def refused(call, *args):
    try:
        call(*args)
    except PermissionError:
        return True
    return False
def main(params, context):
    status = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
    daemon = os.getppid()
    return {"user": pwd.getpwuid(os.getuid()).pw_name, "capabilities": status["CapEff"] + status["CapPrm"] + status["CapAmb"] + status["CapInh"],
            "new privileges": status["NoNewPrivs"],
            "refused": [refused(os.kill, daemon, 0), refused(os.listdir, "/var/lib/cpulb"), refused(open, "/proc/%d/environ" % daemon),
                        refused(os.listdir, "/run/cpulbd")]}
`

func TestThePoolsUserCanDoNothingToTheDaemonUnderTheUnit(t *testing.T) {
	b := install(t, `pool "all" {
  executor   = "python"
  task_types = ["cpu_bound", "io_bound"]
  workers    = 1
  user       = "cpulb-worker"
}
`)
	b.run(t, "systemctl", "start", "cpulbd.service")
	got := b.runScript(t, whoAmI)
	if got["user"] != "cpulb-worker" || got["capabilities"] != strings.Repeat("0", 64) || got["new privileges"] != "1" ||
		fmt.Sprint(got["refused"]) != "[true true true true]" {
		t.Errorf("%v", got)
	}
	b.run(t, "systemctl", "stop", "cpulbd.service")
	if left := b.processes(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
