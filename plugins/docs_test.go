package plugins

import (
	"bytes"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"

	"cpulb/daemon/task"
	wire "cpulb/plugins/proto"

	"google.golang.org/protobuf/proto"
)

// docs/plugins.md shows a task's way on a slot byte by byte.
func TestTheFramesInTheDocumentAreThoseOfTheWire(t *testing.T) {
	page, err := os.ReadFile("../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```\ndown ")
	example, _, _ = strings.Cut(example, "```")
	var documented []byte
	for line := range strings.Lines("down " + example) {
		digits := regexp.MustCompile(`^(?:down|up)? *((?:[0-9a-f]{2} ?)+)(?: {2}|\n)`).FindStringSubmatch(line)
		if digits == nil {
			t.Fatalf("no bytes: %q", line)
		}
		b, err := hex.DecodeString(strings.ReplaceAll(digits[1], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		documented = append(documented, b...)
	}
	add := func(m proto.Message, payload string) {
		frame, err := appendFrame(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		frame = append(frame, payload...)
		if !bytes.HasPrefix(documented, frame) {
			t.Fatalf("the wire has % x, the document % x", frame, documented[:min(len(frame), len(documented))])
		}
		documented = documented[len(frame):]
	}
	add(&wire.Hello{}, "")
	add(taskHeader(&Task{Seq: 1, ID: "a", ScriptPath: "/s.sh", Function: "main", Type: task.CPUBound, Attempt: 1, Params: []byte("42")}, 0), "42")
	add(&wire.Event{Seq: 1, Kind: &wire.Event_Started{Started: &wire.Started{}}}, "")
	ev := resultEvent(1, &Outcome{Status: task.Completed, Data: []byte("42")})
	ev.PayloadLength = 2
	add(ev, "42")
	if len(documented) > 0 {
		t.Errorf("the document has more: % x", documented)
	}
}
