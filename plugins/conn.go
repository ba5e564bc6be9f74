package plugins

import (
	"cmp"
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

// Conn is the daemon's end of one slot, or of all the slots of a worker's loop.
type Conn struct {
	loop         bool  // Tasks and Events name their slot
	output       int64 // how much of what a task prints is kept, stdout and stderr each
	first, count int   // its slots
	handler      Handler
	conn         *rawio.Conn
	out          *outbox.Outbox
	// claims is where the worker says what becomes of tasks; nil: it does not. On a loop
	// that is all, and it is asked by RPC to give one back.
	claims *sharedClaims
	// The reader's alone: the slot of which something is being read, its header, what has
	// been read and not been handed over, and what the handler said of what was.
	from    int
	header  proto.Event
	events  []Event
	refused error
}

// ConnDescriptors is how many file descriptors a Conn takes.
const ConnDescriptors = rawio.Descriptors

// mostEvents bounds what is handed over at a time.
const mostEvents = 256

// opening is what all connections of a worker are opened with. With shares it is passed a
// claim table for each slot.
type opening struct {
	dial   Dial
	path   string
	shares bool
	cfg    *Configuration
}

// conn connects to a slot, or to count slots of a loop, and starts reading.
func (o *opening) conn(ctx context.Context, slot, count int, loop bool, handler Handler) (*Conn, error) {
	dialled, err := o.dial(ctx, o.path)
	if err != nil {
		return nil, fmt.Errorf("slot %d: %w", slot, err)
	}
	socket, ok := dialled.(*net.UnixConn)
	if !ok {
		dialled.Close()
		return nil, fmt.Errorf("slot %d: %s is not a Unix socket", slot, o.path)
	}
	c := &Conn{loop: loop, output: o.cfg.OutputBytes, first: slot, count: count, handler: handler}
	if err = c.hello(socket, o.shares); err != nil {
		socket.Close()
		return nil, fmt.Errorf("slot %d: %w", slot, err)
	}
	if c.conn, err = rawio.New(socket); err != nil {
		return nil, fmt.Errorf("slot %d: %w", slot, err)
	}
	c.out = outbox.New(c.conn, 0)
	go c.serve(c.reader(c.conn, uint64(o.cfg.ResultBytes)))
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
		if c.claims, fd, err = newSharedClaims(c.count); err != nil {
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
	f := newFrameReader(punctual{r, c}, maxPayload)
	f.reserve = func(n int64) Room {
		if c.handOver(); c.refused != nil {
			return nil // the next Read says so
		}
		return c.handler.Room(c.from, n)
	}
	return f
}

// punctual hands over what has come before the reader waits for more.
type punctual struct {
	io.Reader
	conn *Conn
}

// Read implements io.Reader.
func (p punctual) Read(to []byte) (int, error) {
	if p.conn.handOver(); p.conn.refused != nil {
		return 0, p.conn.refused
	}
	return p.Reader.Read(to)
}

// handOver hands over what has been read. What is large of it and was not kept makes room.
func (c *Conn) handOver() {
	if len(c.events) == 0 {
		return
	}
	if c.refused == nil {
		c.refused = c.handler.Events(c.events)
	}
	for i := range c.events {
		if held := c.events[i].Outcome.Held; held != nil && !held.kept {
			held.Give()
		}
	}
	clear(c.events)
	c.events = c.events[:0]
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
		slot := 0
		if c.loop {
			slot = t.Slot
		}
		begin := len(headers)
		var err error
		if headers, err = appendTaskFrame(headers, t, slot); err != nil {
			return err
		}
		// If headers moves later, what has been cut off it stays where it was.
		bufs = append(bufs, headers[begin:len(headers):len(headers)], t.Params)
	}
	return c.out.Write(bufs...)
}

// Shares reports whether the worker claims tasks in memory that it shares with us. Recall
// answers then, without asking it; else Client.Recall asks it.
func (c *Conn) Shares() bool { return c.claims != nil && !c.loop }

// Recall takes a task back unless the slot's thread has claimed it. It is for a Conn that
// Shares. Whatever the worker does, there is an answer at once.
func (c *Conn) Recall(slot int, seq uint64) Claim {
	if !c.Shares() {
		return Claimed
	}
	return c.claims.recall(slot-c.first, seq)
}

// Fate says what has become of a task that was sent; also when the worker has ended. It
// is as true as the worker is, and FateOpen where that does not say. On a loop a task is
// claimed when it begins.
func (c *Conn) Fate(slot int, seq uint64) Fate {
	if c.claims == nil {
		return FateOpen
	}
	return c.claims.fate(slot-c.first, seq)
}

// CloseRead ends the reading after the data that has arrived. Without it a process
// that inherited the worker's end and outlived the worker would delay Handler.Lost.
func (c *Conn) CloseRead() { _ = c.conn.CloseRead() } // an error: the connection has ended already

// Close ends the connection.
func (c *Conn) Close() { c.conn.Close() }

// serve reads until the connection ends.
func (c *Conn) serve(f *frameReader) {
	err := c.read(f)
	c.conn.Close()
	c.handler.Lost(err)
}

func (c *Conn) read(f *frameReader) (err error) {
	for err == nil {
		err = c.event(f)
		if f.room != nil || len(c.events) >= mostEvents {
			c.handOver()
		}
		f.give()
		err = cmp.Or(c.refused, err)
	}
	c.handOver()
	return cmp.Or(c.refused, err)
}

func (c *Conn) event(f *frameReader) error {
	ev := &c.header
	c.from = c.first // the header says which it is
	if err := f.next(ev); err != nil {
		return err
	}
	if f.room != nil {
		limitTexts(ev, c.output)
		f.give()
		defer ev.Reset() // the next does not keep its texts
	}
	if c.loop { // else its events need not name it
		if ev.Slot < uint32(c.first) || ev.Slot >= uint32(c.first+c.count) {
			return fmt.Errorf("%w: an event of slot %d, on the connection of slots %d to %d", ErrContract, ev.Slot, c.first, c.first+c.count-1)
		}
		c.from = int(ev.Slot)
	}
	if err := checkEvent(ev, c.first, c.loop); err != nil {
		return err
	}
	payload, err := f.payload(ev.PayloadLength)
	if err != nil {
		return err
	}
	x := Event{Slot: c.from, Seq: ev.Seq}
	switch k := ev.Kind.(type) {
	case *proto.Event_Started:
		x.Kind = EventStarted
	case *proto.Event_Result:
		x.Kind, x.Outcome = EventEnded, outcome(k.Result, payload)
		limitOutput(&x.Outcome, c.output)
		x.Outcome.Held = f.handOver(int64(len(x.Outcome.Data)))
	case *proto.Event_Skipped:
		x.Kind, x.NeedsThread = EventSkipped, k.Skipped.GetNeedsThread()
	case *proto.Event_Partial:
		value, ok := oneLine(payload)
		if !ok {
			return fmt.Errorf("%w: Partial of task %d: its value is not JSON", ErrContract, ev.Seq)
		}
		if value == nil {
			value = []byte("null")
		}
		x.Kind, x.Number, x.Value = EventPartial, k.Partial.Number, value
	case *proto.Event_Progress:
		x.Kind, x.Fraction, x.Message = EventProgress, fractionOf(k.Progress.Fraction), task.Clip(k.Progress.Message, mostMessage)
	case *proto.Event_Log:
		x.Kind, x.Level, x.Message = EventLog, task.Clip(k.Log.Level, mostCode), task.Clip(k.Log.Message, mostMessage)
	case *proto.Event_Output:
		if x.Kind, x.Stream, x.Text = EventOutput, streamOf(k.Output.Stream), wholeRunes(k.Output.Text, c.output); x.Stream == 0 || x.Text == "" {
			return nil // a stream that is not known comes from a newer executor
		}
	default:
		if ev.Seq == 0 {
			return fmt.Errorf("%w: an event of no task", ErrFrame)
		}
		return nil // an event of an unknown kind comes from a newer executor
	}
	c.events = append(c.events, x)
	return nil
}
