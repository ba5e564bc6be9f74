package plugins

import (
	"bytes"
	"errors"
	"io"
	"testing"

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
	f.Fuzz(func(t *testing.T, wire []byte) {
		frames := newFrameReader(bytes.NewReader(wire), 1<<16)
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
}
