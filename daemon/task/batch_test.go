package task_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/internal/alloctest"
)

// batch lists what ReadBatch yields: a path, the field at fault, or "broken:"
// and the field.
func batch(text string) []string {
	var got []string
	for t, err := range task.ReadBatch(strings.NewReader(text)) {
		var field *task.FieldError
		var broken *task.BatchError
		switch {
		case err == nil:
			got = append(got, t.ScriptPath)
		case errors.As(err, &broken) && errors.As(err, &field):
			got = append(got, "broken:"+field.Field)
		case errors.As(err, &field):
			got = append(got, "!"+field.Field)
		}
	}
	return got
}

func TestABadTaskOfABatchDoesNotStopTheOthers(t *testing.T) {
	for text, want := range map[string]string{
		`{"tasks":[]}`: "",
		` { "tasks" : [ {"script_path":"/a"} , {"script_path":"/b"} ] } `:                    "/a /b",
		`{"tasks":[{"script_path":"a","params":{"x":["}"]}},{"script_path":"/b"}]}`:          "!script_path /b",
		`{"tasks":[7,null,{"unknown":[1,2]},{"script_path":"/b","script_path":"/c"},[],{}]}`: "!body !body !unknown !script_path !body !script_path",
		`{"tasks":[{"script_path":"/a"},{"script_path":"/b"`:                                 "/a broken:body",
		`{"tasks":[{"script_path":"/a"},]}`:                                                  "/a broken:body",
		`{"tasks":[{"script_path":"/a"}]} x`:                                                 "/a broken:body",
		"{\"tasks\":[{\"script_path\":\"/a\"},{\"script_path\":\"/\xff\"},{}]}":              "/a broken:body",
		`{"tasks":[{"script_path":"/a"}],"tasks":[]}`:                                        "/a broken:tasks",
		`{"tasks":{}}`: "broken:tasks",
		`{"jobs":[]}`:  "broken:jobs",
		`{}`:           "broken:tasks",
		`[]`:           "broken:body",
		``:             "broken:body",
	} {
		if got := strings.Join(batch(text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestABatchIsReadNoFurtherThanWanted(t *testing.T) {
	n := 0
	for range task.ReadBatch(strings.NewReader(`{"tasks":[{"script_path":"/a"},{"script_path":"/b"},{"script_path":"/c"}]}`)) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d were yielded", n)
	}
}

// FuzzBatch: a batch is what encoding/json takes it for, and its tasks are those
// that Decode makes of each.
func FuzzBatch(f *testing.F) {
	f.Add([]byte(`{"tasks":[` + typical + `,{"script_path":"x"}, 7 ]}`))
	f.Add([]byte(`{"tasks":[{}],"tasks":[]}`))
	f.Add([]byte(`{"tasks":[{"params":[[[]]]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		// What is yielded is its receiver's; the rest is that of one task.
		alloctest.Within(t, taskBytes+8*len(text)+(2<<10)*bytes.Count(text, []byte(",")), func() {
			for range task.ReadBatch(bytes.NewReader(text)) {
			}
		})
		got := batch(string(text))
		if slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "broken:") }) {
			return
		}
		var want struct{ Tasks []json.RawMessage }
		if err := json.Unmarshal(text, &want); err != nil || len(want.Tasks) != len(got) {
			t.Fatalf("%q was read as %q: %v", text, got, err)
		}
		for i, one := range want.Tasks {
			x, err := task.Decode(one)
			var field *task.FieldError
			if err == nil && got[i] != x.ScriptPath || errors.As(err, &field) && got[i] != "!"+field.Field {
				t.Fatalf("%q: task %d was read as %q, alone it is %v %v", text, i, got[i], x, err)
			}
		}
	})
}

func BenchmarkReadBatch(b *testing.B) {
	text := []byte(fmt.Sprintf(`{"tasks":[%s]}`, strings.TrimSuffix(strings.Repeat(typical+",", 10_000), ",")))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		for _, err := range task.ReadBatch(bytes.NewReader(text)) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
