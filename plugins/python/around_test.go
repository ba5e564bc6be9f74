package python

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/supervisor"
)

// isSeen has something to lose, and says who it is. It waits for ever.
const isSeen = `import os, time
def main(params, context):
    if params["private"]:
        with open("/tmp/secret", "w") as f:
            f.write("secret")
    context.progress(0, str(os.getpid()))
    while True:
        time.sleep(1000)
`

// goesAround tries to pass walls through the other processes of its user: the tasks beside, the
// processes that wait for a task, and those outside. It returns those that it can enter.
const goesAround = `import ctypes, os, time

libc = ctypes.CDLL(None)
libc.ptrace.argtypes = [ctypes.c_long] * 4
SEIZE, DETACH = 0x4206, 17

def entered(pid, write):
    at = "/proc/%d/" % pid
    for name in "mem", "root/tmp/secret":
        for mode in "rb", "r+b":
            try:
                open(at + name, mode).close()
                return name
            except OSError:
                pass
    try:
        os.listdir(at + "root/tmp")
        return "root/tmp"
    except OSError:
        pass
    if write and not libc.ptrace(SEIZE, pid, 0, 0):
        libc.ptrace(DETACH, pid, 0, 0)
        return "ptrace"

def parent(pid):
    with open("/proc/%d/stat" % pid) as f:
        return int(f.read().rpartition(")")[2].split()[1])

def mine():
    for name in os.listdir("/proc"):
        try:
            pid = int(name)
            with open("/proc/%d/cmdline" % pid) as f:
                # What has no command line is the kernel's.
                if pid != os.getpid() and os.stat("/proc/%d" % pid).st_uid == os.getuid() and f.read():
                    yield pid
        except (ValueError, OSError):
            pass

def waits():
    """Whether the processes of both slots' next tasks are there, beside the other slot's task."""
    template, others = parent(os.getppid()), 0
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and int(name) != os.getpid() and parent(parent(int(name))) == template:
                others += 1
        except OSError:
            pass
    return others >= 3

def main(params, context):
    while not waits():
        time.sleep(0.01)
    found = set(mine()) | set(params)
    return {str(pid): how for pid in found if (how := entered(pid, pid in params)) is not None}
`

func TestOtherProcessesOfItsUserAreNoWayAroundATasksWalls(t *testing.T) {
	elsewhere(t)
	nobody := uint32(65534)
	kinds := map[string]func(*testing.T, map[string]string) (*process, *uint32){
		"as the worker": func(t *testing.T, settings map[string]string) (*process, *uint32) {
			return openApart(t, settings), nil
		},
	}
	if supervisor.MayChangeUser() == nil {
		kinds["of a user"] = func(t *testing.T, settings map[string]string) (*process, *uint32) {
			return openApartAs(t, &supervisor.User{UID: nobody, GID: nobody, Home: "/"}, settings), nil
		}
		kinds["as its caller"] = func(t *testing.T, settings map[string]string) (*process, *uint32) {
			settings["user"] = "caller"
			return openApart(t, settings), &nobody
		}
	}
	for who, open := range kinds {
		for _, walls := range []string{"private_tmp read_only", "network", "system_calls"} {
			t.Run(walls+", "+who, func(t *testing.T) {
				settings := wallsNamed(walls)
				if err := unavailable(t, settings); err != nil {
					t.Skip(err)
				}
				p, caller := open(t, settings)
				p.said = make(chan string, 1)
				uid := uint32(os.Getuid())
				if who != "as the worker" {
					uid = nobody
				}
				private := `{"private": ` + map[bool]string{true: "true", false: "false"}[settings["private_tmp"] != ""] + `}`
				p.hand(1, isSeen, private, caller)
				p.hand(0, goesAround, "["+p.hears()+","+outside(t, uid)+"]", caller)
				wantData(t, <-p.ended, "{}")
			})
		}
	}
}

// Root's walls are against accidents: what belongs to root obeys it without any capability.
func TestWallsTakeRootsCapabilitiesAndReadOnlyTheKernelsSettings(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("for root alone")
	}
	elsewhere(t)
	path := written(t, `import errno, os
def main(params, context):
    try:
        os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
        wrote = "opened"
    except OSError as error:
        wrote = errno.errorcode[error.errno]
    with open("/proc/self/status") as f:
        return [wrote, *(int(line.split()[1], 16) for line in f if line.startswith("Cap"))]
`)
	for walls, want := range map[string]string{"private_tmp": "opened", "network": "opened", "system_calls": "opened", "read_only": "EROFS"} {
		t.Run(walls, func(t *testing.T) {
			settings := wallsNamed(walls)
			if err := unavailable(t, settings); err != nil {
				t.Skip(err)
			}
			wantData(t, openApart(t, settings).run(path, "1"), `["`+want+`",0,0,0,0,0]`)
		})
	}
}

func wallsNamed(names string) map[string]string {
	settings := map[string]string{}
	for name := range strings.FieldsSeq(names) {
		settings[name] = map[string]string{"private_tmp": "true", "read_only": "true", "network": "false", "system_calls": "scripts"}[name]
	}
	return settings
}

// hand has a slot run a script.
func (p *process) hand(slot int, source, params string, caller *uint32) {
	p.t.Helper()
	p.seq++
	if err := p.Slot(slot).Send(&plugins.Task{Seq: p.seq, ID: "task", Source: source, Function: "main", Type: task.CPUBound, Attempt: 1,
		Params: json.RawMessage(params), RunAs: caller}); err != nil {
		p.t.Fatal(err)
	}
}

// stop asks slot 0 to stop its task.
func (p *process) stop(reason plugins.StopReason) {
	p.t.Helper()
	if _, err := p.Cancel(p.t.Context(), 0, p.seq, reason); err != nil {
		p.t.Fatal(err)
	}
}

// hears returns the next message of progress.
func (p *process) hears() string {
	p.t.Helper()
	select {
	case said := <-p.said:
		return said
	case o := <-p.ended:
		p.t.Fatalf("the task has ended: %+v %+v", o, o.Error)
	case <-p.Done():
		p.t.Fatalf("the worker ended (%s): %v", p.Exit(), p.LastStderr())
	}
	return ""
}

// outside starts a process of that user without any wall, and returns its number.
func outside(t *testing.T, uid uint32) string {
	t.Helper()
	c := exec.Command("sh", "-c", "echo $$; exec cat")
	if int(uid) != os.Getuid() {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = c.Wait()
	})
	var line [32]byte
	n, err := out.Read(line[:])
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(line[:n]))
}
