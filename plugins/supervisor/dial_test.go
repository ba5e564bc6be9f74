package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"golang.org/x/sys/unix"
)

// theirsEnv is the control socket of another worker.
const theirsEnv = "SUPERVISOR_TEST_THEIRS"

// elsewhere leads the daemon to another worker at once.
func elsewhere() {
	fmt.Println("1|1|unix|" + os.Getenv(theirsEnv) + "|grpc")
	select {}
}

// diverts leads the daemon to another worker as soon as it is asked for its health: it puts a
// link in the place of its control socket, and ends the daemon's connection.
type diverts struct{ executortest.Fake }

func (diverts) Health(context.Context) (time.Duration, error) {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0, err
	}
	for _, e := range fds {
		fd, _ := strconv.Atoi(e.Name())
		name, _ := unix.Getsockname(fd)
		at, ok := name.(*unix.SockaddrUnix)
		if _, err := unix.Getpeername(fd); err != nil || !ok || !strings.Contains(at.Name, "/plugin-dir") {
			continue
		}
		if err := errors.Join(os.Rename(at.Name, at.Name+".own"), os.Symlink(os.Getenv(theirsEnv), at.Name), unix.Shutdown(fd, unix.SHUT_RDWR)); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// controlOf waits for nothing: the worker has started.
func (b *box) controlOf() string {
	b.Helper()
	var found string
	err := filepath.WalkDir(b.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type()&os.ModeSocket != 0 && e.Name() != "slots.sock" {
			found = path
		}
		return err
	})
	if found == "" || err != nil && !errors.Is(err, fs.ErrNotExist) { // the slots' goes meanwhile
		b.Fatalf("%q: %v", found, err)
	}
	return found
}

// diverted is a spec of a worker that leads the daemon to another one's control socket.
func (b *box) diverted(role string, of *supervisor.User) supervisor.Spec {
	spec := b.spec(role)
	spec.User = of
	spec.Env[theirsEnv] = b.controlOf()
	return spec
}

func TestTheDaemonDoesNotSpeakToAnotherWorkerInsteadOfTheOneThatItStarts(t *testing.T) {
	b := newBox(t)
	other := b.start(b.spec("executor"), recorders)
	if err := b.fails(t.Context(), b.diverted("elsewhere", nil)); !strings.Contains(err.Error(), plugins.ErrNotWorker.Error()) {
		t.Error(err)
	}
	if _, err := other.Health(t.Context()); err != nil {
		t.Error("the other worker:", err)
	}
}

func TestTheDaemonDoesNotSpeakToAnotherWorkerAfterItsConnectionHasBroken(t *testing.T) {
	b := newBox(t)
	other := b.start(b.spec("executor"), recorders)
	p := b.start(b.diverted("diverts", nil), recorders)
	if err := brokenOff(t, p); !strings.Contains(err.Error(), plugins.ErrNotWorker.Error()) {
		t.Error(err)
	}
	assertLeftAlone(t, p, other)
}

// The link leads to a socket that the user can't reach, and the daemon can.
func TestTheDaemonReachesAWorkersSocketsWithItsUsersRightsAlone(t *testing.T) {
	u := nobody(t)
	b := newBox(t)
	other := b.start(b.spec("executor"), recorders)
	p := b.start(b.diverted("diverts", u), recorders)
	if err := brokenOff(t, p); !strings.Contains(err.Error(), "permission denied") {
		t.Error(err)
	}
	assertLeftAlone(t, p, other)
}

// brokenOff has a worker divert its connection, and returns how the next call fails that had
// to make it anew.
func brokenOff(t *testing.T, p *supervisor.Process) error {
	t.Helper()
	for _, err := p.Health(t.Context()); t.Context().Err() == nil; _, err = p.Stats(t.Context()) {
		if err != nil && strings.Contains(err.Error(), "dial") {
			return err
		}
	}
	t.Fatal("it is never dialled again")
	return nil
}

func assertLeftAlone(t *testing.T, p, other *supervisor.Process) {
	t.Helper()
	p.Stop(t.Context()) // with a Drain, which goes to whoever is there
	if _, err := other.Health(t.Context()); err != nil {
		t.Error("the other worker:", err)
	}
	other.Stop(t.Context())
	if how := other.Exit(); how != "exit status 0" {
		t.Error("the other worker ended with", how)
	}
}
