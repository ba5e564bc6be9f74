package task_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"cpulb/daemon/task"
	"cpulb/internal/alloctest"
)

// typical is what a client sends for most tasks, about 200 bytes.
const typical = `{"task_id":"0198c5f0-7d2a-7c3e-9b1f-0a1b2c3d4e5f","script_path":"/srv/scripts/double.py","function":"main",` +
	`"params":{"value":21,"name":"some text of a usual length","list":[1,2,3]},"task_type":"cpu_bound","priority":5}`

// taskBytes is more than what reading one task takes beside its texts, labels included.
const taskBytes = 64 << 10

// FuzzDecode: whatever the text, Decode answers as encoding/json would on what
// is JSON, its errors name a field, and a task it returns comes back the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(typical))
	for name, pair := range samples {
		for _, value := range pair {
			f.Add([]byte(`{"script_path":"/x.py","` + name + `":` + value + `}`))
		}
	}
	for _, bad := range badTasks {
		if len(bad.value) < 100 {
			f.Add([]byte(`{"script_path":"/x.py","` + bad.name + `":` + bad.value + `}`))
		}
	}
	f.Add([]byte(`{"labels":{` + strings.TrimSuffix(strings.Repeat(`"a":"","b":"",`, 2000), ",") + `}}`))
	f.Add([]byte(`{"labels":` + many(3000) + `}`))
	f.Add([]byte(`{"params":"` + strings.Repeat(`\u0041`, 3000)))
	f.Fuzz(func(t *testing.T, text []byte) {
		alloctest.Within(t, taskBytes+8*len(text), func() { _, _ = task.Decode(text) })
		x, err := task.Decode(text)
		if err != nil {
			var field *task.FieldError
			if !errors.As(err, &field) || field.Field == "" || field.Problem == "" || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%q is no JSON and was taken", text)
		}
		written, err := json.Marshal(x)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		back, err := task.Decode(written)
		if err != nil {
			t.Fatalf("%q was written as %s: %v", text, written, err)
		}
		back.Params = x.Params // json.Marshal compacts them
		if !back.Same(x) {
			t.Fatalf("%q was written as %s", text, written)
		}
		again, err := task.Decode(x.AppendJSON(nil))
		if err != nil || !again.Same(x) {
			t.Fatalf("%q was appended as %s: %v", text, x.AppendJSON(nil), err)
		}
	})
}

// FuzzParams: params are taken if, and only if, encoding/json takes them too.
func FuzzParams(f *testing.F) {
	for _, seed := range []string{`{}`, `[]`, ` [ 1 , -0.5e-3 ] `, `"\u00e9\ud83d\ude00"`, `01`, `1e5`, `-`, `{"a":{"b":[true,false,null]}}`,
		`{"a":1,"a":2}`, "\"\x7f\"", `"\`, `{"a"}`, `[}`, `nul`, "1\x00", `"a" "b"`, `{} }`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, params string) {
		if !utf8.ValidString(params) || strings.Count(params, "[")+strings.Count(params, "{") > 900 {
			return
		}
		x, err := task.Decode([]byte(`{"script_path":"/x.py","params":` + params + `}`))
		valid := json.Valid([]byte(params))
		if err != nil && strings.Contains(err.Error(), "more than a float holds") {
			var f any
			if wrong := json.Unmarshal([]byte(params), &f); wrong == nil {
				t.Fatalf("%q: %v, and encoding/json holds it", params, err)
			}
			return
		}
		if valid && (err != nil || string(x.Params) != strings.Trim(params, " \t\r\n")) {
			t.Fatalf("%q is JSON: %v", params, err)
		}
		if err == nil && !valid && json.Valid([]byte(`[`+params+`]`)) {
			t.Fatalf("%q is no value of JSON and was taken", params)
		}
	})
}

func FuzzCursor(f *testing.F) {
	for _, seed := range []string{"1.2", "0.0", "", ".", "1", "-1.2", "1.2.3", "99999999999.1", "1.18446744073709551615"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c, d task.Cursor
		alloctest.Within(t, 4<<10+8*len(text), func() { _ = c.UnmarshalText([]byte(text)) })
		if err := c.UnmarshalText([]byte(text)); err != nil {
			if !errors.Is(err, task.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		back, _ := c.MarshalText()
		if err := d.UnmarshalText(back); err != nil || c.Compare(d) != 0 {
			t.Fatalf("%q is %v, then %v: %v", text, c, d, err)
		}
	})
}

// FuzzDuration: a duration that is taken comes back the same.
func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"1m30s", "-1s", "1e9s", "99999999999999999999h", "0", "1.5h", "9223372036854775807ns", "∞", "1h-5m", ".s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d, again task.Duration
		var err error
		alloctest.Within(t, 8<<10+8*len(text), func() { err = d.UnmarshalText([]byte(text)) })
		if err != nil {
			if len(err.Error()) > 500 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		back, _ := d.MarshalText()
		if err := again.UnmarshalText(back); err != nil || again != d {
			t.Fatalf("%q is %v, then %v: %v", text, d, again, err)
		}
	})
}

func TestCursorsAreInOrder(t *testing.T) {
	for i, pair := range [][2]task.Cursor{{{1, 1}, {1, 2}}, {{1, 9}, {2, 1}}, {{0, 0}, {1, 0}}} {
		if pair[0].Compare(pair[1]) >= 0 || pair[1].Compare(pair[0]) <= 0 {
			t.Errorf("pair %d is out of order", i)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, text := range map[string]string{"typical": typical, "labels": strings.Replace(typical, "}", `},"labels":{"a":"1","b":"2"},"concurrency_key":"k"`, 1)} {
		b.Run(name, func(b *testing.B) {
			in := []byte(text)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := task.Decode(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeLargeParams(b *testing.B) {
	in := []byte(`{"script_path":"/x.py","params":"` + strings.Repeat("0123456789abcdef", 1<<16) + `"}`)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := task.Decode(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	x, err := task.Decode([]byte(typical))
	if err != nil {
		b.Fatal(err)
	}
	buffer := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buffer = x.AppendJSON(buffer[:0])
	}
}
