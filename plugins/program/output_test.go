package program_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/program"
)

// emitted keeps what a program has emitted.
type emitted []string

func (e *emitted) Partial(value []byte) { *e = append(*e, "partial "+string(value)) }
func (e *emitted) Progress(fraction float64, message string) {
	*e = append(*e, fmt.Sprintf("progress %v %s", fraction, message))
}
func (e *emitted) Output(to plugins.Stream, text string) {
	*e = append(*e, fmt.Sprintf("output %d %s", to, text))
}
func (e *emitted) Log(level, message string) { *e = append(*e, "log "+level+" "+message) }

// print writes text in pieces of this size, as pipes may deliver it.
func print(o *program.Output, text string, piece int) (plugins.Outcome, error) {
	var err error
	for len(text) > 0 && err == nil {
		n := min(piece, len(text))
		_, err = o.Write([]byte(text[:n]))
		text = text[n:]
	}
	return o.Outcome(), err
}

func TestOutputBecomesAResult(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct {
		mode                         program.Mode
		printed, data, stdout, fails string
	}{
		{program.Auto, "", `null`, "", ""},
		{program.Auto, " \n", `null`, "", ""},
		{program.Auto, "hello\n", `"hello"`, "", ""},
		{program.Auto, "hello\n\n", `"hello\n"`, "", ""},
		{program.Auto, "123\n", `123`, "", ""},
		{program.Auto, "NaN\n", `"NaN"`, "", ""},
		{program.Auto, " {\"a\":\n [1.50, \"<ü>\"]}\n", `{"a":[1.50,"<ü>"]}`, "", ""},
		{program.Auto, "1\n2\n", `"1\n2"`, "", ""},
		{program.Auto, "<&>\x00\t", `"<&>\u0000\t"`, "", ""},
		{program.Auto, "a\xffb", "", "a\uFFFDb", "not UTF-8 (byte 1)"},
		{program.Auto, deep(1000), deep(1000), "", ""},
		{program.JSON, "{}\r\n", `{}`, "", ""},
		{program.JSON, "", "", "", "printed nothing"},
		{program.JSON, "1 2", "", "1 2", "not one JSON value: invalid character '2'"},
		{program.JSON, deep(1001), "", deep(1001), "too deep"},
		{program.Text, "123\r\n", `"123"`, "", ""},
		{program.Text, "", `""`, "", ""},
		{program.Lines, "", `[]`, "", ""},
		{program.Lines, "1\n\n  \n{\"a\": 2}\r\nthree\nlast", `[1,{"a": 2},"three","last"]`, "", ""},
		{program.Lines, "ok\n\xfe\n", "", "", "not UTF-8 (byte 3)"},
		{program.Lines, deep(1000) + "\n", `["` + deep(1000) + `"]`, "", ""}, // in a list it would nest too deep
		{program.LastLine, "", `null`, "", ""},
		{program.LastLine, "\n\n", `null`, "", ""},
		{program.LastLine, "42", `42`, "", ""},
		{program.LastLine, "one\n\ntwo\n{\"a\":1}\n \n", `{"a":1}`, "one\n\ntwo\n", ""},
		{program.LastLine, "\xff\nwords\n", `"words"`, "\uFFFD\n", ""},
	} {
		for _, piece := range []int{1, 7, 1 << 20} {
			o, _ := print(program.NewOutput(c.mode, 5000, 5000, new(emitted)), c.printed, piece)
			switch {
			case c.fails == "" && (o.Status != task.Completed || string(o.Data) != c.data || !task.IsJSON(o.Data)):
				t.Errorf("%s of %.50q: %s %s %+v", c.mode, c.printed, o.Status, o.Data, o.Error)
			case c.fails != "" && (o.Status != task.Failed || o.Error.Code != "bad_return_value" || !strings.Contains(o.Error.Message, c.fails)):
				t.Errorf("%s of %.50q: %s %+v", c.mode, c.printed, o.Status, o.Error)
			case o.Stdout != c.stdout:
				t.Errorf("%s of %.50q: its stdout is %.100q", c.mode, c.printed, o.Stdout)
			}
		}
	}
}

