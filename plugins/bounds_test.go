package plugins

import (
	"math"
	"strings"
	"testing"

	"cpulb/plugins/proto"
)

// A script may have decided all of these, and has its worker's connection.
func TestEveryTextOfAnOutcomeIsBounded(t *testing.T) {
	long := strings.Repeat("ü", 4<<20)
	o := outcome(&proto.Result{Stdout: long, Stderr: long, Error: &proto.Error{Type: long, Message: long, Traceback: long + "the end", Code: long}}, nil)
	limitOutput(&o, 1001)
	for name, c := range map[string]struct {
		text string
		most int
	}{
		"stdout": {o.Stdout, 1001}, "stderr": {o.Stderr, 1001}, "type": {o.Error.Type, mostType}, "message": {o.Error.Message, mostMessage},
		"traceback": {o.Error.Traceback, mostTraceback}, "code": {o.Error.Code, mostCode},
	} {
		if len(c.text) > c.most || len(c.text) < c.most-2 {
			t.Errorf("%s has %d bytes, the most is %d", name, len(c.text), c.most)
		}
	}
	if !o.Truncated || !strings.HasSuffix(o.Error.Traceback, "the end") || !strings.HasSuffix(o.Error.Message, "bytes dropped)") {
		t.Errorf("truncated: %v; %q", o.Truncated, o.Error.Message[len(o.Error.Message)-40:])
	}
}

func TestAFractionIsWithinItsRange(t *testing.T) {
	for x, want := range map[float64]float64{0.5: 0.5, -1: 0, 7: 1, math.Inf(1): 1, math.Inf(-1): 0} {
		if got := fractionOf(x); got != want {
			t.Errorf("%v became %v", x, got)
		}
	}
	if got := fractionOf(math.NaN()); got != 0 {
		t.Errorf("NaN became %v", got)
	}
}
