package supervisor_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cpulb/plugins/supervisor"
)

// nobody is a user that every machine has, by its number.
func nobody(t *testing.T) *supervisor.User {
	t.Helper()
	if err := supervisor.MayChangeUser(); err != nil {
		t.Skip("workers can't have another user here:", err)
	}
	u, err := supervisor.FindUser("65534", "65534")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAWorkerOfAUserHasNothingOfTheDaemons(t *testing.T) {
	b := newBox(t)
	spec := b.spec("executor")
	spec.User = nobody(t)
	p := b.start(spec, recorders)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534\n", "Gid:\t65534\t65534\t65534\t65534\n", "Groups:\t65534", "NoNewPrivs:\t1\n",
		"CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "CapAmb:\t0000000000000000\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
	info, err := os.Stat(filepath.Join(b.dir, "1"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 || info.Sys().(*syscall.Stat_t).Uid != 65534 {
		t.Errorf("its folder has mode %04o and belongs to %d", info.Mode().Perm(), info.Sys().(*syscall.Stat_t).Uid)
	}
	if all, err := os.Stat(b.dir); err != nil || all.Mode().Perm() != 0o711 {
		t.Errorf("the folder of all workers: %v %v", all, err)
	}
}

// This process may lack CAP_SYS_RESOURCE, as in containers: then the user itself has to do it.
func TestAWorkerOfAUserCannotHaveMoreMemoryThanItsLimit(t *testing.T) {
	b := newBox(t)
	spec := b.spec("executor")
	spec.User, spec.Limits.MemoryBytes = nobody(t), 64<<20
	p := b.start(spec, recorders)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if bound, ok := strings.CutPrefix(line, "Max data size"); ok {
			if soft := strings.Fields(bound)[0]; soft == "unlimited" || p.MemoryLimit() != supervisor.MemoryRlimit {
				t.Errorf("its data may have %s bytes, its memory is limited by %s", soft, p.MemoryLimit())
			}
			return
		}
	}
	t.Errorf("no bound of data in\n%s", limits)
}

// Root may open every socket; so it is not its mode that refuses this process's child. The
// slots' is gone once all are connected.
func TestAWorkersControlSocketAnswersTheDaemonAlone(t *testing.T) {
	b := newBox(t)
	b.start(b.spec("executor"), recorders)
	var sockets []string
	err := filepath.WalkDir(b.dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type()&os.ModeSocket != 0 && e.Name() != "slots.sock" {
			sockets = append(sockets, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) || len(sockets) != 1 {
		t.Fatalf("sockets: %v %v", sockets, err)
	}
	for _, path := range sockets {
		said, err := asStranger(t, path)
		if err != nil || !strings.Contains(said, "closed") {
			t.Errorf("%s: a stranger was told %q, %v", path, said, err)
		}
	}
}

// socketEnv is where a stranger connects.
const socketEnv = "SUPERVISOR_TEST_SOCKET"

func asStranger(t *testing.T, path string) (said string, err error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), roleEnv+"=stranger", socketEnv+"="+path)
	out, err := cmd.Output()
	return string(out), err
}

// stranger is what a process that is not the daemon does: it connects, says what the
// daemon would, and waits to be answered or put out.
func stranger(path string) {
	conn, err := net.Dial("unix", path)
	if err == nil {
		_, _ = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
		_, err = conn.Read(make([]byte, 1))
	}
	if err == io.EOF || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		fmt.Println("closed")
		return
	}
	fmt.Println("answered", err)
}

func TestUsersThatAreNotThereAreNamed(t *testing.T) {
	for _, c := range []struct{ user, group, want string }{
		{"no-such-user", "", `there is no user "no-such-user"`},
		{"root", "no-such-group", `there is no group "no-such-group"`},
		{"4000000000", "", "user 4000000000 has no entry, and so no group of its own; name one (group)"},
		{"4294967295", "0", `there is no user "4294967295"`},
	} {
		if _, err := supervisor.FindUser(c.user, c.group); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s: %v", c.user, c.group, err)
		}
	}
}
