package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/sys"
)

// oneFunction is (module (func (export NAME))).
func oneFunction(name string) []byte {
	n := string(rune(len(name)))
	return []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x07" + string(rune(len(name)+4)) + "\x01" + n + name + "\x00\x00\x0a\x04\x01\x02\x00\x0b")
}

func engineWith(t *testing.T, c Config) *engine {
	t.Helper()
	c.Memory = 1 << 20
	e, err := newEngine(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// ask serves one request and returns its report and the kinds of frames before that.
func ask(t *testing.T, e *engine, r *Request, module []byte) (*Report, string) {
	t.Helper()
	var wire bytes.Buffer
	if err := e.serve(t.Context(), &wire, r, module, nil); err != nil {
		t.Fatal(err)
	}
	in, kinds := bufio.NewReader(&wire), ""
	for {
		kind, payload, err := ReadFrame(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if kind == Ended {
			end, err := ReadReport(payload)
			if err != nil {
				t.Fatal(err)
			}
			return end, kinds
		}
		kinds += string(kind)
	}
}

func TestARequestHasTheEndThatItsModuleGivesIt(t *testing.T) {
	foreign := []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x02\x0b\x01\x03env\x03run\x00\x00")
	for name, c := range map[string]struct {
		module   []byte
		function string
		end      End
		frames   string
		words    string
	}{
		"a program":            {oneFunction("_start"), Main, Exited, "S", ""},
		"main instead":         {oneFunction("main"), Main, Exited, "S", ""},
		"a function":           {oneFunction("other"), "other", Exited, "S", ""},
		"no program":           {oneFunction("other"), Main, NoFunction, "S", "neither _start nor main, but other"},
		"no such function":     {oneFunction("other"), "more", NoFunction, "S", `no function "more", but other`},
		"compiled only":        {oneFunction("_start"), "", Exited, "", ""},
		"no module":            {[]byte("text"), "", Invalid, "", "magic"},
		"no module to be run":  {[]byte("text"), Main, Invalid, "", "magic"},
		"what it can't import": {foreign, Main, Invalid, "", "env.run"},
	} {
		t.Run(name, func(t *testing.T) {
			end, frames := ask(t, engineWith(t, Config{}), &Request{Module: name, Function: c.function}, c.module)
			if end.End != c.end || frames != c.frames || !strings.Contains(end.Message, c.words) {
				t.Errorf("%+v after %q", end, frames)
			}
		})
	}
}

// breaks makes the cache's folder what nothing can be read from or written to.
func breaks(t *testing.T, dir string) {
	t.Helper()
	inner, err := filepath.Glob(filepath.Join(dir, "wazero-*"))
	if err != nil || len(inner) != 1 {
		t.Fatal(inner, err)
	}
	if err := errors.Join(os.RemoveAll(inner[0]), os.WriteFile(inner[0], nil, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestACacheThatIsBrokenKeepsNoModuleFromRunning(t *testing.T) {
	for name, spoil := range map[string]func(dir string){
		"unusable": func(dir string) { breaks(t, dir) },
		"damaged": func(dir string) {
			if _, frames := ask(t, engineWith(t, Config{CacheDir: dir}), &Request{Module: "m", Function: Main}, oneFunction("_start")); frames != "S" {
				t.Fatal(frames)
			}
			files, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*"))
			if err != nil || len(files) == 0 {
				t.Fatal(files, err)
			}
			for _, f := range files {
				if err := os.WriteFile(f, []byte("WAZEVO"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			e := engineWith(t, Config{CacheDir: dir})
			spoil(dir)
			if end, _ := ask(t, e, &Request{Module: "m", Function: Main}, oneFunction("_start")); end.End != Exited {
				t.Errorf("a module: %+v", end)
			}
			if end, _ := ask(t, e, &Request{Module: "n", Function: Main}, []byte("text")); end.End != Invalid {
				t.Errorf("none: %+v", end)
			}
		})
	}
}

func TestAnErrorIsTheEndThatItMeans(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want Report
	}{
		"none":       {nil, Report{End: Exited}},
		"an exit":    {sys.NewExitError(3), Report{End: Exited, ExitCode: 3}},
		"a trap":     {errors.New("wasm error: unreachable\nwasm stack trace:\n\t.$0()"), Report{End: Trapped, Message: "unreachable", Trace: ".$0()"}},
		"any other":  {errors.New("section custom: bad"), Report{End: Invalid, Message: "section custom: bad"}},
		"a canceled": {context.Canceled, Report{End: Invalid, Message: "context canceled"}},
	} {
		if r := endOf(c.err, Invalid); *r != c.want {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestTextsAreClippedBetweenCharacters(t *testing.T) {
	for text, want := range map[string]string{"": "", "0123456789": "0123456789", "0123456789a": "0123456…", "012345öäü": "012345…"} {
		if got := clip(text, 10); got != want || len(got) > 10 || !utf8.ValidString(got) {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	names := slices.Repeat([]string{strings.Repeat("n", 1<<20)}, 50)
	if l := list(names); len(l) > 25*(mostName+2) || !strings.HasSuffix(l, ", …") {
		t.Errorf("%d bytes, to the end %q", len(l), l[len(l)-5:])
	}
	text, err := json.Marshal(Report{Message: strings.Repeat("m", 1<<20), Trace: strings.Repeat("t", 1<<20)})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := ReadReport(text); err != nil || len(r.Message) > mostMessage || len(r.Trace) > mostTrace {
		t.Errorf("%v %d %d", err, len(r.Message), len(r.Trace))
	}
}

func TestTheWireRefusesWhatIsNotItsOwn(t *testing.T) {
	for name, frame := range map[string]string{"too large": "O\xff\xff\xff\xff", "cut in its head": "O\x01", "cut": "O\x05\x00\x00\x00abc"} {
		if _, _, err := ReadFrame(bufio.NewReader(strings.NewReader(frame)), nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := ReadReport([]byte("{")); !errors.Is(err, ErrWire) {
		t.Error(err)
	}
	var wire bytes.Buffer
	want := Request{Module: "m", Function: Main, Args: []string{"a"}, Env: []string{"A=b"}, Forget: "n"}
	if err := WriteRequest(&wire, &want, []byte("code"), []byte("input")); err != nil {
		t.Fatal(err)
	}
	r, code, input, err := readRequest(bufio.NewReader(&wire))
	if err != nil || string(code) != "code" || string(input) != "input" || r.Module != "m" || r.Forget != "n" || !slices.Equal(r.Args, want.Args) {
		t.Errorf("%+v %q %q %v", r, code, input, err)
	}
}

func TestAStreamSendsWholeLinesAndLongParts(t *testing.T) {
	var wire bytes.Buffer
	s := &stream{wire: &wire, kind: Output}
	for _, part := range []string{"a", "b\n", "c", strings.Repeat("x", mostHeld)} {
		_, _ = s.Write([]byte(part)) // it can't fail
	}
	s.flush()
	var sizes []int
	for in := bufio.NewReader(&wire); ; {
		_, payload, err := ReadFrame(in, nil)
		if err != nil {
			break
		}
		sizes = append(sizes, len(payload))
	}
	if !slices.Equal(sizes, []int{3, mostHeld + 1}) {
		t.Errorf("%v", sizes)
	}
}

func TestMemoryGrowsWhereItIsUntilTheBound(t *testing.T) {
	a := &allocator{most: 3 << 16}
	m := a.Allocate(0, 1<<32)
	defer m.Free()
	one := m.Reallocate(1 << 16)
	one[5] = 7
	two := m.Reallocate(3 << 16)
	if len(two) != 3<<16 || &one[0] != &two[0] || two[5] != 7 || a.denied {
		t.Errorf("%d bytes, denied: %v", len(two), a.denied)
	}
	if m.Reallocate(4<<16) != nil || !a.denied {
		t.Error("more than it may have")
	}
}
