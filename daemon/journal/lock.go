package journal

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lock is the lock of the journal's folder, which one process has at a time.
type lock struct{ f *os.File }

// claim makes the folder, if it is not there, and locks it.
func claim(dir string) (*lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := openPrivate(dir)
	if err != nil {
		return nil, err
	}
	for until := time.Now().Add(lockTimeout); ; time.Sleep(lockTimeout / 20) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return &lock{f}, f.Chmod(0o700)
		case !errors.Is(err, unix.EWOULDBLOCK):
			return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), f.Close())
		case time.Now().After(until):
			return nil, errors.Join(fmt.Errorf("%s: %w", dir, ErrInUse), f.Close())
		}
	}
}

// renew locks the folder again if it is another one now, or was removed.
func (l *lock) renew(dir string) error {
	if now, err := os.Stat(dir); err == nil {
		if old, err := l.f.Stat(); err == nil && os.SameFile(now, old) {
			return nil
		}
	}
	again, err := claim(dir)
	if err != nil {
		return err
	}
	old := l.f
	l.f = again.f
	return old.Close()
}

// Close implements io.Closer.
func (l *lock) Close() error { return l.f.Close() }

// makePrivate makes a folder of the owner's alone, or sees that it is one.
func makePrivate(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	f, err := openPrivate(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o700), f.Close())
}

// openPrivate opens a folder that nobody else may change.
func openPrivate(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if info, other := os.Lstat(path); err != nil && other == nil && !info.IsDir() {
		err = fmt.Errorf("%s: %w: it is not a folder; a link to one is not followed", path, ErrForeign)
	}
	if err != nil {
		return nil, err
	}
	if err := private(path, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// private refuses what belongs to another user, or what others may write to.
func private(path string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	owner, self := info.Sys().(*syscall.Stat_t).Uid, uint32(os.Geteuid())
	switch {
	case owner != self:
		return fmt.Errorf("%s: %w: it belongs to uid %d, and the daemon runs as uid %d", path, ErrUnsafe, owner, self)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s: %w: others than its owner may write to it (mode %04o)", path, ErrUnsafe, info.Mode().Perm())
	}
	return nil
}
