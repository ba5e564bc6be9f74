// Package outbox writes to one socket for many: an Outbox keeps the order of its
// Writes, never blocks their callers, and joins what has gathered into as few
// system calls as it can.
//
// When nothing is being written, Write itself makes one attempt that does not
// block; this spares a hand-over between goroutines on the way of a lone small
// message. What the socket does not take is left to a goroutine that lives only
// as long as there is something to write.
package outbox

import (
	"context"
	"errors"
	"net"
	"sync"

	"cpulb/internal/rawio"
)

// ErrFull is returned by Write when taking the bytes would exceed the bound. The
// Outbox stays usable; the bytes of that Write are not taken.
var ErrFull = errors.New("outbox is full")

// ErrClosed is returned by Write after Close.
var ErrClosed = errors.New("outbox is closed")

// TakenOver is the size in bytes from which Write takes a buffer over instead of
// copying it.
const TakenOver = 64 << 10

// Budget is what bounds several outboxes together. Its methods do not block and call no
// Outbox.
type Budget interface {
	// Take takes n bytes, or reports that there is no room for them.
	Take(n int64) bool
	// Give gives n bytes back.
	Give(n int64)
}

// free is how much of each Outbox is beside its Budget: a few lines that wait for a
// moment do not depend on what others hold.
const free = 16 << 10

// Outbox queues bytes for one connection. It is safe for concurrent use.
type Outbox struct {
	conn *rawio.Conn
	max  int

	mu     sync.Mutex
	queue  net.Buffers
	spare  net.Buffers // empty, for the next queue
	open   bool        // the last buffer of queue is ours to append to
	queued int
	// written is what the socket has taken.
	written int64
	// held is what the queued buffers take: one that is written in part is there as a
	// whole. taken is how much of the budget that is.
	held, taken int64
	budget      Budget
	corks       int
	writing     bool
	closed      bool
	err         error // that ended writing
	idle        *sync.Cond
}

// New returns an Outbox for conn, which holds at most max bytes; 0 means without
// bound. conn stays the caller's to close.
func New(conn *rawio.Conn, max int) *Outbox {
	o := &Outbox{conn: conn, max: max}
	o.idle = sync.NewCond(&o.mu)
	return o
}

// Share has o take from b, for what waits beyond a few KiB: Write returns ErrFull also
// where b has no room. It is called before the first Write.
func (o *Outbox) Share(b Budget) { o.budget = b }

// Write queues bufs in order, as one unit. A buffer of TakenOver bytes or more
// becomes the Outbox's own and must not be changed; smaller ones are copied. It
// returns ErrFull, ErrClosed or the error that ended writing, which stays for ever.
func (o *Outbox) Write(bufs ...[]byte) error {
	n, size := 0, int64(0)
	for _, b := range bufs {
		n += len(b)
		size += weight(len(b))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.err != nil:
		return o.err
	case o.closed:
		return ErrClosed
	case o.max > 0 && o.queued+n > o.max:
		return ErrFull
	case !o.hold(size):
		return ErrFull
	}
	for _, b := range bufs {
		if len(b) > 0 {
			o.add(b)
		}
	}
	o.queued += n
	o.kick()
	return nil
}

// weight is about what a buffer of n bytes takes. A small one has room for as much again.
func weight(n int) int64 {
	if n >= TakenOver {
		return int64(n)
	}
	return 2 * int64(n)
}

// hold counts n bytes more, or fewer; false: the budget has no room. o.mu is held.
func (o *Outbox) hold(n int64) bool {
	if o.budget != nil {
		change := max(0, o.held+n-free) - o.taken
		if change > 0 && !o.budget.Take(change) {
			return false
		}
		if change < 0 {
			o.budget.Give(-change)
		}
		o.taken += change
	}
	o.held += n
	return true
}

func (o *Outbox) add(b []byte) {
	if len(b) >= TakenOver {
		o.queue, o.open = append(o.queue, b), false
		return
	}
	for len(b) > 0 {
		last := len(o.queue) - 1
		if !o.open || len(o.queue[last]) == chunkBytes {
			o.queue, o.open = append(o.queue, chunks.Get().(*[chunkBytes]byte)[:0]), true
			last++
		}
		n := min(len(b), chunkBytes-len(o.queue[last]))
		o.queue[last] = append(o.queue[last], b[:n]...)
		b = b[n:]
	}
}

// chunkBytes is how large the buffers are that small ones are copied to.
const chunkBytes = 16 << 10

// chunks are those that have been written, of all outboxes: an idle one has none.
var chunks = sync.Pool{New: func() any { return new([chunkBytes]byte) }}

