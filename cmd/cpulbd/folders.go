package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"cpulb/daemon"
	"cpulb/daemon/config"
	"cpulb/internal/trust"
)

// workersPath returns where the workers' sockets are to be: in the unit's
// RuntimeDirectory= when systemd made one, else beside the socket. With a -socket
// of its own a daemon never shares the folder of the unit that it happens to run
// in.
func (o *options) workersPath(socket string) string {
	first, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	if first != "" && o.socket == "" {
		return filepath.Join(first, "workers")
	}
	return socket + ".d"
}

// workersFolder is the folder for the workers' sockets, locked: a daemon that
// still drains has given up its socket already, and one that starts meanwhile
// must not empty the folder under it.
type workersFolder struct {
	path string
	lock *os.File
}

// errFolderMoved: the folder was removed between opening and locking it.
var errFolderMoved = errors.New("the folder was removed meanwhile")

// claimFolder makes an empty folder for this process and user alone. What a
// killed daemon left there is removed; the lock of a killed one is gone with it.
func (o *options) claimFolder(path string) (*workersFolder, error) {
	if err := o.trusted(path); errors.Is(err, trust.ErrWay) { // what else may be wrong is seen when it is locked
		return nil, fmt.Errorf("folder for the workers: %w", err)
	}
	for {
		f, err := lockFolder(path)
		if errors.Is(err, errFolderMoved) {
			continue // its last owner has just finished; make it anew
		}
		if err == nil {
			err = f.empty()
		}
		if err != nil {
			return nil, fmt.Errorf("folder for the workers: %w", err)
		}
		return f, nil
	}
}

func lockFolder(path string) (*workersFolder, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	// Neither follow nor trust what somebody else put there: the socket may stand
	// in a folder like /tmp, where anyone may write.
	lock, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errFolderMoved
	}
	if err != nil {
		return nil, fmt.Errorf("%w; it is in the way", err)
	}
	f := &workersFolder{path: path, lock: lock}
	if err := f.secure(); err != nil {
		lock.Close()
		return nil, err
	}
	return f, nil
}

func (f *workersFolder) secure() error {
	info, err := f.lock.Stat()
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is in the way: it does not belong to uid %d", f.path, os.Geteuid())
	}
	if err := syscall.Flock(int(f.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%s is in use: another cpulbd runs there or has not quite stopped: %w", f.path, err)
	}
	now, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, now) {
		return errFolderMoved
	}
	if err != nil {
		return err
	}
	return f.lock.Chmod(0o700)
}

func (f *workersFolder) empty() error {
	entries, err := os.ReadDir(f.path)
	for _, e := range entries {
		err = errors.Join(err, daemon.RemoveWorker(filepath.Join(f.path, e.Name())))
	}
	return err
}

// remove ends the claim; whatever the workers left goes with it.
func (f *workersFolder) remove() {
	_ = f.empty()
	_ = os.Remove(f.path) // the next start tries again
	f.lock.Close()
}

// defaultState is where what outlives the daemon is kept, unless it is told
// otherwise by -state-dir or systemd's StateDirectory=.
const defaultState = "/var/lib/cpulb"

// stateFolder makes the folder for what outlives the daemon, if anything does. A
// private daemon keeps nothing in a folder that it was not given.
func (o *options) stateFolder(c *config.Config) (string, error) {
	if c.Journal.Sync == "off" && o.stateDir == "" {
		return "", nil
	}
	path := o.stateDir
	if path == "" {
		if o.private {
			return "", nil
		}
		first, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
		path = cmp.Or(first, defaultState)
	}
	// Before it is made, too: not in a place to which others lead.
	err := o.trusted(path)
	if err == nil {
		err = os.MkdirAll(path, 0o700)
	}
	if err == nil || errors.Is(err, trust.ErrOpen) {
		if err = closeEmpty(path); err == nil {
			err = o.trusted(path)
		}
	}
	if err != nil {
		return "", fmt.Errorf("-state-dir: %w", err)
	}
	return path, nil
}

// closeEmpty closes an empty folder to others: nobody has left anything there that the
// daemon would believe.
func closeEmpty(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o022 == 0 {
		return err
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) > 0 {
		return err
	}
	return os.Chmod(path, 0o700)
}

// trusted refuses a folder that others control: they would have the daemon run their
// tasks as its user. A private daemon that is not root's is for tests and demonstrations,
// and may stand in a folder where others can make and remove names; the folder itself
// has to be its own all the same.
func (o *options) trusted(path string) error {
	err := trust.Folder(path, os.Geteuid())
	if errors.Is(err, trust.ErrWay) && o.private && os.Geteuid() != 0 {
		return trust.Itself(path, os.Geteuid())
	}
	return err
}
