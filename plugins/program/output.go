package program

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// Mode is how a program's standard output becomes its result.
type Mode string

// The modes.
const (
	// Auto: one JSON value if the whole is one, null if it is empty, else a text.
	Auto Mode = "auto"
	// JSON: one JSON value.
	JSON Mode = "json"
	// Text: a text.
	Text Mode = "text"
	// Lines: each line is a partial result, a JSON value or a text; the result is their list.
	Lines Mode = "lines"
	// LastLine: the last line that is not empty, a JSON value or a text. What comes before is
	// what the program has printed.
	LastLine Mode = "last_line"
)

func modes() []string {
	return []string{string(Auto), string(JSON), string(Text), string(Lines), string(LastLine)}
}

// ParseMode reads the setting "output"; an error matches plugins.ErrBadSetting.
func ParseMode(text string) (Mode, error) {
	if !slices.Contains(modes(), text) {
		return "", fmt.Errorf("%w: output: %q is no way to read a result (allowed: %s)", plugins.ErrBadSetting, text, strings.Join(modes(), ", "))
	}
	return Mode(text), nil
}

// OutputSetting describes the setting for ParseMode.
func OutputSetting() plugins.Setting {
	return plugins.Setting{Name: "output", Kind: plugins.StringSetting, Default: string(Auto), Allowed: modes(),
		Description: "how a program's standard output becomes the task's result"}
}

// The errors of Output.Write: the program is to be ended, as its task has failed.
var (
	ErrTooLarge = errors.New("the output is larger than a result may be")
	ErrNotText  = errors.New("the output is not UTF-8")
)

// Output makes a result of what is written to it. Its methods are for one goroutine at a time.
type Output struct {
	mode  Mode
	most  int64 // of data
	emit  plugins.Emitter
	held  []byte // the whole (Auto, JSON, Text), or the line that has no end yet
	list  []byte // of Lines: the values so far, between commas
	tail  []byte // of LastLine: the last line that is not empty, and what came after it
	head  *Head  // of LastLine: what came before
	taken int64  // bytes that are in no line any more
	err   error
	where int64 // of ErrNotText
}

// NewOutput returns one that takes data of at most resultBytes and text of at most
// outputBytes. It calls emit.Partial in Write, in mode Lines alone.
func NewOutput(m Mode, resultBytes, outputBytes int64, emit plugins.Emitter) *Output {
	return &Output{mode: m, most: resultBytes, emit: emit, head: NewHead(outputBytes)}
}

// Write implements io.Writer. After an error it takes nothing more.
func (o *Output) Write(p []byte) (int, error) {
	size := len(p)
	if o.mode == Lines || o.mode == LastLine {
		for o.err == nil {
			end := bytes.IndexByte(p, '\n')
			if end < 0 {
				break
			}
			o.hold(p[:end+1])
			p = p[end+1:]
			if o.err == nil {
				o.line()
			}
		}
	}
	if o.err == nil {
		o.hold(p)
	}
	if o.err != nil {
		return 0, o.err
	}
	return size, nil
}

// hold keeps p as long as all that is kept is within the bound.
func (o *Output) hold(p []byte) {
	if int64(len(o.held)+len(o.list)+len(p)) > o.most {
		o.err = ErrTooLarge
		return
	}
	o.held = append(o.held, p...)
}

// line takes the line that is held.
func (o *Output) line() {
	line := o.held
	o.held = o.held[:0]
	empty := len(bytes.TrimSpace(line)) == 0
	switch {
	case o.mode == LastLine && empty:
		if int64(len(o.tail)+len(line)) > o.most {
			o.err = ErrTooLarge
			return
		}
		o.tail = append(o.tail, line...)
	case o.mode == LastLine:
		_, _ = o.head.Write(o.tail)
		o.tail = append(o.tail[:0], line...)
	case !empty:
		value, err := valueOf(withoutNewline(line))
		if err != nil {
			o.err, o.where = err, o.taken+notUTF8(line)
			return
		}
		if int64(len(o.list)+len(value)+len("[,]")) > o.most {
			o.err = ErrTooLarge
			return
		}
		if len(o.list) > 0 {
			o.list = append(o.list, ',')
		}
		o.list = append(o.list, value...)
		o.emit.Partial(value)
	}
	o.taken += int64(len(line))
}

