package plugins

import (
	"context"
	"fmt"
	"io"
	"net"

	"cpulb/daemon/task"
	"cpulb/internal/outbox"
	"cpulb/internal/rawio"
	"cpulb/plugins/proto"

	"golang.org/x/sys/unix"
)

// Handler receives the events of one slot. The slot's reader goroutine makes the
// calls, one at a time; they must not block, for that holds up the slot.
type Handler interface {
	Started(seq uint64)
	// Ended hands over o. Its Data, and the value of Partial, belong to the callee and
	// are JSON on one line.
	Ended(seq uint64, o Outcome)
	// Skipped: the task will not run here, because the worker drains, or because the
	// task needs a thread and the slot is on a loop.
	Skipped(seq uint64, needsThread bool)
	Partial(seq, number uint64, value []byte)
	Progress(seq uint64, fraction float64, message string)
	Log(seq uint64, level, message string)
	// Lost is the last call: the connection has ended.
	Lost(err error)
	// Room returns once there is room in memory for n bytes of what the slot has announced;
	// it is the only call that may wait. nil: it is not counted.
	Room(n int64) Room
}

// Room is what Handler.Room has taken, for one caller.
type Room interface {
	// Give gives n bytes of it back.
	Give(n int64)
}

// Held is the room of an Outcome that is large. It is given back once Handler.Ended has
// returned, unless that keeps it.
type Held struct {
	room Room
	n    int64
	kept bool
}

// Keep leaves it to the caller to give it back, with Give. It is for Handler.Ended.
func (h *Held) Keep() *Held {
	if h != nil {
		h.kept = true
	}
	return h
}

// Give gives it back, once.
func (h *Held) Give() {
	if h != nil {
		h.room.Give(h.n)
	}
}

// Conn is the daemon's end of one slot, or of all the slots of a worker's loop.
type Conn struct {
	loop     bool  // Tasks and Events name their slot
	output   int64 // how much of what a task prints is kept, stdout and stderr each
	first    int
	handlers []Handler // by slot, from first on
	from     Handler   // of whose slot something is being read
	conn     *rawio.Conn
	out      *outbox.Outbox
	claims   *sharedClaims // nil: the worker decides alone, and is asked by RPC
}

// openConn connects to a slot and starts reading it. With shares the worker is passed a
// claim table.
func openConn(ctx context.Context, path string, slot int, loop, shares bool, cfg *Configuration, handlers []Handler) (*Conn, error) {
	dialled, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("slot %d: %w", slot, err)
	}
	c := &Conn{loop: loop, output: cfg.OutputBytes, first: slot, handlers: handlers}
	if err = c.hello(dialled.(*net.UnixConn), shares); err == nil {
		c.conn, err = rawio.New(dialled.(*net.UnixConn))
	}
	if err != nil {
		dialled.Close()
		return nil, fmt.Errorf("slot %d: %w", slot, err)
	}
	c.out = outbox.New(c.conn, 0)
	go c.read(c.reader(c.conn, uint64(cfg.ResultBytes)))
	return c, nil
}

// hello says which slot the connection is for.
func (c *Conn) hello(conn *net.UnixConn, shares bool) (err error) {
	hello, err := appendFrame(nil, &proto.Hello{Slot: uint32(c.first)})
	if err != nil {
		return err
	}
	var rights []byte
	if shares {
		fd := -1
		if c.claims, fd, err = newSharedClaims(); err != nil {
			return err
		}
		defer unix.Close(fd)
		rights = unix.UnixRights(fd)
	}
	_, _, err = conn.WriteMsgUnix(hello, rights, nil) // a few bytes, which an empty socket takes
	return err
}

// reader reads what the slots send, what is large of it once there is room.
func (c *Conn) reader(r io.Reader, maxPayload uint64) *frameReader {
	f := newFrameReader(r, maxPayload)
	f.reserve = func(n int64) Room { return c.from.Room(n) }
	return f
}

