package python

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// However a task's output comes in, and whatever it is, what is shown of it is how the text of the
// whole begins.
func TestWhatIsShownOfOutputIsHowItsTextBegins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.SampledFrom([]string{"a", "ü", "€", "😀", "\xff", "\xe2\x82", "\xe2", "\x82", "\xf0\x9f", "\uFFFD", "\xc0\xaf"})).Draw(t, "pieces")
		b := bounded{limit: rapid.Int64Range(1, 40).Draw(t, "limit")}
		for range 2 { // of one task after the other
			shown := ""
			for _, piece := range pieces {
				_, _ = b.Write([]byte(piece))
				shown += b.fresh()
			}
			whole, _ := b.take()
			if !strings.HasPrefix(whole, shown) {
				t.Fatalf("%q is shown of %q", shown, whole)
			}
			if b.fresh() != "" {
				t.Fatal("what was taken is shown")
			}
		}
	})
}
