package plugins

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	wire "cpulb/plugins/proto"

	"google.golang.org/protobuf/proto"
)

// maxHeader bounds the header of a frame, in bytes. Output and tracebacks travel
// in it, which is why it is not smaller; payloads have a bound of their own.
const maxHeader = 16 << 20

// keptHeader is how large a buffer is kept from one header to the next.
const keptHeader = 64 << 10

// ErrFrame is matched by what a peer sent that is not the slot protocol.
var ErrFrame = errors.New("not a frame of the slot protocol")

// appendFrame appends the length and the header of a message to dst; the payload
// follows it on the wire.
func appendFrame(dst []byte, m proto.Message) ([]byte, error) {
	if ev, ok := m.(*wire.Event); ok {
		at := len(dst)
		if framed, ok := wire.AppendEvent(append(dst, 0), ev); ok {
			return wire.AppendLength(framed, at), nil
		}
	}
	size := proto.Size(m)
	if size > maxHeader {
		return dst, fmt.Errorf("%w: a header of %d bytes, the most is %d", ErrFrame, size, maxHeader)
	}
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(binary.AppendUvarint(dst, uint64(size)), m)
}

// appendTaskFrame is appendFrame of t's header.
func appendTaskFrame(dst []byte, t *Task, slot int) ([]byte, error) {
	var m wire.Task // not on the heap, which appendFrame's is
	fillTask(&m, t, slot)
	at := len(dst)
	if framed, ok := wire.AppendTask(append(dst, 0), &m); ok {
		return wire.AppendLength(framed, at), nil
	}
	return appendFrame(dst, taskHeader(t, slot))
}

// frameReader reads frames; it is for one goroutine.
type frameReader struct {
	r          *bufio.Reader
	header     []byte
	maxPayload uint64
	// reserve, if there is one, waits for room for so many bytes, which are read then. room
	// is what it returned last, for held bytes; nil: there is nothing to give back.
	reserve func(n int64) Room
	room    Room
	held    int64
	// trusts: what the peer announces comes, so that memory is taken for it at once, and none
	// for copies on the way there. A worker trusts the daemon, not the other way round.
	trusts bool
}

func newFrameReader(r io.Reader, maxPayload uint64) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, 64<<10), maxPayload: maxPayload}
}

// readPlain makes m what header says, if it is one of the messages that are read without the
// generated codec; false: m may be anything.
func readPlain(m proto.Message, header []byte) bool {
	switch m := m.(type) {
	case *wire.Task:
		return wire.ReadTask(m, header)
	case *wire.Event:
		return wire.ReadEvent(m, header)
	}
	return false
}

// next reads the header of the next frame into m, whose parts it may use again. io.EOF is the end between two
// frames; anything else that ends early is io.ErrUnexpectedEOF.
func (f *frameReader) next(m proto.Message) error {
	size, err := binary.ReadUvarint(f.r)
	if err != nil {
		return err
	}
	if size > maxHeader {
		return fmt.Errorf("%w: a header of %d bytes, the most is %d", ErrFrame, size, maxHeader)
	}
	f.take(size)
	if f.header, err = f.read(f.header[:0], int(size)); err != nil {
		return err
	}
	if !readPlain(m, f.header) {
		err = proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(f.header, m)
	}
	if cap(f.header) > keptHeader {
		f.header = nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return nil
}

// payload reads the n bytes that follow the last header into a new slice.
func (f *frameReader) payload(n uint64) ([]byte, error) {
	if n > f.maxPayload {
		return nil, fmt.Errorf("%w: a payload of %d bytes, the most is %d", ErrFrame, n, f.maxPayload)
	}
	if n == 0 {
		return nil, nil
	}
	f.take(n)
	return f.read(nil, int(n))
}

// uncounted is how large a header or a payload is at most that is read without a reserve.
const uncounted = 64 << 10

// take waits for the room that n bytes need which are read and made something else of:
// twice as many. One part of a frame is held at a time, or two readers could wait for each
// other.
func (f *frameReader) take(n uint64) {
	if n > uncounted && f.reserve != nil {
		f.held = 2 * int64(n)
		f.room = f.reserve(f.held)
	}
}

// give gives back what is held.
func (f *frameReader) give() {
	if f.room != nil {
		f.room.Give(f.held)
		f.room = nil
	}
}

// handOver returns what is held as that of n bytes which go on.
func (f *frameReader) handOver(n int64) *Held {
	if f.room == nil {
		return nil
	}
	f.room.Give(f.held - n)
	h := &Held{f.room, n, false}
	f.room = nil
	return h
}

const (
	// takenAtOnce is for how many bytes there is memory before they have come, takenFor for how
	// many times as many as have come.
	takenAtOnce = 1 << 20
	takenFor    = 16
)

// read reads n bytes into p, which is empty, or a larger one. Unless the peer is trusted,
// memory for them is taken as they come: who announces many and sends none gets none.
func (f *frameReader) read(p []byte, n int) ([]byte, error) {
	for len(p) < n {
		size := min(n, max(cap(p), takenFor*len(p), takenAtOnce))
		if f.trusts {
			size = n
		}
		if size > cap(p) {
			p = append(make([]byte, 0, size), p...)
		}
		have := len(p)
		p = p[:min(n, cap(p))]
		if _, err := io.ReadFull(f.r, p[have:]); err != nil {
			return nil, unexpected(err)
		}
	}
	return p, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
