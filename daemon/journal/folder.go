package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// file is a segment's file.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync returns once what was written outlives the machine.
	Sync() error
	Size() (int64, error)
}

// folder is where the segments are. Tests have one that forgets what was not synced.
type folder interface {
	// List returns the names of all that is in it, in order.
	List() ([]string, error)
	Open(name string) (file, error)
	// Create makes a file that is not there.
	Create(name string) (file, error)
	Remove(name string) error
	// Sync returns once names that were made and removed outlive the machine.
	Sync() error
	// Holds returns an error if f is no longer what stands under name.
	Holds(name string, f file) error
	// Restore makes the folder again, if it has been moved or removed.
	Restore() error
	// Reserve sets some room aside, if there is enough; Release gives it up, so that what
	// makes room can be written when there is none.
	Reserve() error
	Release()
	// Path is for messages.
	Path(name string) string
}

// osFolder is a folder of the file system. It is within one that is locked.
type osFolder struct {
	path string
	lock *lock
}

func (d *osFolder) Path(name string) string { return filepath.Join(d.path, name) }

func (d *osFolder) List() ([]string, error) {
	entries, err := os.ReadDir(d.path)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (d *osFolder) Open(name string) (file, error) {
	path := d.Path(name)
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s: %w: it is not a regular file", path, ErrForeign), f.Close())
	}
	if err := private(path, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return osFile{f}, nil
}

func (d *osFolder) Create(name string) (file, error) {
	f, err := os.OpenFile(d.Path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d *osFolder) Remove(name string) error { return os.Remove(d.Path(name)) }

// Sync implements folder. Where the folder is gone there is nothing to fail for: the writer
// finds that, and writes anew what is needed.
func (d *osFolder) Sync() error {
	if err := syncFolder(d.path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

const (
	reserveName  = "reserve"
	reserveBytes = 256 << 10
)

func (d *osFolder) Reserve() error {
	path := d.Path(reserveName)
	const flags = os.O_WRONLY | os.O_CREATE | unix.O_NOFOLLOW | unix.O_NONBLOCK
	f, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EISDIR) { // it is not a file
		d.Release()
		f, err = os.OpenFile(path, flags, 0o600)
	}
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, reserveBytes)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = nil
	}
	if err = errors.Join(err, f.Close()); err != nil {
		d.Release()
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (d *osFolder) Release() { _ = os.Remove(d.Path(reserveName)) }

func (d *osFolder) Restore() error {
	if err := d.lock.renew(filepath.Dir(d.path)); err != nil {
		return err
	}
	return makePrivate(d.path)
}

func (d *osFolder) Holds(name string, f file) error {
	named, err := os.Lstat(d.Path(name))
	if err != nil {
		return err
	}
	open, err := f.(osFile).Stat()
	if err == nil && !os.SameFile(named, open) {
		err = fmt.Errorf("%s is another file now", d.Path(name))
	}
	return err
}

// osFile is a file of the file system.
type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Sync implements file. It leaves out what reading does not need, such as times.
func (f osFile) Sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
