package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestTheBeginningOfACrashOutlivesItsStacks(t *testing.T) {
	var kept tail
	for _, piece := range []string{"before\nfatal er", "ror: out of memory\n", strings.Repeat("goroutine\n", 5000)} {
		kept.writePiece([]byte(piece), true)
	}
	lines := kept.lines()
	if lines[0] != "fatal error: out of memory" || len(lines) != tailLines+1 {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}

func TestTheLastLinesAreKept(t *testing.T) {
	var kept tail
	for i := range 3 * tailLines {
		kept.writeLine(fmt.Append(nil, i))
	}
	kept.writeLine([]byte(`{"@level":"debug","@message":"of no interest"}`))
	kept.writeLine([]byte(`{"@level":"error","@message":"slot ended","error":"a reason"}`))
	lines := kept.lines()
	if len(lines) != tailLines || lines[len(lines)-1] != "slot ended: a reason" || lines[len(lines)-2] != fmt.Sprint(3*tailLines-1) {
		t.Errorf("%q", lines)
	}
	if slices.Contains(lines, "") {
		t.Errorf("an empty line in %q", lines)
	}
}

func FuzzTail(f *testing.F) {
	f.Add([]byte("fatal error: x\n{\"@level\":\"warn\",\"@message\":\"m\"}"), 3)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		var kept tail
		cut = min(max(0, cut), len(text))
		kept.add(text[:cut])
		kept.add(text[cut:])
		for _, line := range kept.lines() {
			if line == "" || strings.ContainsAny(line, "\n") || strings.ToValidUTF8(line, "") != line {
				t.Errorf("%q", line)
			}
		}
	})
}
