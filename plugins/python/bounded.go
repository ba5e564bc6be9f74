package python

import (
	"sync"

	"cpulb/embedpy"
	"cpulb/plugins"
)

// bounded keeps the beginning of what is written to it.
type bounded struct {
	limit int64

	mu    sync.Mutex // guards what follows: somebody may look at it meanwhile
	kept  []byte
	cut   bool
	shown plugins.Shown
}

// Write implements io.Writer; it takes everything.
func (b *bounded) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := data
	if room := b.limit - int64(len(b.kept)); int64(len(kept)) > room {
		kept, b.cut = kept[:max(0, room)], true
	}
	b.kept = append(b.kept, kept...)
	return len(data), nil
}

// fresh returns the text of what has come since it was called last.
func (b *bounded) fresh() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown.Most, b.shown.EachByte = b.limit, true
	return b.shown.Next(b.kept[b.shown.Bytes():])
}

// take returns what has come, once.
func (b *bounded) take() (text string, cut bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, cut = embedpy.ValidText(b.kept, int(b.limit), b.cut)
	b.kept, b.cut, b.shown = b.kept[:0], false, plugins.Shown{}
	return text, cut
}

// printing passes on what a task prints to buffers that others print to before and after it.
type printing struct {
	fresh func(plugins.Stream) string
	emit  plugins.Emitter

	mu    sync.Mutex // held while it does
	ended bool
}

// show passes on what is new. A nil one does nothing.
func (p *printing) show() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	for _, to := range []plugins.Stream{plugins.Stdout, plugins.Stderr} {
		p.emit.Output(to, p.fresh(to))
	}
}

// end has it do nothing any more. A nil one never did.
func (p *printing) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
}
