package plugins

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedClaims is the daemon's end of a claim table that it shares with a worker. The
// memory can't be taken away under the daemon: the file's size is sealed.
type sharedClaims struct{ table *claims }

// errNoTable is matched by a descriptor that is not of a claim table.
var errNoTable = errors.New("not a claim table")

// newSharedClaims makes an empty table, and a descriptor of it to be passed on, which is
// the caller's to close. The memory is given back when nobody has the table any more.
func newSharedClaims() (shared *sharedClaims, fd int, err error) {
	fd, err = unix.MemfdCreate("cpulb-claims", unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("cpulb-claims", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, -1, fmt.Errorf("claim table: %w", err)
	}
	if err = unix.Ftruncate(fd, int64(os.Getpagesize())); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	var memory []byte
	if err == nil {
		memory, err = mapTable(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, -1, fmt.Errorf("claim table: %w", err)
	}
	shared = &sharedClaims{tableIn(memory)}
	runtime.AddCleanup(shared, func(memory []byte) { _ = unix.Munmap(memory) }, memory) // an error: it stays
	return shared, fd, nil
}

// openSharedClaims maps the table that the daemon has passed, for the life of the process.
func openSharedClaims(fd int) (*claims, error) {
	var about unix.Stat_t
	if err := unix.Fstat(fd, &about); err != nil {
		return nil, fmt.Errorf("claim table: %w", err)
	}
	if about.Size != int64(os.Getpagesize()) {
		return nil, fmt.Errorf("%w: it has %d bytes", errNoTable, about.Size)
	}
	memory, err := mapTable(fd)
	if err != nil {
		return nil, fmt.Errorf("claim table: %w", err)
	}
	return tableIn(memory), nil
}

func mapTable(fd int) ([]byte, error) {
	return unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func tableIn(memory []byte) *claims { return (*claims)(unsafe.Pointer(unsafe.SliceData(memory))) }

// recall is that of the table. It keeps the memory: nobody else may have the table by now.
func (s *sharedClaims) recall(seq uint64) Claim {
	defer runtime.KeepAlive(s)
	claim, _ := s.table.recall(seq)
	return claim
}

// fate is that of the table, likewise.
func (s *sharedClaims) fate(seq uint64) Fate {
	defer runtime.KeepAlive(s)
	return s.table.fate(seq)
}