// written lets a buffer go.
func written(b []byte) {
	if cap(b) == chunkBytes { // those that were taken over are larger
		chunks.Put((*[chunkBytes]byte)(b[:chunkBytes]))
	}
}

// Cork holds everything back until as many calls of Uncork.
func (o *Outbox) Cork() {
	o.mu.Lock()
	o.corks++
	o.mu.Unlock()
}

// Uncork ends a Cork; the last one writes what has gathered.
func (o *Outbox) Uncork() {
	o.mu.Lock()
	o.corks--
	o.kick()
	o.mu.Unlock()
}

// kick starts writing unless that is under way, held back or needless. o.mu is
// held, and released during the attempt.
func (o *Outbox) kick() {
	if o.writing || o.corks > 0 || len(o.queue) == 0 || o.err != nil {
		return
	}
	o.writing = true
	bufs := o.take()
	o.mu.Unlock()
	rest, begun, err := o.attempt(bufs)
	o.mu.Lock()
	if len(rest) == 0 && len(bufs) <= mostSpare {
		clear(bufs)
		o.spare = bufs[:0]
	}
	if err == nil && (len(rest) > 0 || len(o.queue) > 0 && o.corks == 0) {
		go o.drain(rest, begun)
		return
	}
	o.rested(err)
}

// mostSpare bounds what is kept of a queue.
const mostSpare = 16

func (o *Outbox) take() net.Buffers {
	bufs := o.queue
	o.queue, o.spare, o.open = o.spare, nil, false
	return bufs
}

// rested notes that nobody writes any more. o.mu is held.
func (o *Outbox) rested(err error) {
	o.writing = false
	if err != nil && o.err == nil {
		o.err = err
		o.queue = nil
	}
	if len(o.queue) == 0 {
		o.queued = 0
		o.hold(-o.held)
	}
	o.idle.Broadcast()
}

// attempt writes once without blocking and returns what is left, and how much of its
// first buffer has been written.
func (o *Outbox) attempt(bufs net.Buffers) (rest net.Buffers, begun int, err error) {
	n, err := o.conn.TryWrite(bufs)
	if err != nil {
		return nil, 0, err
	}
	wrote, done := n, int64(0)
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		done += weight(len(bufs[0]))
		written(bufs[0])
		bufs = bufs[1:]
	}
	if len(bufs) > 0 {
		bufs[0] = bufs[0][n:]
		begun = n
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queued -= wrote
	o.written += int64(wrote)
	o.hold(-done)
	return bufs, begun, nil
}

// portion is how many bytes are written before the room that they took is free
// again: a reader that is slow, but reads, is not to be taken for one that sleeps.
const portion = 256 << 10

// drain writes bufs, of the first of which begun bytes have been written, and whatever
// gathers meanwhile, then ends.
func (o *Outbox) drain(bufs net.Buffers, begun int) {
	for {
		now, rest, part := split(bufs, portion)
		done := int64(0)
		for i, b := range now {
			if i == 0 && !part {
				done = weight(begun + len(b))
			} else if !part {
				done += weight(len(b))
			}
		}
		n, err := o.conn.WriteAll(now)
		if part {
			begun += int(n)
		} else {
			begun = 0
		}
		o.mu.Lock()
		o.queued -= int(n)
		o.written += n
		if err == nil {
			o.hold(-done)
		}
		if bufs = rest; err == nil && len(bufs) == 0 && len(o.queue) > 0 && o.corks == 0 {
			bufs = o.take()
		}
		if err != nil || len(bufs) == 0 {
			o.rested(err)
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
	}
}

// split returns the first n bytes of bufs, or a little less, and what follows. part: what
// it returns first is part of one buffer.
func split(bufs net.Buffers, n int) (head, rest net.Buffers, part bool) {
	for i, b := range bufs {
		if len(b) <= n {
			n -= len(b)
			continue
		}
		if i > 0 {
			return bufs[:i:i], bufs[i:], false
		}
		return net.Buffers{b[:n]}, append(net.Buffers{b[n:]}, bufs[1:]...), true
	}
	return bufs, nil, false
}

// Flush waits until everything queued has been written, writing has failed, or
// ctx is done.
func (o *Outbox) Flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.idle.Broadcast()
	})
	defer stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	for (o.writing || len(o.queue) > 0) && o.err == nil && ctx.Err() == nil {
		o.idle.Wait()
	}
	if o.err != nil {
		return o.err
	}
	return ctx.Err()
}

// Written is how many bytes the socket has taken, of all that were queued, in their order.
func (o *Outbox) Written() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written
}

// Close refuses further Writes with ErrClosed. What is queued is still written,
// as long as the connection lives; Flush waits for it.
func (o *Outbox) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}
