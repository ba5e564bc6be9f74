package ipc_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

func TestSecondDaemonIsRefused(t *testing.T) {
	l, path := ipctest.Listen(t)
	defer l.Close()
	_, err := ipc.Listen(ipc.ListenConfig{Path: path, Mode: 0o600})
	if !errors.Is(err, ipc.ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Fatalf("error: %v", err)
	}
	if _, err := net.Dial("unix", path); err != nil {
		t.Fatalf("the first daemon's socket was hurt: %v", err)
	}
}

func TestOfManyDaemonsThatStartAtOnceOneListens(t *testing.T) {
	path := filepath.Join(ipctest.Folder(t), "s")
	leaveStale(t, path)
	var listening atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			l, err := ipc.Listen(ipc.ListenConfig{Path: path, Mode: 0o600})
			switch {
			case err == nil:
				listening.Add(1)
				t.Cleanup(func() { l.Close() })
			case !errors.Is(err, ipc.ErrInUse):
				t.Errorf("error: %v", err)
			}
		})
	}
	wg.Wait()
	if n := listening.Load(); n != 1 {
		t.Fatalf("%d daemons listen", n)
	}
}

// leaveStale leaves the socket of a daemon that was killed.
func leaveStale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(ipctest.Folder(t), "s")
	leaveStale(t, path)
	l, err := ipc.Listen(ipc.ListenConfig{Path: path, Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func TestWhatIsNoSocketIsLeftAlone(t *testing.T) {
	dir := ipctest.Folder(t)
	stale := filepath.Join(dir, "stale")
	leaveStale(t, stale)
	file, folder, link := filepath.Join(dir, "file"), filepath.Join(dir, "folder"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte("precious"), 0o600), os.Mkdir(folder, 0o700), os.Symlink(stale, link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, folder, link} {
		if _, err := ipc.Listen(ipc.ListenConfig{Path: path, Mode: 0o600}); err == nil || !strings.Contains(err.Error(), "not a socket") {
			t.Errorf("%s: error: %v", path, err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s was removed", path)
		}
	}
}

func TestTheSocketHasItsModeAndGroup(t *testing.T) {
	path := filepath.Join(ipctest.Folder(t), "s")
	l, err := ipc.Listen(ipc.ListenConfig{Path: path, Mode: 0o660, Group: strconv.Itoa(os.Getegid())})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm() != 0o660 || int(stat.Gid) != os.Getegid() {
		t.Fatalf("mode %v, group %d", info.Mode(), stat.Gid)
	}
}

func TestABadSocketIsAClearError(t *testing.T) {
	dir := ipctest.Folder(t)
	for _, c := range []struct {
		name   string
		config ipc.ListenConfig
		says   string
	}{
		{"unknown group", ipc.ListenConfig{Path: dir + "/s", Group: "no-such-group-here"}, "no-such-group-here"},
		{"long path", ipc.ListenConfig{Path: dir + "/" + strings.Repeat("x", 108)}, "the most is 107"},
		{"no path", ipc.ListenConfig{}, "empty"},
		{"abstract", ipc.ListenConfig{Path: "@cpulb"}, "abstract"},
		{"no folder", ipc.ListenConfig{Path: dir + "/none/s"}, dir + "/none does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ipc.Listen(c.config); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error: %v, want %q in it", err, c.says)
			}
		})
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestClosingLeavesAnothersSocketAlone(t *testing.T) {
	l, path := ipctest.Listen(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := ipc.Listen(ipc.ListenConfig{Path: path, Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	l.Close()
	if _, err := net.Dial("unix", path); err != nil {
		t.Fatalf("the other daemon's socket is gone: %v", err)
	}
}
