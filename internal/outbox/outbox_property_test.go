package outbox_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"cpulb/internal/outbox"
	"cpulb/internal/rawio"

	"pgregory.net/rapid"
)

// narrow returns a connection whose near end takes little at a time.
func narrow(t *testing.T) (near *rawio.Conn, far net.Conn) {
	t.Helper()
	return pairOf(t, func(c *net.UnixConn) error { return c.SetWriteBuffer(1) }) // the kernel takes its least
}

// sizes draws lengths on both sides of everything that makes a difference.
func sizes() *rapid.Generator[int] {
	return rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(outbox.TakenOver-2, outbox.TakenOver+2), rapid.IntRange(0, 130_000))
}

// slowReader is an Outbox with a reader that reads only when it is told to, and
// what it has to see.
type slowReader struct {
	box   *outbox.Outbox
	far   net.Conn
	want  []byte // that was accepted and has not been read
	next  byte
	corks int
}

func (s *slowReader) write(t *rapid.T) {
	var bufs [][]byte
	var all []byte
	for range rapid.IntRange(1, 3).Draw(t, "buffers") {
		s.next++
		bufs = append(bufs, bytes.Repeat([]byte{s.next}, sizes().Draw(t, "size")))
		all = append(all, bufs[len(bufs)-1]...)
	}
	err := s.box.Write(bufs...)
	if err != nil && !errors.Is(err, outbox.ErrFull) {
		t.Fatal(err)
	}
	for _, b := range bufs {
		if len(b) < outbox.TakenOver {
			clear(b) // it was copied
		}
	}
	if err == nil {
		s.want = append(s.want, all...)
	}
}

// read reads n bytes, which no cork may hold back.
func (s *slowReader) read(t *rapid.T, n int) {
	got := make([]byte, n)
	if _, err := io.ReadFull(s.far, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, s.want[:n]) {
		t.Fatalf("of %d bytes read, some are not the next of those written", n)
	}
	s.want = s.want[n:]
}

// What was accepted arrives, whole and in order, whatever is written, held back and
// left unread; no Write waits for the reader, who is this same goroutine.
func TestWhatIsAcceptedArrivesInOrderAtASlowReader(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		near, far := narrow(t)
		defer near.Close()
		defer far.Close()
		max := rapid.IntRange(1_000_000, 2_000_000).Draw(rt, "max")
		s := &slowReader{box: outbox.New(near, max), far: far}
		rt.Repeat(map[string]func(*rapid.T){
			"write": s.write,
			"read": func(t *rapid.T) {
				if s.corks > 0 {
					t.Skip("a cork holds back what has not left yet")
				}
				s.read(t, rapid.IntRange(0, len(s.want)).Draw(t, "bytes"))
			},
			"cork": func(*rapid.T) { s.box.Cork(); s.corks++ },
			"uncork": func(t *rapid.T) {
				if s.corks == 0 {
					t.Skip("there is no cork")
				}
				s.box.Uncork()
				s.corks--
			},
		})
		for ; s.corks > 0; s.corks-- {
			s.box.Uncork()
		}
		s.read(rt, len(s.want))
		if err := s.box.Flush(t.Context()); err != nil {
			rt.Fatal(err)
		}
		if err := s.box.Write(make([]byte, max)); err != nil {
			rt.Fatalf("with everything read, there is no room for the most: %v", err)
		}
	})
}

// The same for many writers at once, each of whom corks as it likes.
func TestWritersDoNotMixAtASlowReader(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		near, far := narrow(t)
		defer near.Close()
		defer far.Close()
		o := outbox.New(near, 0)
		plans := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 70_000), 1, 20), 2, 4).Draw(rt, "sizes of each writer's messages")
		var writers sync.WaitGroup
		messages := 0
		for w, plan := range plans {
			messages += len(plan)
			writers.Go(func() {
				for i, size := range plan {
					o.Cork()
					head := []byte{byte(w), byte(i), byte(size), byte(size >> 8), byte(size >> 16)}
					if err := o.Write(head, bytes.Repeat([]byte{byte(w)}, size)); err != nil {
						t.Error(err)
					}
					o.Uncork()
				}
			})
		}
		next := make([]int, len(plans))
		for range messages {
			var head [5]byte
			if _, err := io.ReadFull(far, head[:]); err != nil {
				rt.Fatal(err)
			}
			w, size := int(head[0]), int(head[2])|int(head[3])<<8|int(head[4])<<16
			body := make([]byte, size)
			if _, err := io.ReadFull(far, body); err != nil {
				rt.Fatal(err)
			}
			if w >= len(plans) || int(head[1]) != next[w] || bytes.Count(body, head[:1]) != size {
				rt.Fatalf("writer %d: message %d of %d bytes, expected %d", w, head[1], size, next)
			}
			next[w]++
		}
		writers.Wait()
		if err := o.Flush(t.Context()); err != nil {
			rt.Fatal(err)
		}
	})
}
