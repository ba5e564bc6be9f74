package main

import (
	"fmt"
	"io"
	"strings"

	"cpulb/daemon/task"
)

// printed shows what a task prints as it comes, and at the task's end what has not been shown:
// all of it once. What an attempt has printed that others follow is shown when it has come while
// that ran.
type printed struct {
	to      map[task.Stream]io.Writer
	attempt int // that of shown
	shown   map[task.Stream]*shown
	// open is where a line has not ended of what was shown last; nil: nowhere.
	open io.Writer
}

// shown is what has been shown of a stream.
type shown struct {
	text strings.Builder
	// missed: some after it has not come, so that what follows comes with the result.
	missed bool
}

func newPrinted(out, err io.Writer) *printed {
	return &printed{to: map[task.Stream]io.Writer{task.Stdout: out, task.Stderr: err}}
}

// begin forgets what an earlier attempt has printed.
func (p *printed) begin(attempt int) {
	if p.shown == nil || p.attempt != attempt {
		p.attempt, p.shown = attempt, map[task.Stream]*shown{task.Stdout: {}, task.Stderr: {}}
	}
}

// fresh returns what ev, an output event, has that is to be shown.
func (p *printed) fresh(ev *task.Event) string {
	p.begin(ev.Cursor.Attempt)
	s := p.shown[ev.Stream]
	if s == nil || ev.Offset == nil { // a stream of a later version
		return ""
	}
	has := int64(s.text.Len()) - *ev.Offset // of the text
	if s.missed = s.missed || has < 0; s.missed || has >= int64(len(ev.Text)) {
		return ""
	}
	s.text.WriteString(ev.Text[has:])
	return ev.Text[has:]
}

// show shows what is new in ev.
func (p *printed) show(ev *task.Event) error {
	text, to := p.fresh(ev), p.to[ev.Stream]
	if text == "" {
		return nil
	}
	if p.open = to; strings.HasSuffix(text, "\n") {
		p.open = nil
	}
	_, err := io.WriteString(to, text)
	return err
}

// endLine makes place for something that begins a line.
func (p *printed) endLine() {
	if p.open != nil {
		_, _ = io.WriteString(p.open, "\n") // an error: whoever writes there next meets it
		p.open = nil
	}
}

// rest returns the result of ev, the last event, without what has been shown of its output.
func (p *printed) rest(ev *task.Event) *task.Result {
	p.begin(ev.Cursor.Attempt)
	r := *ev.Result
	r.Stdout = strings.TrimPrefix(r.Stdout, p.shown[task.Stdout].text.String())
	r.Stderr = strings.TrimPrefix(r.Stderr, p.shown[task.Stderr].text.String())
	return &r
}

// missing says what of a result was dropped before it came here.
func (t *terminal) missing(r *task.Result) {
	if r.Truncated {
		fmt.Fprintln(t.err, "cpulb: the script printed more than is kept")
	}
}
