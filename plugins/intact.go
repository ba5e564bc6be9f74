package plugins

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// A script can close any descriptor of its process, or put something else in its place. A
// worker without one of its slots' connections is of no use and ends itself: the daemon need
// not notice, as a copy of the connection may be in another process, or under another number.

// attendEvery is how often a worker looks after its descriptors.
const attendEvery = 5 * time.Second

// errTaken: what has the descriptor's number is not what the worker opened.
var errTaken = errors.New("the descriptor has been closed, or is of something else")

// attend sees to it, whatever scripts do, that what is held leaves, and that what slots say
// goes to the daemon. It lives as long as the process.
func (w *worker) attend() {
	for {
		time.Sleep(attendEvery)
		w.lookAfter()
	}
}

func (w *worker) lookAfter() {
	for _, s := range w.slots {
		s.up.flusher.rescue()
		if taken(func() bool { return s.slot.Load() != nil }, s.intact) {
			w.giveUp(s.index, errTaken)
		}
	}
	if l := w.loop; l != nil && taken(l.opened.Load, l.intact) {
		w.giveUp(l.first, errTaken)
	}
}

// taken reports whether a descriptor is not what it was, and not because its owner has closed
// it: he says that it is not open any more before he does.
func taken(open, intact func() bool) bool { return open() && !intact() && open() }

// giveUp ends the process for what has become of a slot.
func (w *worker) giveUp(slot int, err error) {
	w.log.Error("a slot has no connection any more; the worker ends", "slot", slot, "error", err)
	if w.end != nil {
		w.end()
	}
}

// inode names an open file: no other has the same at the same time.
type inode struct{ dev, ino uint64 }

// inodeOf is that of a descriptor; the zero inode: there is none.
func inodeOf(fd int) inode {
	var about unix.Stat_t
	if unix.Fstat(fd, &about) != nil {
		return inode{}
	}
	return inode{about.Dev, about.Ino}
}

// intact reports whether the slot's descriptor is still that of its connection.
func (s *slotServer) intact() bool { return inodeOf(s.up.fd) == s.inode }

func (l *loopServer) intact() bool { return inodeOf(l.socket) == l.inode }
