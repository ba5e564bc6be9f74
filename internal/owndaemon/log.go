package owndaemon

import (
	"bytes"
	"sync"
)

// Log keeps what is written to it, and may be read meanwhile. The zero Log keeps all.
type Log struct {
	// Keep is of how many bytes the end is kept; 0: all.
	Keep int

	mu      sync.Mutex
	text    []byte
	written int64
	words   []byte
	seen    chan struct{} // closed once words have come; nil: nobody waits
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := max(0, len(l.text)-len(l.words)) // they may have come in two parts
	l.text = append(l.text, p...)
	l.written += int64(len(p))
	if l.seen != nil && bytes.Contains(l.text[from:], l.words) {
		close(l.seen)
		l.seen = nil
	}
	if l.Keep > 0 && len(l.text) > l.Keep {
		l.text = append(l.text[:0], l.text[len(l.text)-l.Keep:]...)
	}
	return len(p), nil
}

// String returns what is kept.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// Written is how many bytes have come.
func (l *Log) Written() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written
}

// Reset forgets what was written.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = nil
}

// await returns a channel that is closed once these words come.
func (l *Log) await(words string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.words, l.seen = []byte(words), make(chan struct{})
	return l.seen
}
