package plugins

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"cpulb/internal/alloctest"
	"cpulb/plugins/proto"
)

func TestAFrameArrivesAsItWasSent(t *testing.T) {
	payload := bytes.Repeat([]byte("x"), 200_000)
	wire, err := appendFrame(nil, &proto.Task{Seq: 7, ScriptPath: "/a.py", PayloadLength: uint64(len(payload))})
	if err != nil {
		t.Fatal(err)
	}
	f := newFrameReader(bytes.NewReader(append(wire, payload...)), 1<<20)
	var m proto.Task
	if err := f.next(&m); err != nil || m.Seq != 7 || m.ScriptPath != "/a.py" {
		t.Fatalf("%v %v", &m, err)
	}
	if got, err := f.payload(m.PayloadLength); err != nil || !bytes.Equal(got, payload) {
		t.Fatalf("payload of %d bytes, %v", len(got), err)
	}
	if err := f.next(&m); err != io.EOF {
		t.Fatalf("at the end: %v", err)
	}
}

func TestAPayloadOverItsBoundIsRefused(t *testing.T) {
	if _, err := newFrameReader(bytes.NewReader(nil), 10).payload(11); !errors.Is(err, ErrFrame) {
		t.Fatal(err)
	}
}

func FuzzFrames(f *testing.F) {
	good, _ := appendFrame(nil, &proto.Event{Seq: 1, Kind: &proto.Event_Started{Started: &proto.Started{}}})
	f.Add(good)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{0x80, 0x80, 0x80, 0x07}) // a header of 14 MiB
	announced, _ := appendFrame(nil, &proto.Event{Seq: 1, PayloadLength: 100 << 20})
	f.Add(announced)
	f.Fuzz(func(t *testing.T, wire []byte) {
		alloctest.Within(t, 2*takenAtOnce+64*len(wire), func() {
			frames := newFrameReader(bytes.NewReader(wire), 128<<20)
			for {
				var ev proto.Event
				if frames.next(&ev) != nil {
					return
				}
				if _, err := frames.payload(ev.PayloadLength); err != nil {
					return
				}
			}
		})
	})
}

// What a worker announces takes no memory before it comes.
func TestAPayloadIsGivenRoomAsItComes(t *testing.T) {
	for _, n := range []int{0, 1, takenAtOnce, takenAtOnce + 1, 5*takenAtOnce + 7} {
		payload := bytes.Repeat([]byte("x"), n)
		got, err := newFrameReader(bytes.NewReader(payload), 128<<20).payload(uint64(n))
		if err != nil || !bytes.Equal(got, payload) || cap(got) > n {
			t.Errorf("%d of %d bytes, %d taken, %v", len(got), n, cap(got), err)
		}
		alloctest.Within(t, 2*takenAtOnce+(takenFor+2)*n, func() {
			if _, err := newFrameReader(bytes.NewReader(payload), 128<<20).payload(128 << 20); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes of 128 MiB: %v", n, err)
			}
		})
	}
}
