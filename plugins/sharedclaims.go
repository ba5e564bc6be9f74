package plugins

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedClaims is the daemon's end of the claim tables that it shares with a worker, one
// for each slot of a connection. The memory can't be taken away under the daemon: the
// file's size is sealed.
type sharedClaims struct{ tables []claims }

// errNoTable is matched by a descriptor that is not of a claim table.
var errNoTable = errors.New("not a claim table")

// newSharedClaims makes empty tables for so many slots, and a descriptor of them to be
// passed on, which is the caller's to close. The memory is given back when nobody has the
// tables any more.
func newSharedClaims(slots int) (shared *sharedClaims, fd int, err error) {
	fd, err = unix.MemfdCreate("cpulb-claims", unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("cpulb-claims", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, -1, fmt.Errorf("claim table: %w", err)
	}
	if err = unix.Ftruncate(fd, sizeOfTables(slots)); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	var memory []byte
	if err == nil {
		memory, err = mapTables(fd, slots)
	}
	if err != nil {
		unix.Close(fd)
		return nil, -1, fmt.Errorf("claim table: %w", err)
	}
	shared = &sharedClaims{tablesIn(memory, slots)}
	runtime.AddCleanup(shared, func(memory []byte) { _ = unix.Munmap(memory) }, memory) // an error: it stays
	return shared, fd, nil
}

// openSharedClaims maps the tables of so many slots that the daemon has passed, for the
// life of the process.
func openSharedClaims(fd, slots int) ([]claims, error) {
	var about unix.Stat_t
	if err := unix.Fstat(fd, &about); err != nil {
		return nil, fmt.Errorf("claim table: %w", err)
	}
	if about.Size != sizeOfTables(slots) {
		return nil, fmt.Errorf("%w: it has %d bytes", errNoTable, about.Size)
	}
	memory, err := mapTables(fd, slots)
	if err != nil {
		return nil, fmt.Errorf("claim table: %w", err)
	}
	return tablesIn(memory, slots), nil
}

// sizeOfTables is how large the file is: whole pages.
func sizeOfTables(slots int) int64 {
	page := os.Getpagesize()
	return int64((slots*int(unsafe.Sizeof(claims{})) + page - 1) / page * page)
}

func mapTables(fd, slots int) ([]byte, error) {
	return unix.Mmap(fd, 0, int(sizeOfTables(slots)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func tablesIn(memory []byte, slots int) []claims {
	return unsafe.Slice((*claims)(unsafe.Pointer(unsafe.SliceData(memory))), slots)
}

// recall is that of the i-th table. It keeps the memory: nobody else may have it by now.
func (s *sharedClaims) recall(i int, seq uint64) Claim {
	defer runtime.KeepAlive(s)
	claim, _ := s.tables[i].recall(seq)
	return claim
}

// fate is that of the i-th table, likewise.
func (s *sharedClaims) fate(i int, seq uint64) Fate {
	defer runtime.KeepAlive(s)
	return s.tables[i].fate(seq)
}