// Outcome is the end of the program if it has ended without an error of its own.
func (o *Output) Outcome() plugins.Outcome {
	if o.err == nil && len(o.held) > 0 && (o.mode == Lines || o.mode == LastLine) {
		o.line()
	}
	if o.err == nil {
		if data, err := o.data(); err == nil {
			done := plugins.Outcome{Status: task.Completed, Data: data}
			if o.mode == LastLine {
				done.Stdout, done.Truncated = o.head.Text()
			}
			return done
		} else if o.err = err; err == ErrNotText {
			o.where = notUTF8(o.whole())
		}
	}
	failed := o.failure()
	failed.Stdout, failed.Truncated = o.Printed()
	return failed
}

func (o *Output) failure() plugins.Outcome {
	switch {
	case errors.Is(o.err, ErrTooLarge):
		return Failed("result_too_large", "ResultTooLarge", fmt.Sprintf("what the program prints is more than limits.result_size, %d bytes", o.most))
	case errors.Is(o.err, ErrNotText):
		return Failed("bad_return_value", "UnicodeError", fmt.Sprintf("what the program prints is not UTF-8 (byte %d); print base64 instead", o.where))
	}
	return Failed("bad_return_value", "ValueError", o.err.Error())
}

// Printed is what the program has printed, for the Result of one that has failed or was
// stopped; nothing in mode Lines, as all was sent.
func (o *Output) Printed() (text string, cut bool) {
	switch o.mode {
	case Lines:
		return "", false
	case LastLine:
		_, _ = o.head.Write(o.tail)
		o.tail = nil
	}
	_, _ = o.head.Write(o.held)
	o.held, o.head.cut = nil, o.head.cut || errors.Is(o.err, ErrTooLarge)
	return o.head.Text()
}

// whole is what data is made of.
func (o *Output) whole() []byte {
	if o.mode == LastLine {
		return o.tail
	}
	return o.held
}

func (o *Output) data() (json.RawMessage, error) {
	switch o.mode {
	case Lines:
		return slices.Concat([]byte{'['}, o.list, []byte{']'}), nil
	case Text:
		return quote(withoutNewline(o.held))
	case JSON:
		if !task.IsJSON(o.held) {
			return nil, o.notJSON()
		}
		return oneLine(o.held), nil
	case LastLine:
		return valueOrNull(bytes.TrimRight(o.tail, "\r\n"))
	}
	return valueOrNull(o.held)
}

func (o *Output) notJSON() error {
	if len(bytes.TrimSpace(o.held)) == 0 {
		return errors.New("the program has printed nothing; with output = \"json\" it prints one JSON value")
	}
	var value any
	err := json.Unmarshal(o.held, &value)
	if err == nil {
		err = errors.New("it nests too deep")
	}
	return fmt.Errorf("what the program prints is not one JSON value: %w", err)
}

func valueOrNull(text []byte) (json.RawMessage, error) {
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return json.RawMessage("null"), nil
	case task.IsJSON(text):
		return oneLine(text), nil
	}
	return quote(withoutNewline(text))
}

// valueOf is the value of a line. It may go into a list, and nests one less deep than others.
func valueOf(line []byte) (json.RawMessage, error) {
	if task.IsJSON(slices.Concat([]byte{'['}, line, []byte{']'})) && task.IsJSON(line) {
		return bytes.TrimSpace(line), nil
	}
	return quote(line)
}

// oneLine is JSON text without newlines and blanks around it.
func oneLine(text []byte) json.RawMessage {
	text = bytes.TrimSpace(text)
	if bytes.IndexByte(text, '\n') < 0 {
		return text
	}
	var line bytes.Buffer
	line.Grow(len(text))
	_ = json.Compact(&line, text) // it has been checked
	return line.Bytes()
}

// quote writes text as a JSON string.
func quote(text []byte) (json.RawMessage, error) {
	if !utf8.Valid(text) {
		return nil, ErrNotText
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(string(text)) // a text always can be
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// withoutNewline takes the newline off that ends text.
func withoutNewline(text []byte) []byte {
	if cut, ok := bytes.CutSuffix(text, []byte("\r\n")); ok {
		return cut
	}
	return bytes.TrimSuffix(text, []byte{'\n'})
}

// notUTF8 is where text stops being UTF-8.
func notUTF8(text []byte) int64 {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return int64(i)
		}
		i += size
	}
	return int64(len(text))
}
