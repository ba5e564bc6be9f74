package task_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/internal/alloctest"
)

func TestParamsWithTheSameContentAreTheSame(t *testing.T) {
	for _, pair := range [][2]string{
		{`{"a":1,"b":"ü"}`, ` { "b" : "\u00fc" ,` + "\n\t" + `"a" : 1 } `},
		{`{"\u0061":"\ud83d\ude00\n\/"}`, `{"a":"😀\u000a/"}`},
		{`{"a":1,"a":2}`, `{"a":2}`},
		{`{"a":{"x":1},"b":2,"a":{"y":[]}}`, `{"b":2,"a":{"y":[]}}`},
		{`"\ud800"`, `"\uD800"`},
		{``, `{ }`},
		{`[]`, `[ ]`},
		{`[{"a":1,"b":2},{"b":2,"a":1}]`, `[{"b":2,"a":1},{"a":1,"b":2}]`},
		{`"a` + strings.Repeat(`b`, 5000) + `"`, `"\u0061` + strings.Repeat(`b`, 4999) + `\u0062"`},
		{nested(1000), " " + nested(1000)},
	} {
		if !task.SameParams(json.RawMessage(pair[0]), json.RawMessage(pair[1])) || !task.SameParams(json.RawMessage(pair[1]), json.RawMessage(pair[0])) {
			t.Errorf("%.100s and %.100s differ", pair[0], pair[1])
		}
	}
}

func TestParamsWithOtherContentDiffer(t *testing.T) {
	all := []string{`1`, `1.0`, `1e0`, `"1"`, `true`, `null`, `"true"`, `[]`, `{}`, `""`, `[[]]`, `[{}]`, `[1,2]`, `[2,1]`, `[12]`, `{"a":1}`, `{"a":"1"}`, `{"b":1}`, `{"a":1,"b":2}`,
		`{"a":2,"b":1}`, `{"a":{"b":2}}`, `[[1],2]`, `[[1,2]]`, `9007199254740992`, `9007199254740993`, `-0`, `0`, `"\ud800"`, `"\udc00"`, `"\ufffd"`, `"\ud800\udc00"`, `{"a":null}`,
		`{"":""}`, `["",""]`, `{"a":[1],"b":[2]}`, `{"a":[2],"b":[1]}`, nested(999), nested(1000)}
	for i, x := range all {
		for j, y := range all {
			if same := task.SameParams(json.RawMessage(x), json.RawMessage(y)); same != (i == j) {
				t.Errorf("%.50s and %.50s: %v", x, y, same)
			}
		}
	}
}

func TestManyMembersInAnotherOrderAreTheSame(t *testing.T) {
	const n = 50_000
	var up, down strings.Builder
	for i := range n {
		fmt.Fprintf(&up, `,"k%d":[%d]`, i, i)
		fmt.Fprintf(&down, `, "k%d" : [ %d ]`, n-1-i, n-1-i)
	}
	x, y := json.RawMessage("{"+up.String()[1:]+"}"), json.RawMessage("{"+down.String()[1:]+"}")
	if !task.SameParams(x, y) {
		t.Error("they differ")
	}
	if y[len(y)-4] = '7'; task.SameParams(x, y) {
		t.Error("one value is another and they are the same")
	}
}

// FuzzSame: what encoding/json takes for the same value, numbers as their texts, is the
// same, and nothing else is.
func FuzzSame(f *testing.F) {
	for _, pair := range [][2]string{{`{"a":1,"b":[2,{}]}`, `{"b":[2, {}],"\u0061":1}`}, {`[1]`, `[1.0]`}, {`"\ud83d\ude00"`, `"😀"`}, {`{"a":1,"a":2}`, `{"a":1}`}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, x, y string) {
		if strings.Contains(strings.ToLower(x+y), `\ud`) {
			return // encoding/json takes all halves of pairs for the same
		}
		var values [2]any
		for i, text := range []string{x, y} {
			if _, err := task.Decode([]byte(`{"script_path":"/x.py","params":` + text + `}`)); err != nil {
				return
			}
			decoder := json.NewDecoder(strings.NewReader(text))
			decoder.UseNumber()
			if err := decoder.Decode(&values[i]); err != nil || decoder.More() {
				return
			}
		}
		alloctest.Within(t, 4<<10+32*(len(x)+len(y)), func() { task.SameParams(json.RawMessage(x), json.RawMessage(y)) })
		if same := task.SameParams(json.RawMessage(x), json.RawMessage(y)); same != reflect.DeepEqual(values[0], values[1]) {
			t.Fatalf("%q and %q: %v", x, y, same)
		}
	})
}

func BenchmarkSameParams(b *testing.B) {
	x := json.RawMessage(`[` + strings.Repeat(`{"name":"some text of a usual length","value":12345,"list":[1,2,3]},`, 20_000) + `0]`)
	y := json.RawMessage(strings.ReplaceAll(string(x), ",", ", "))
	b.SetBytes(int64(len(x)))
	b.ReportAllocs()
	for b.Loop() {
		if !task.SameParams(x, y) {
			b.Fatal("they differ")
		}
	}
}
