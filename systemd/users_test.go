package systemd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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

// The first pool names no user, and stands beside one that does.
func scriptsCanDoNothingToTheDaemonUnderTheUnit(t *testing.T, b *box) {
	b.install(t, onePool+`pool "other" {
  executor   = "python"
  task_types = ["io_bound"]
  workers    = 1
  user       = "games"
}
`)
	b.run(t, "systemctl", "start", "cpulbd.service")
	if log := b.journal(t); strings.Contains(log, "run as the daemon's user") {
		t.Errorf("it warns:\n%s", log)
	}
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

// pool is one of processes, with these lines.
func pool(lines string) string {
	return `pool "all" {
  executor   = "python"
  task_types = ["cpu_bound", "io_bound"]
  workers    = 1
  isolation  = "process"
` + lines + "\n}\n"
}

func eachTaskRunsAsItsCallerUnderTheUnit(t *testing.T, b *box) {
	b.install(t, pool(`user = "caller"
  users = ["games", "1234"]`))
	b.run(t, "useradd", "--uid", "1234", "--create-home", "--user-group", "--groups", "cpulb", "ann")
	b.run(t, "systemctl", "start", "cpulbd.service")
	if err := os.WriteFile(filepath.Join(b.dir, "script.py"), []byte(`import os, pathlib
def main(params, context):
    (pathlib.Path.home() / "mine").write_text("")
    status = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
    return [os.getresuid(), os.getresgid(), os.environ["USER"], os.getcwd(), status["CapEff"] + status["CapPrm"] + status["CapAmb"], status["NoNewPrivs"]]
`), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := b.try(t, "setpriv", "--reuid", "ann", "--regid", "1234", "--init-groups", "cpulb", "run", "/srv/box/script.py")
	var got []any
	want := fmt.Sprintf("[[1234 1234 1234] [1234 1234 1234] ann / %s 1]", strings.Repeat("0", 48))
	if uerr := json.Unmarshal([]byte(out), &got); err != nil || uerr != nil || fmt.Sprint(got) != want {
		t.Errorf("%v %v\n%s\nand not\n%s\n%s", err, uerr, out, want, b.journal(t))
	}
	if owner := b.run(t, "stat", "-c", "%U", "/home/ann/mine"); owner != "ann" {
		t.Errorf("the file it has made belongs to %s", owner)
	}
	if out, err := b.try(t, "cpulb", "run", "/srv/box/script.py"); err == nil || !strings.Contains(out, "pool.users must name it") {
		t.Errorf("root, whom pool.users does not name: %v %s", err, out)
	}
	b.run(t, "systemctl", "stop", "cpulbd.service")
	if left := b.processes(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func allWallsStandUnderTheUnit(t *testing.T, b *box) {
	b.install(t, pool(`user = "cpulb-worker"
  memory       = "256MiB"
  cpu_time     = "1m"
  private_tmp  = true
  network      = false
  read_only    = true
  system_calls = "scripts"`))
	b.run(t, "touch", "/tmp/of-the-machine")
	b.run(t, "systemctl", "start", "cpulbd.service")
	got := b.runScript(t, `import ctypes, errno, os, resource, socket
def main(params, context):
    libc = ctypes.CDLL(None, use_errno=True)
    return {"tmp": os.listdir("/tmp"), "interfaces": [name for _, name in socket.if_nameindex()],
            "read only": all(os.statvfs(path).f_flag & os.ST_RDONLY for path in ("/", "/srv/box", "/var")),
            "unshare": errno.errorcode[libc.unshare(0x10000000) and ctypes.get_errno()],
            "memory": resource.getrlimit(resource.RLIMIT_DATA)[0] != resource.RLIM_INFINITY,
            "cpu": resource.getrlimit(resource.RLIMIT_CPU)[0]}
`)
	if fmt.Sprint(got) != "map[cpu:60 interfaces:[lo] memory:true read only:true tmp:[] unshare:EPERM]" {
		t.Errorf("%v", got)
	}
	b.run(t, "systemctl", "stop", "cpulbd.service")
	if left := b.processes(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
