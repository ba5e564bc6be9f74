package sandbox

import (
	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// allocator gives an instance its linear memory: pages of its own from the kernel, all zero, that go
// back to it with the instance. What is reserved and not yet used counts for nothing.
type allocator struct {
	most   uint64 // bytes
	denied bool   // more was asked for
}

// Allocate implements experimental.MemoryAllocator. It can't fail; what does is Reallocate.
func (a *allocator) Allocate(_, most uint64) experimental.LinearMemory {
	return &linearMemory{owner: a, most: min(most, a.most)}
}

// linearMemory is a reservation of which the beginning can be used.
type linearMemory struct {
	owner    *allocator
	most     uint64
	reserved []byte
	usable   uint64
}

// Reallocate implements experimental.LinearMemory. nil lets the module's memory.grow return
// -1; the module goes on, if it can.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > m.most {
		m.owner.denied = true
		return nil
	}
	if m.reserved == nil && m.most > 0 {
		all, err := unix.Mmap(-1, 0, int(m.most), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
		if err != nil {
			m.owner.denied = true
			return nil
		}
		m.reserved = all
	}
	if size > m.usable {
		if err := unix.Mprotect(m.reserved[m.usable:size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			m.owner.denied = true
			return nil
		}
		m.usable = size
	}
	if size == 0 {
		return []byte{} // nil would say that there is none
	}
	return m.reserved[:size:size]
}

// Free implements experimental.LinearMemory.
func (m *linearMemory) Free() {
	if m.reserved != nil {
		_ = unix.Munmap(m.reserved)
		m.reserved, m.usable = nil, 0
	}
}
