package ipc

import (
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"cpulb/daemon/task"
)

// penBytes is how much of an answer there is at a time, beside the values themselves:
// whoever does not read it keeps no encoding of it in memory.
const penBytes = 4 << 10

// pen writes JSON piece by piece. Once a write has failed it writes nothing more.
type pen struct {
	w    io.Writer
	text []byte
	err  error
}

// flush writes what has gathered, and reports whether there is still somebody to write to.
func (p *pen) flush() bool {
	if len(p.text) > 0 && p.err == nil {
		_, p.err = p.w.Write(p.text)
	}
	p.text = p.text[:0]
	return p.err == nil
}

func (p *pen) room() {
	if len(p.text) >= penBytes {
		p.flush()
	}
}

// next writes what is between two elements of an array, of which first is the first.
func (p *pen) next(first *bool) {
	if !*first {
		p.text = append(p.text, ',')
	}
	*first = false
}

// raw writes JSON that is known to be some.
func (p *pen) raw(text string) {
	p.text = append(p.text, text...)
	p.room()
}

// through writes JSON of any size, without a copy.
func (p *pen) through(text []byte) {
	if len(text) < penBytes {
		p.raw(string(text))
		return
	}
	if p.flush() {
		_, p.err = p.w.Write(text)
	}
}

// str writes s as a string, as encoding/json does.
func (p *pen) str(s string) {
	p.text = append(p.text, '"')
	for len(s) > 0 && p.err == nil {
		n := wholeRunes(s, penBytes)
		p.text = task.AppendEscaped(p.text, s[:n])
		p.room()
		s = s[n:]
	}
	p.text = append(p.text, '"')
}

// wholeRunes returns how many bytes of s are its first n, less a rune that is cut off.
func wholeRunes(s string, n int) int {
	if len(s) <= n {
		return len(s)
	}
	for i := n; i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return n // it is not UTF-8
}

// value writes what is small.
func (p *pen) value(v any) {
	p.text = appendJSON(p.text, v)
	p.room()
}

func (p *pen) id(id task.ID) {
	p.text = task.AppendID(p.text, id)
	p.room()
}

func (p *pen) time(t *time.Time) {
	if t == nil {
		p.text = append(p.text, "null"...)
		return
	}
	p.text = task.AppendTime(p.text, *t)
}

// append has write append what is small.
func (p *pen) append(write func(*encoded)) {
	x := encoded{text: p.text}
	write(&x)
	p.text = x.text
	p.room()
}

// result writes r as encoded.result does.
func (p *pen) result(r *task.Result) {
	if r.Size() < penBytes {
		p.append(func(x *encoded) { x.result(r) })
		return
	}
	p.raw(`{"task_id":`)
	p.id(r.ID)
	p.raw(`,"status":"` + r.Status.String() + `","data":`)
	p.through(line(r.Data))
	p.raw(`,"error":`)
	p.failure(r.Error)
	p.raw(`,"stdout":`)
	p.str(r.Stdout)
	p.raw(`,"stderr":`)
	p.str(r.Stderr)
	p.text = appendEnd(p.text, r)
	p.room()
}

func (p *pen) failure(e *task.Error) {
	if e == nil {
		p.raw("null")
		return
	}
	p.raw(`{"type":`)
	p.str(e.Type)
	p.raw(`,"message":`)
	p.str(e.Message)
	if e.Traceback != "" {
		p.raw(`,"traceback":`)
		p.str(e.Traceback)
	}
	p.raw(`,"code":`)
	p.str(e.Code)
	if e.ExitCode != 0 {
		p.raw(`,"exit_code":` + strconv.Itoa(e.ExitCode))
	}
	p.raw("}")
}

// view writes v as encoding/json does.
func (p *pen) view(v *task.View) {
	p.raw(`{"task_id":`)
	p.id(v.ID)
	p.raw(`,"status":"` + v.Status.String() + `","script_path":`)
	p.str(v.ScriptPath)
	p.raw(`,"function":`)
	p.str(v.Function)
	p.raw(`,"task_type":`)
	p.str(string(v.Type))
	p.raw(`,"pool":`)
	p.str(v.Pool)
	p.raw(`,"priority":` + strconv.Itoa(v.Priority))
	if len(v.Labels) > 0 {
		p.raw(`,"labels":`)
		p.labels(v.Labels)
	}
	p.raw(`,"attempts":` + strconv.Itoa(v.Attempts) + `,"worker":`)
	p.text = appendWorker(p.text, v.Worker)
	p.raw(`,"submitted_at":`)
	p.time(&v.SubmittedAt)
	p.raw(`,"started_at":`)
	p.time(v.StartedAt)
	p.raw(`,"finished_at":`)
	p.time(v.FinishedAt)
	p.raw("}")
}

func (p *pen) labels(all map[string]string) {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		p.raw(map[bool]string{true: "{", false: ","}[i == 0])
		p.str(name)
		p.raw(":")
		p.str(all[name])
	}
	p.raw("}")
}

// event writes ev as one line with its newline.
func (p *pen) event(ev *task.Event) {
	if eventSize(ev) < penBytes {
		p.append(func(x *encoded) { x.event(ev) })
		return
	}
	p.raw(`{"event":"` + string(ev.Kind) + `","task_id":`)
	p.id(ev.ID)
	p.text = append(appendCursor(append(p.text, `,"cursor":"`...), ev.Cursor), '"')
	switch ev.Kind {
	case task.EventResult:
		p.raw(`,"result":`)
		p.result(ev.Result)
	case task.EventPartial:
		p.raw(`,"value":`)
		p.through(line(ev.Value))
	default:
		p.text = appendNote(p.text, ev)
	}
	p.raw("}\n")
}
