package task_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"cpulb/daemon/task"

	"pgregory.net/rapid"
)

func TestWhatIsTooLongIsCutBetweenRunesAndSaysByHowMuch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 300, -1).Draw(t, "text")
		most := rapid.IntRange(40, 300).Draw(t, "most")
		for name, cut := range map[string]string{"head": task.Clip(text, most), "middle": task.ClipMiddle(text, most)} {
			if len(text) <= most {
				if cut != text {
					t.Fatalf("%s: %q became %q", name, text, cut)
				}
				continue
			}
			head, mark, found := strings.Cut(cut, "… (")
			var n int
			if _, err := fmt.Sscanf(mark, "%d bytes dropped)", &n); !found || err != nil || !utf8.ValidString(cut) || len(cut) > most || !strings.HasPrefix(text, head) {
				t.Fatalf("%s of %d: %q became %q", name, most, text, cut)
			}
			_, tail, _ := strings.Cut(mark, ")")
			if !strings.HasSuffix(text, tail) || len(head)+n+len(tail) != len(text) {
				t.Fatalf("%s: %d bytes are missing of %q in %q", name, n, text, cut)
			}
		}
	})
}
