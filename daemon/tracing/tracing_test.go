package tracing_test

import (
	"strings"
	"testing"

	"cpulb/daemon/tracing"
)

const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// W3C Trace Context, section 3.2.2, and its own test suite.
func TestWhatIsNoTraceparentIsIgnored(t *testing.T) {
	for text, ok := range map[string]bool{
		good: true,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00":      true,
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":      true, // a later version
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what": true,
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what": false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what": false,
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":      false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01":      false,
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01":      false,
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01":      false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0":       false,
		"00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01":       false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333x-01":      false,
		"00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01":      false,
		" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":     false,
		"0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":      false,
		"": false, "x": false, strings.Repeat("0", 55): false,
	} {
		c, is := tracing.Parse(text)
		if is != ok || is != c.Valid() {
			t.Errorf("%q: %v, %v", text, is, c)
		}
		if is && strings.HasPrefix(text, "00") && c.String() != text {
			t.Errorf("%q is written %q", text, c)
		}
	}
}

func id(n byte) [16]byte { return [16]byte{15: n} }

func TestATaskIsInItsCallersTrace(t *testing.T) {
	at := tracing.Of(good, id(1), 7, 0)
	parent, _ := tracing.Parse(good)
	if at.Parent() != parent || !at.Sampled() {
		t.Errorf("%+v", at)
	}
	seen := map[tracing.SpanID]bool{parent.Span: true}
	for _, c := range []tracing.Context{at.Submit(), at.Queue(1), at.Run(1), at.Queue(2), at.Run(2)} {
		if c.Trace != parent.Trace || !c.Sampled() || seen[c.Span] || !c.Valid() {
			t.Errorf("%s beneath %s", c, parent)
		}
		seen[c.Span] = true
	}
	unsampled := tracing.Of(strings.TrimSuffix(good, "1")+"0", id(1), 7, 1)
	if unsampled.Sampled() || unsampled.Run(1).Sampled() || unsampled.Run(1).Trace != parent.Trace {
		t.Error("its caller has decided that it is not sampled")
	}
}

// A daemon that starts again, or anybody else who knows the task, comes to the same ids.
func TestTheIdsFollowFromTheTask(t *testing.T) {
	one, again := tracing.Of("", id(1), 7, 1), tracing.Of("nonsense", id(1), 7, 1)
	if one.Run(1) != again.Run(1) || one.Parent().Valid() || !one.Submit().Valid() {
		t.Error("they differ")
	}
	for _, other := range []tracing.Task{tracing.Of("", id(2), 7, 1), tracing.Of("", id(1), 8, 1)} {
		if other.Submit().Trace == one.Submit().Trace || other.Run(1).Span == one.Run(1).Span {
			t.Error("another task has the same")
		}
	}
}

func TestThePartThatIsSampledIsAbout(t *testing.T) {
	for _, part := range []float64{0, 0.1, 0.5, 0.9, 1} {
		n := 0
		for i := range 2000 {
			if at := tracing.Of("", id(1), int64(i), part); at.Sampled() {
				n++
			}
		}
		if got := float64(n) / 2000; got < part-0.05 || got > part+0.05 || part == 1 && n != 2000 || part == 0 && n != 0 {
			t.Errorf("of %v %v are sampled", part, got)
		}
	}
}
