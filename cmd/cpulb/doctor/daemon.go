package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"

	"golang.org/x/sys/unix"
)

// units looks at systemd's units.
func (p *patient) units(ctx context.Context) {
	if _, err := os.Stat(p.path("run/systemd/system")); err != nil {
		p.ok("unit", "systemd does not run here: cpulbd is started by hand, or by something else")
		return
	}
	for _, unit := range []string{"cpulbd.socket", "cpulbd.service"} {
		said, err := p.Run(ctx, "systemctl", "show", "--property=LoadState,ActiveState,UnitFileState", unit)
		if err != nil {
			p.add("unit", Warning, "", "systemctl show %s: %s", unit, firstLine(said, err))
			return
		}
		p.unit(unit, properties(said))
	}
}

func (p *patient) unit(name string, has map[string]string) {
	switch {
	case has["LoadState"] == "not-found":
		p.add("unit", Warning, "copy systemd/cpulbd.* to /etc/systemd/system, or install the package", "%s is not installed", name)
	case has["LoadState"] != "loaded":
		p.add("unit", Failed, "systemctl status "+name, "%s is %s", name, has["LoadState"])
	case has["ActiveState"] == "failed":
		p.add("unit", Failed, "journalctl -u "+name+" -n 20 says why; then systemctl restart "+name, "%s has failed", name)
	case name == "cpulbd.socket" && has["ActiveState"] != "active":
		p.add("unit", Warning, "systemctl enable --now cpulbd.socket", "%s is %s: clients can't connect", name, has["ActiveState"])
	case name == "cpulbd.socket" && has["UnitFileState"] == "disabled":
		p.add("unit", Warning, "systemctl enable cpulbd.socket", "%s does not start with the machine", name)
	default:
		p.ok("unit", "%s is %s", name, has["ActiveState"])
	}
}

func properties(said string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(said) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		all[name] = value
	}
	return all
}

func (p *patient) socket(context.Context) {
	const start = "systemctl start cpulbd.socket, or cpulbd -private -socket PATH for one's own; --socket or CPULB_SOCKET names another"
	info, err := os.Lstat(p.Socket)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.add("socket", Failed, start, "there is no socket %s", p.Socket)
	case err != nil:
		p.add("socket", Failed, "the folders on the way have to be passable", "%v", err)
	case info.Mode()&fs.ModeSocket == 0:
		p.add("socket", Failed, "remove it, or name another with --socket", "%s is in the way: it is not a socket", p.Socket)
	case unix.Access(p.Socket, unix.R_OK|unix.W_OK) != nil:
		p.add("socket", Failed, joinGroup(info), "%s, %s, may not be used by this user", p.Socket, info.Mode().Perm())
	default:
		p.ok("socket", "%s, %s, of group %s", p.Socket, info.Mode().Perm(), group(info))
	}
}

func group(info fs.FileInfo) string {
	gid := strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Gid))
	if g, err := user.LookupGroupId(gid); err == nil {
		return g.Name
	}
	return gid
}

func joinGroup(info fs.FileInfo) string {
	if info.Mode().Perm()&0o060 == 0 {
		return "it is its owner's alone: ask as that user, or change socket.mode"
	}
	return "usermod -aG " + group(info) + " USER, and log in again"
}

// errNoStatus is what is wrong with JSON that no cpulbd writes.
var errNoStatus = errors.New("its status has no version")

// daemon asks the daemon how it is.
func (p *patient) daemon(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	raw, err := p.Daemon.Status(within)
	var st status
	if err == nil {
		err = json.Unmarshal(raw, &st)
	}
	if err == nil && st.Engine.Version == "" {
		err = errNoStatus
	}
	var problem *api.Problem
	switch {
	case errors.As(err, &problem):
		p.add("daemon", Failed, "see what it says; journalctl -u cpulbd has more", "%v", err)
		return
	case errors.Is(err, fs.ErrPermission):
		p.add("daemon", Failed, "see socket, above; or ask as another user", "this user may not connect to it: %v", err)
		return
	case errors.Is(err, client.ErrNoDaemon):
		p.add("daemon", Failed, "start it: systemctl start cpulbd, or cpulbd -private -socket PATH", "it does not answer: %v", err)
		return
	case errors.Is(err, client.ErrNoAnswer), within.Err() != nil:
		p.add("daemon", Failed, "it hangs, or was stopped: journalctl -u cpulbd says what it did last, and systemctl restart cpulbd starts it anew",
			"it takes connections, and has not answered in %s", answerTimeout)
		return
	case err != nil:
		p.add("daemon", Failed, "ss -xlp names the program that listens there; --socket or CPULB_SOCKET names another socket",
			"what answers on the socket is not cpulbd, or has just ended: %v", err)
		return
	}
	p.status = &st
	e := st.Engine
	switch {
	case e.Draining:
		p.add("daemon", Warning, "cpulb resume, unless it is about to stop", "it is draining: it takes no tasks")
	case e.Version != p.Version:
		p.add("daemon", Warning, "systemctl restart cpulbd, after an upgrade", "it is of version %s, and this program of %s", e.Version, p.Version)
	default:
		p.ok("daemon", "it answers, version %s, pid %d", e.Version, e.PID)
	}
	for _, name := range slices.Sorted(maps.Keys(st.Components)) {
		if c := st.Components[name]; c.Health != api.Healthy {
			p.add(name, Warning, "docs/operations.md, Health, says what it means", "%s: %s", c.Health, c.Reason)
		}
	}
}

