package program

import (
	"strings"
	"sync"
	"unicode/utf8"

	"cpulb/plugins"
)

// Head keeps the beginning of what is written to it. But for Fresh its methods are for one
// goroutine at a time.
type Head struct {
	most int64

	mu    sync.Mutex // guards what follows against Fresh
	kept  []byte
	cut   bool
	shown plugins.Shown
}

// NewHead returns one that keeps this many bytes.
func NewHead(most int64) *Head { return &Head{most: most, shown: plugins.Shown{Most: most}} }

// Fresh returns the text of what has been written since it was called last. It may be called
// from any goroutine.
func (h *Head) Fresh() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.shown.Next(h.kept[h.shown.Bytes():])
}

// Write implements io.Writer; it takes everything.
func (h *Head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := p
	if room := max(0, h.most-int64(len(h.kept))); int64(len(kept)) > room {
		kept, h.cut = kept[:room], true
	}
	h.kept = append(h.kept, kept...)
	return len(p), nil
}

// Text returns what has been kept as UTF-8, and whether something is missing. What was no
// UTF-8 is U+FFFD.
func (h *Head) Text() (text string, cut bool) { return textOf(h.kept, h.most, h.cut) }

// textOf is the text of bytes of which cut says that they go on.
func textOf(kept []byte, most int64, cut bool) (string, bool) {
	if cut {
		kept = kept[:wholeRunes(kept)]
	}
	text := strings.ToValidUTF8(string(kept), "\uFFFD")
	if int64(len(text)) > most { // replacing makes it longer
		text, cut = text[:wholeRunes([]byte(text[:most]))], true
	}
	return text, cut
}

// wholeRunes is the length of text without the rune at its end of which a part may be missing.
func wholeRunes(text []byte) int {
	for n := 1; n <= min(utf8.UTFMax, len(text)); n++ {
		if last := text[len(text)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return len(text) - n
			}
			break
		}
	}
	return len(text)
}
