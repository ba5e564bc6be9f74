package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"cpulb/plugins/cgroup"
	"cpulb/plugins/reaper"

	"github.com/hashicorp/go-hclog"
)

// ErrClosed is matched by the error of Start after Close.
var ErrClosed = errors.New("the launcher is closed")

// Launcher starts workers.
type Launcher struct {
	dir  string
	mark string // the part that all workers' marks have in common
	log  hclog.Logger

	threads threads

	mu     sync.Mutex
	serves string       // the last part of all marks, see Serve
	tree   *cgroup.Tree // nil: none
	starts int
	closed bool
}

// NewLauncher returns a Launcher whose workers have their private folders in dir,
// which exists and belongs to this Launcher alone. It ends processes that the workers
// of an earlier Launcher in the same folder have left.
func NewLauncher(dir string, log hclog.Logger) (*Launcher, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("workers' folder: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return nil, fmt.Errorf("workers' folder: %s is not a folder", dir)
	}
	l := &Launcher{dir: dir, log: log, mark: identity(stat) + "/"}
	l.threads.replenish()
	if err := sweep(reapTimeout, func(mark string) bool { return strings.HasPrefix(mark, l.mark) }); err != nil {
		log.Warn("a process of an earlier daemon could not be ended", "error", err)
	}
	return l, nil
}

// identity names a folder. Its path would not do: a daemon in another mount namespace may
// have the same.
func identity(stat *syscall.Stat_t) string { return fmt.Sprintf("%x:%x", stat.Dev, stat.Ino) }

// sweep ends processes that an earlier Launcher's workers have left, in whatever
// session, and returns once they have ended.
func sweep(within time.Duration, is func(mark string) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return reaper.KillMarked(ctx, 0, is)
}

// serveTimeout is how long workers of an earlier daemon may take to end: the kernel has to
// give back their memory.
const serveTimeout = 30 * time.Second

// Serve says whose tasks the workers run that are started from now on: those that are
// kept in folder, of which the caller has made sure that nobody else has them. It ends all
// workers of earlier Launchers that ran these, wherever their own folders were. An error
// means that one may still run.
func (l *Launcher) Serve(folder string) error {
	var stat syscall.Stat_t
	if err := syscall.Stat(folder, &stat); err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	serves := "@" + identity(&stat)
	if err := sweep(serveTimeout, func(mark string) bool { return strings.HasSuffix(mark, serves) }); err != nil {
		return fmt.Errorf("a process of an earlier daemon could not be ended, and may still run a task: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serves = serves
	return nil
}

// Contain puts each worker that is started from now on into a cgroup of its own in t.
func (l *Launcher) Contain(t *cgroup.Tree) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tree = t
}

// Close prevents further starts. Running workers go on.
func (l *Launcher) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// lodging holds the folder, the mark and the cgroup of one worker.
type lodging struct {
	dir       string
	mark      string
	group     *cgroup.Group // nil: none
	contained bool          // group limits its memory
}

// A Unix socket's path has room for maxSocketPath bytes (unix(7)); go-plugin adds
// two random names to the folder's.
const (
	maxSocketPath    = 107
	pluginSocketPath = 39 // "/plugin-dir" and "/plugin", each with up to ten digits, and the NUL
)

// lodge makes room for a worker. The folder's name is short, see maxSocketPath.
func (l *Launcher) lodge(spec Spec) (home lodging, err error) {
	l.mu.Lock()
	l.starts++
	number, serves, tree, closed := strconv.Itoa(l.starts), l.serves, l.tree, l.closed
	l.mu.Unlock()
	if closed {
		return home, ErrClosed
	}
	home = lodging{dir: filepath.Join(l.dir, number), mark: l.mark + number + serves}
	if n := len(home.dir) + pluginSocketPath; n > maxSocketPath {
		return home, fmt.Errorf("runtime folder %s is %d bytes too long for Unix sockets in it", home.dir, n-maxSocketPath)
	}
	if err := l.mkdir(home.dir); err != nil {
		return home, fmt.Errorf("worker folder: %w", err)
	}
	if tree != nil {
		if err := home.contain(tree, spec, number); err != nil {
			_ = os.Remove(home.dir)
			return home, err
		}
	}
	return home, nil
}

// mkdir makes a folder in l.dir, which it makes again if somebody has removed it:
// running workers do not need it any more, new ones do.
func (l *Launcher) mkdir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Mkdir(l.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) { // another start may have made it
		return err
	}
	l.log.Warn("the folder of the workers was gone, and has been made again", "path", l.dir)
	return os.Mkdir(dir, 0o700)
}

// contain makes the cgroup, named after the worker.
func (h *lodging) contain(t *cgroup.Tree, spec Spec, number string) (err error) {
	h.group, err = t.New(strings.ReplaceAll(spec.ID, "/", "_") + "." + number)
	if err != nil || spec.Limits.MemoryBytes == 0 || !t.HasMemory() {
		return err
	}
	if err := h.group.LimitMemory(spec.Limits.MemoryBytes); err != nil {
		_ = h.group.End() // nobody has ever been in it
		return fmt.Errorf("%w: %w", ErrLimit, err)
	}
	h.contained = true
	return nil
}