// rights looks what the caller may do. Both calls are refused whoever makes them: who may not
// make them at all is refused for that.
func (p *patient) rights(ctx context.Context) {
	if p.status == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	_, administers := p.Daemon.Stacks(ctx, "-")
	_, err := p.Daemon.Submit(ctx, &task.Task{ID: task.NewID()})
	p.admin = answered(administers) && !denied(administers)
	switch {
	case !answered(administers):
		p.add("rights", Failed, askAgain, "this user's rights are not known: %v", administers)
	case !answered(err):
		p.add("rights", Failed, askAgain, "this user's rights are not known: %v", err)
	case denied(err):
		p.add("rights", Warning, "access.users and access.groups of the configuration say who may", "this user may not submit tasks: %v", err)
	case p.admin:
		p.ok("rights", "this user may submit tasks, and administers the daemon")
	default:
		p.ok("rights", "this user may submit tasks, and does not administer the daemon")
	}
}

const askAgain = "look at daemon, above, and run cpulb doctor again"

// answered reports whether it is the daemon that says err, or that all is well.
func answered(err error) bool {
	var problem *api.Problem
	return err == nil || errors.As(err, &problem) && problem.Code != ""
}

func denied(err error) bool {
	var problem *api.Problem
	return errors.As(err, &problem) && problem.Code == "not_allowed"
}

// executors looks at the programs that the workers run.
func (p *patient) executors(ctx context.Context) {
	if p.status == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	all, err := p.Daemon.Executors(ctx)
	if err != nil {
		p.add("executors", Failed, askAgain, "%v", err)
		return
	}
	for _, x := range all {
		p.executor(&x)
	}
}

func (p *patient) executor(x *api.ExecutorStatus) {
	name := "executor " + x.Name
	switch path, err := p.program(x.Command); {
	case len(x.Pools) == 0:
		p.ok(name, "%s, which no pool uses", x.Command)
	case x.SHA256 == "": // no worker runs
		p.add(name, Failed, "journalctl -u cpulbd says why its workers do not start", "no worker runs %s, for the pools %s", x.Command, strings.Join(x.Pools, ", "))
	case err != nil && p.admin:
		p.add(name, Warning, "put it back, or cpulb executors swap: a worker that ends is not replaced without it", "its workers run, but their program is gone: %v", err)
	default:
		p.ok(name, "%s, %s, for the pools %s", path, x.Runtime, strings.Join(x.Pools, ", "))
	}
}

// program returns where an executor's program is.
func (p *patient) program(command string) (string, error) {
	if !filepath.IsAbs(command) {
		found, err := p.Find(command)
		if err != nil {
			return command, err
		}
		return found, nil
	}
	info, err := os.Stat(command)
	if err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0) {
		err = fmt.Errorf("%s can't be executed", command)
	}
	return command, err
}

// littleRoom is how many bytes have to be free for the journal without a warning.
const littleRoom = 1 << 30

// state looks at the folder for what outlives the daemon.
func (p *patient) state(context.Context) {
	if p.status != nil && p.status.Components["journal"].Metrics["sync"] == "off" {
		p.ok("state", "nothing outlives the daemon: journal.sync is off")
		return
	}
	folder, err := p.stateFolder()
	if err != nil {
		p.ok("state", "it is not known where it is: %v", err)
		return
	}
	info, err := os.Stat(folder)
	var room unix.Statfs_t
	if err == nil {
		err = unix.Statfs(folder, &room)
	}
	free := int64(room.Bavail) * room.Bsize
	switch {
	case errors.Is(err, fs.ErrNotExist) && p.status == nil:
		p.ok("state", "%s is made when the daemon starts", folder)
	case errors.Is(err, fs.ErrPermission):
		p.ok("state", "%s is not for this user to look at", folder)
	case err != nil:
		p.add("state", Failed, "restart the daemon, which makes it", "%v", err)
	case info.Mode().Perm()&0o022 != 0:
		p.add("state", Failed, "chmod 700 "+folder, "others can write in %s, %s: the daemon does not start with it", folder, info.Mode().Perm())
	case free < littleRoom:
		p.add("state", Warning, "make room; docs/operations.md, Disk, says how much the journal may take", "%s has %d MiB left", folder, free>>20)
	default:
		p.ok("state", "%s, %s, %d MiB left", folder, info.Mode().Perm(), free>>20)
	}
}

// stateFolder returns the -state-dir of the daemon that runs, or where the packaged one has
// it.
func (p *patient) stateFolder() (string, error) {
	if p.status != nil {
		if folder, err := p.File(p.status.Engine.PID, "state-dir"); folder != "" || err != nil {
			return folder, err
		}
	}
	return p.path("var/lib/cpulb"), nil
}
