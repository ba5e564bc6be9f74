package impostor

import (
	"bufio"
	"encoding/binary"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"

	"cpulb/plugins/proto"

	pb "google.golang.org/protobuf/proto"
)

// Echo is the script that is run as it should be.
const Echo = "echo"

// Scripts lists those that make a slot go wrong, with the words of the daemon's log about it;
// none: it says nothing.
func Scripts() map[string]string {
	return map[string]string{
		"answers_the_wrong_task":  "which it was not sent",
		"answers_twice":           "which has ended",
		"writes_no_frame":         "not a frame of the slot protocol",
		"writes_a_huge_header":    "a header of 17825792 bytes, the most is",
		"writes_a_huge_payload":   "a payload of 1152921504606846976 bytes, the most is",
		"writes_half_a_frame":     "unexpected EOF",
		"closes_its_slot":         `connection="slot`,
		"exits":                   `exit="exit status 3"`,
		"skips":                   "though it does not drain",
		"begins_and_skips":        ", which has begun",
		"needs_a_thread":          "which has a thread, and is said to need one",
		"speaks_for_another_slot": "it is of slot 1, and came on the connection of slot 0",
		"fails_without_an_error":  "it has failed, without an error that has a code",
		"completes_and_fails":     "it has completed, with an error",
		"ends_in_no_way":          "its outcome is 0",
		"repeats_a_partial":       "with the number 1, after 1",
		"gives_no_json":           "its value is not JSON",
		"stops_reading":           "a slot does not begin the task that it was sent",
		"is_nowhere_near":         "",
		"begins_and_waits":        "",
		"floods":                  "",
	}
}

// slot is one slot's loop.
type slot struct {
	executor *executor
	conn     net.Conn
	index    uint32
}

func (s *slot) serve() {
	defer s.conn.Close()
	r := bufio.NewReader(s.conn)
	var hello proto.Hello
	if receive(r, &hello) != nil {
		return
	}
	s.index = hello.Slot
	if s.executor.way == Babbles {
		_, _ = io.WriteString(s.conn, "\x02\xff\xff")
	}
	for {
		var t proto.Task
		if receive(r, &t) != nil {
			return
		}
		params := make([]byte, t.PayloadLength)
		if _, err := io.ReadFull(r, params); err != nil {
			return
		}
		if s.executor.way == PrintsMuch {
			<-s.executor.printed
		}
		s.run(&t, params)
	}
}

// run is what the scripts do.
func (s *slot) run(t *proto.Task, params []byte) {
	completed := &proto.Event_Result{Result: &proto.Result{Outcome: proto.Outcome_OUTCOME_COMPLETED}}
	started, skipped := &proto.Event_Started{Started: &proto.Started{}}, &proto.Event_Skipped{Skipped: &proto.Skipped{}}
	partial := &proto.Event_Partial{Partial: &proto.Partial{Number: 1}}
	script := filepath.Base(t.ScriptPath)
	switch script {
	case "skips":
		if once, err := os.OpenFile(t.ScriptPath+".skipped", os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			once.Close()
			s.send(&proto.Event{Seq: t.Seq, Kind: skipped}, nil)
			return
		}
	case "needs_a_thread":
		skipped.Skipped.NeedsThread = true
		s.send(&proto.Event{Seq: t.Seq, Kind: skipped}, nil)
		return
	}
	s.send(&proto.Event{Seq: t.Seq, Kind: started}, nil)
	switch script {
	case "answers_the_wrong_task":
		s.send(&proto.Event{Seq: t.Seq + 1000, Kind: completed}, params)
	case "answers_twice":
		s.send(&proto.Event{Seq: t.Seq, Kind: completed}, params)
	case "writes_no_frame":
		s.write("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
	case "writes_a_huge_header":
		s.write(string(binary.AppendUvarint(nil, 17<<20)))
	case "writes_a_huge_payload":
		s.send(&proto.Event{Seq: t.Seq, PayloadLength: 1 << 60, Kind: completed}, nil)
	case "writes_half_a_frame":
		s.write("\x20half")
		s.conn.Close()
	case "closes_its_slot":
		s.conn.Close()
	case "exits":
		os.Exit(3)
	case "begins_and_skips":
		s.send(&proto.Event{Seq: t.Seq, Kind: skipped}, nil)
	case "speaks_for_another_slot":
		s.send(&proto.Event{Seq: t.Seq, Slot: s.index + 1, Kind: completed}, params)
	case "fails_without_an_error":
		s.send(&proto.Event{Seq: t.Seq, Kind: &proto.Event_Result{Result: &proto.Result{Outcome: proto.Outcome_OUTCOME_FAILED}}}, nil)
	case "completes_and_fails":
		completed.Result.Error = &proto.Error{Type: "Error", Message: "it failed", Code: "exception"}
	case "ends_in_no_way":
		completed.Result.Outcome = 0
	case "repeats_a_partial":
		s.send(&proto.Event{Seq: t.Seq, Kind: partial}, []byte("1"))
		s.send(&proto.Event{Seq: t.Seq, Kind: partial}, []byte("1"))
	case "gives_no_json":
		s.send(&proto.Event{Seq: t.Seq, Kind: partial}, []byte("{"))
	case "is_nowhere_near":
		for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 7} {
			s.send(&proto.Event{Seq: t.Seq, Kind: &proto.Event_Progress{Progress: &proto.Progress{Fraction: f}}}, nil)
		}
	case "begins_and_waits":
		select {}
	case "floods":
		for s.send(&proto.Event{Seq: t.Seq, Kind: &proto.Event_Log{Log: &proto.Log{Level: "info", Message: strings.Repeat("x", 1000)}}}, nil) == nil {
		}
	case "stops_reading":
		s.send(&proto.Event{Seq: t.Seq, Kind: completed}, params)
		select {}
	}
	s.send(&proto.Event{Seq: t.Seq, Kind: completed}, params)
}

func (s *slot) write(text string) { _, _ = io.WriteString(s.conn, text) }

// receive reads uvarint(length) | header.
func receive(r *bufio.Reader, m pb.Message) error {
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	header := make([]byte, size)
	if _, err := io.ReadFull(r, header); err != nil {
		return err
	}
	return pb.Unmarshal(header, m)
}

// send writes uvarint(length) | header | payload in one piece.
func (s *slot) send(ev *proto.Event, payload []byte) error {
	if payload != nil {
		ev.PayloadLength = uint64(len(payload))
	}
	header, err := pb.Marshal(ev)
	if err != nil {
		return err
	}
	frame := append(binary.AppendUvarint(nil, uint64(len(header))), header...)
	_, err = s.conn.Write(append(frame, payload...))
	return err
}
