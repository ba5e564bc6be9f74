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
)

// Conn is the daemon's end of one slot, or of all the slots of a worker's loop.
type Conn struct {
	loop         bool  // Tasks and Events name their slot
	output       int64 // how much of what a task prints is kept, stdout and stderr each
	first, count int   // its slots
	handler      Handler
	conn         *rawio.Conn
	out          *outbox.Outbox
	// The reader's alone: the slot of which something is being read, and what has been read
	// and not been handed over.
	from   int
	events []Event
}

// mostEvents bounds what is handed over at a time.
const mostEvents = 256

// openConn connects to a slot and starts reading it.
func openConn(ctx context.Context, path string, slot, count int, loop bool, cfg *Configuration, handler Handler) (*Conn, error) {
	dialled, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("slot %d: %w", slot, err)
	}
	conn, err := rawio.New(dialled.(*net.UnixConn))
	if err != nil {
		dialled.Close()
		return nil, fmt.Errorf("slot %d: %w", slot, err)
	}
	c := &Conn{loop: loop, output: cfg.OutputBytes, first: slot, count: count, handler: handler, conn: conn, out: outbox.New(conn, 0)}
	hello, err := appendFrame(nil, &proto.Hello{Slot: uint32(slot)})
	if err == nil {
		err = c.out.Write(hello)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("slot %d: %w", slot, err)
	}
	go c.serve(c.reader(conn, uint64(cfg.ResultBytes)))
	return c, nil
}

// reader reads what the slots send, what is large of it once there is room.
func (c *Conn) reader(r io.Reader, maxPayload uint64) *frameReader {
	f := newFrameReader(punctual{r, c}, maxPayload)
	f.reserve = func(n int64) Room {
		c.handOver()
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
	p.conn.handOver()
	return p.Reader.Read(to)
}

// handOver hands over what has been read. What is large of it and was not kept makes room.
func (c *Conn) handOver() {
	if len(c.events) == 0 {
		return
	}
	c.handler.Events(c.events)
	for i := range c.events {
		if held := c.events[i].Outcome.Held; held != nil && !held.kept {
			held.Give()
		}
	}
	clear(c.events)
	c.events = c.events[:0]
}

// Send queues t, whose Seq follows that of the Slot's last Task, and returns without
// waiting. Params of 64 KiB and more are handed over, not copied. An error means that
// the connection has failed; Handler.Lost follows or has been called.
func (c *Conn) Send(t *Task) error {
	var room [512]byte
	m := taskHeader(t)
	if c.loop {
		m.Slot = uint32(t.Slot)
	}
	header, err := appendFrame(room[:0], m)
	if err != nil {
		return err
	}
	return c.out.Write(header, t.Params)
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
	}
	c.handOver()
	return err
}

func (c *Conn) event(f *frameReader) error {
	var ev proto.Event
	c.from = c.first // the header says which it is
	if err := f.next(&ev); err != nil {
		return err
	}
	if f.room != nil {
		limitTexts(&ev, c.output)
		f.give()
	}
	if c.loop { // else its events need not name it
		if ev.Slot < uint32(c.first) || ev.Slot >= uint32(c.first+c.count) {
			return fmt.Errorf("%w: an event of slot %d", ErrFrame, ev.Slot)
		}
		c.from = int(ev.Slot)
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
		if !ok || value == nil {
			value = []byte("null")
		}
		x.Kind, x.Number, x.Value = EventPartial, k.Partial.Number, value
	case *proto.Event_Progress:
		x.Kind, x.Fraction, x.Message = EventProgress, fractionOf(k.Progress.Fraction), task.Clip(k.Progress.Message, mostMessage)
	case *proto.Event_Log:
		x.Kind, x.Level, x.Message = EventLog, task.Clip(k.Log.Level, mostCode), task.Clip(k.Log.Message, mostMessage)
	default:
		return nil // an event of an unknown kind comes from a newer executor
	}
	c.events = append(c.events, x)
	return nil
}

// Shares reports whether the worker shares its claims.
func (c *Conn) Shares() bool { return false }

// Recall takes a task back.
func (c *Conn) Recall(int, uint64) Claim { return Claimed }

// Fate tells what the worker has done with a task.
func (c *Conn) Fate(int, uint64) Fate { return FateOpen }
