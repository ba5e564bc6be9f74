package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpulb/ipc/ipctest"
)

// resumed runs map with --resume over a file that has text, and returns the file.
func resumed(t *testing.T, text, input string, args ...string) (outcome, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "results")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := cpulb(t.Context(), input, append([]string{"map", ipctest.Echo, "--resume", file}, args...)...)
	left, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return got, string(left)
}

func TestAResumedMapRunsOnlyTheLinesWithoutResults(t *testing.T) {
	engine := administrator(t)
	const input = "1\n\n2\n3\n4\n"
	whole := cpulb(t.Context(), input, "map", ipctest.Echo).stdout
	lines := strings.SplitAfter(whole, "\n")
	for cut := strings.Index(whole, "status"); cut <= len(whole); cut += 7 { // wherever it was killed
		got, left := resumed(t, whole[:cut], input)
		if begun := strings.Count(whole[:cut], "\n") > 0; got != (outcome{}) || begun && left != whole || summary(records(t, left)) != summary(records(t, whole)) {
			t.Fatalf("cut at %d: %+v\n%s", cut, got, left)
		}
	}
	before := engine.Last()
	if got, left := resumed(t, whole, input); got != (outcome{}) || left != whole || engine.Last() != before {
		t.Errorf("of a whole one: %+v %s", got, left)
	}
	for _, rest := range []string{"\x00\x00\x00", lines[1][:10] + "\x00", lines[1][:50] + "\x00\x00", "{"} {
		if got, left := resumed(t, lines[0]+rest, input); got != (outcome{}) || left != whole {
			t.Errorf("after a power cut, which left %q: %+v %s", rest, got, left)
		}
	}
	if got, left := resumed(t, lines[0]+lines[1][:20], "1\n\n{bad\n"); got.code != 1 || left != lines[0] {
		t.Errorf("with a bad line where a result was torn: %+v %s", got, left)
	}
	other := cpulb(t.Context(), input, "map", ipctest.Echo).stdout
	for name, c := range map[string]struct {
		text, input string
		args        []string
		want        string
	}{
		"another input":                 {lines[0] + lines[1], "1\n\n7\n", nil, "line 3 of the input, or the options"},
		"a shorter input":               {whole, "1\n\n2\n", nil, "this is another input"},
		"a line more before":            {lines[0] + lines[1], "1\n1\n2\n", nil, "this is another input"},
		"other options":                 {lines[0], input, []string{"--function=other"}, "or the options"},
		"another run's":                 {lines[0] + strings.SplitAfter(other, "\n")[1], input, nil, "the result of another run"},
		"in disorder":                   {lines[1] + lines[0], input, nil, "line 2"},
		"no results":                    {"my only copy\n", input, nil, "not a result"},
		"a text without its end":        {"my only copy", input, nil, "not a result"},
		"JSON that begins alike":        {`{"line":1,"mine":"precious"}`, input, nil, "not surely"},
		"JSON with another's id":        {`{"line":1,"task_id":"01890000-0000-7000-8000-000000000000","status":"`, input, nil, "not surely"},
		"what may be anybody's":         {"{", input, nil, "not surely"},
		"nothing but zeros":             {"\x00\x00", input, nil, "not a result"},
		"a line behind another's":       {lines[0] + `{"line":3,"mine":"precious"}`, input, nil, "not surely"},
		"a line of another run":         {lines[0] + strings.SplitAfter(other, "\n")[1][:60], input, nil, "not surely"},
		"a line of the same number":     {lines[0] + lines[0][:60], input, nil, "not surely"},
		"another run's in its first id": {lines[0] + `{"line":3,"task_id":"zzz`, input, nil, "not surely"},
	} {
		if got, left := resumed(t, c.text, c.input, c.args...); got.code != 2 || !strings.Contains(got.err, c.want) || left != c.text {
			t.Errorf("%s: %+v %q", name, got, left)
		}
	}
}

func TestAResumedMapThatFailsAtOnceSaysWhereItWas(t *testing.T) {
	administrator(t)
	whole := cpulb(t.Context(), "1\n2\n3\n", "map", ipctest.Echo).stdout
	lines := strings.SplitAfter(whole, "\n")
	file := filepath.Join(t.TempDir(), "it's all")
	if err := os.WriteFile(file, []byte(lines[0]+lines[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan outcome, 1)
	read, write := io.Pipe()
	go func() {
		var out, err strings.Builder
		code := run(ctx, []string{"map", ipctest.Echo, "--resume", file}, newTerminal(read, &out, &err))
		ended <- outcome{code, out.String(), err.String()}
	}()
	fmt.Fprint(write, "1\n2\n")
	interrupt()
	want := "interrupted after line 2; the same command with --resume='" + strings.ReplaceAll(file, "'", `'\''`) + "' goes on from there"
	if got := <-ended; got.code != 1 || !strings.Contains(got.err, want) {
		t.Errorf("%+v, want %s", got, want)
	}
	write.Close()
}

func TestAFileThatWasRemovedIsNotNamed(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "results"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintln(f, "a result")
	term := newTerminal(strings.NewReader(""), f, io.Discard)
	o := &mapOutput{out: f}
	if name := o.resumable(term, true); name != f.Name() {
		t.Errorf("while it is there: %q", name)
	}
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	if name := o.resumable(term, true); name != "" {
		t.Errorf("%q", name)
	}
}