// Send queues tasks, whose Seqs follow each other and that of the Slot's last Task, and
// returns without waiting; they leave in one write. Params of 64 KiB and more are handed
// over, not copied. An error means that the connection has failed; Handler.Lost follows or
// has been called.
func (c *Conn) Send(tasks ...*Task) error {
	var room [1024]byte
	headers := room[:0]
	bufs := make([][]byte, 0, 2*len(tasks))
	for _, t := range tasks {
		m := taskHeader(t)
		if c.loop {
			m.Slot = uint32(t.Slot)
		}
		begin := len(headers)
		var err error
		if headers, err = appendFrame(headers, m); err != nil {
			return err
		}
		// If headers moves later, what has been cut off it stays where it was.
		bufs = append(bufs, headers[begin:len(headers):len(headers)], t.Params)
	}
	return c.out.Write(bufs...)
}

// Shares reports whether the worker claims tasks in memory that it shares with us. Recall
// and Fate answer then, without asking it; else Client.Recall asks it.
func (c *Conn) Shares() bool { return c.claims != nil }

// Recall takes a task back unless the slot's thread has claimed it. It is for a Conn that
// Shares. Whatever the worker does, there is an answer at once.
func (c *Conn) Recall(slot int, seq uint64) Claim {
	if c.claims == nil {
		return Claimed
	}
	return c.claims.recall(seq)
}

// Fate says what has become of a task that was sent; also when the worker has ended. It
// is for a Conn that Shares, and as true as the worker is.
func (c *Conn) Fate(slot int, seq uint64) Fate {
	if c.claims == nil {
		return FateOpen
	}
	return c.claims.fate(seq)
}

// CloseRead ends the reading after the data that has arrived. Without it a process
// that inherited the worker's end and outlived the worker would delay Handler.Lost.
func (c *Conn) CloseRead() { _ = c.conn.CloseRead() } // an error: the connection has ended already

// Close ends the connection.
func (c *Conn) Close() { c.conn.Close() }

func (c *Conn) read(f *frameReader) {
	var err error
	for err == nil {
		err = c.event(f)
		f.give()
	}
	c.conn.Close()
	for _, h := range c.handlers {
		h.Lost(err)
	}
}

func (c *Conn) event(f *frameReader) error {
	var ev proto.Event
	c.from = c.handlers[0] // the header says which it is
	if err := f.next(&ev); err != nil {
		return err
	}
	if f.room != nil {
		limitTexts(&ev, c.output)
		f.give()
	}
	index := int(ev.Slot) - c.first
	if !c.loop {
		index = 0 // its events need not name it
	}
	if index < 0 || index >= len(c.handlers) {
		return fmt.Errorf("%w: an event of slot %d", ErrFrame, ev.Slot)
	}
	h := c.handlers[index]
	c.from = h
	payload, err := f.payload(ev.PayloadLength)
	if err != nil {
		return err
	}
	switch k := ev.Kind.(type) {
	case *proto.Event_Started:
		h.Started(ev.Seq)
	case *proto.Event_Result:
		o := outcome(k.Result, payload)
		limitOutput(&o, c.output)
		o.Held = f.handOver(int64(len(o.Data)))
		h.Ended(ev.Seq, o)
		if o.Held != nil && !o.Held.kept {
			o.Held.Give()
		}
	case *proto.Event_Skipped:
		h.Skipped(ev.Seq, k.Skipped.GetNeedsThread())
	case *proto.Event_Partial:
		value, ok := oneLine(payload)
		if !ok || value == nil {
			value = []byte("null")
		}
		h.Partial(ev.Seq, k.Partial.Number, value)
	case *proto.Event_Progress:
		h.Progress(ev.Seq, fractionOf(k.Progress.Fraction), task.Clip(k.Progress.Message, mostMessage))
	case *proto.Event_Log:
		h.Log(ev.Seq, task.Clip(k.Log.Level, mostCode), task.Clip(k.Log.Message, mostMessage))
	}
	return nil // an event of an unknown kind comes from a newer executor
}