func TestLinesAreSentAsTheyCome(t *testing.T) {
	var e emitted
	o := program.NewOutput(program.Lines, 100, 100, &e)
	for i, piece := range []string{"1\n", "\n\"tw", "o\"\nthree", "\n"} {
		if _, err := o.Write([]byte(piece)); err != nil || len(e) != []int{1, 1, 2, 3}[i] {
			t.Errorf("after %q: %q %v", piece, e, err)
		}
	}
	if want := (emitted{"partial 1", `partial "two"`, `partial "three"`}); fmt.Sprint(e) != fmt.Sprint(want) {
		t.Errorf("%q", e)
	}
}

func TestNothingIsKeptBeyondTheBounds(t *testing.T) {
	const most = 10
	for _, c := range []struct {
		mode program.Mode
		text string
		fits bool
	}{
		{program.Auto, strings.Repeat("x", most), true},
		{program.Auto, strings.Repeat("x", most+1), false},
		{program.JSON, strings.Repeat(" ", most+1), false},
		{program.Text, strings.Repeat("\n", most+1), false},
		{program.Lines, "1\n2\n3\n4", true},
		{program.Lines, strings.Repeat("1\n", most), false},
		{program.Lines, strings.Repeat("x", most+1), false},
		{program.LastLine, strings.Repeat("words\n", most) + "1", true},
		{program.LastLine, strings.Repeat("x", most+1) + "\n1", false},
		{program.LastLine, "1" + strings.Repeat("\n", most), false},
	} {
		for _, piece := range []int{1, 100} {
			o, err := print(program.NewOutput(c.mode, most, 5, new(emitted)), c.text, piece)
			if c.fits != (err == nil) || c.fits != (o.Status == task.Completed) {
				t.Errorf("%s of %q: %v %+v", c.mode, c.text, err, o)
			}
			if err != nil && (!errors.Is(err, program.ErrTooLarge) || o.Error.Code != "result_too_large") {
				t.Errorf("%s of %q: %v %+v", c.mode, c.text, err, o.Error)
			}
			if len(o.Stdout) > 5 || c.mode != program.Lines && err != nil && !o.Truncated {
				t.Errorf("%s of %q: stdout %q, truncated %v", c.mode, c.text, o.Stdout, o.Truncated)
			}
		}
	}
}

func TestAHeadIsText(t *testing.T) {
	for _, c := range []struct {
		most          int64
		written, text string
		cut           bool
	}{
		{5, "hello", "hello", false},
		{5, "hello!", "hello", true},
		{5, "hellö!", "hell", true},
		{6, "hellö!", "hellö", true},
		{7, "a\xffb", "a\uFFFDb", false},
		{4, "\xffa\xff", "\uFFFDa", true}, // the replacement is longer
		{0, "x", "", true},
		{0, "", "", false},
	} {
		h := program.NewHead(c.most)
		for i := range len(c.written) {
			if n, err := h.Write([]byte{c.written[i]}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if text, cut := h.Text(); text != c.text || cut != c.cut {
			t.Errorf("%d of %q: %q %v", c.most, c.written, text, cut)
		}
	}
}

func TestModesAreNamedInTheError(t *testing.T) {
	if _, err := program.ParseMode("xml"); !errors.Is(err, plugins.ErrBadSetting) || !strings.Contains(err.Error(), "auto, json, text, lines, last_line") {
		t.Error(err)
	}
	for _, m := range program.OutputSetting().Allowed {
		if got, err := program.ParseMode(m); err != nil || string(got) != m {
			t.Error(m, got, err)
		}
	}
}

func FuzzOutput(f *testing.F) {
	for _, m := range program.OutputSetting().Allowed {
		f.Add(m, "{\"a\": 1}\n\ntext\r\n\xff", 3)
	}
	f.Fuzz(func(t *testing.T, mode, text string, piece int) {
		m, err := program.ParseMode(mode)
		if err != nil {
			return
		}
		var e emitted
		o, _ := print(program.NewOutput(m, 200, 20, &e), text, max(1, piece))
		if o.Status == task.Completed && (!task.IsJSON(o.Data) || strings.Contains(string(o.Data), "\n")) {
			t.Errorf("%q", o.Data)
		}
		if len(o.Stdout) > 20 || o.Stdout != strings.ToValidUTF8(o.Stdout, "") {
			t.Errorf("%q", o.Stdout)
		}
		for _, p := range e {
			if !task.IsJSON([]byte(strings.TrimPrefix(p, "partial "))) {
				t.Errorf("%q", p)
			}
		}
	})
}
