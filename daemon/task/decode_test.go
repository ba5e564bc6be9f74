package task_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
)

const id = "0198c5f0-7d2a-7c3e-9b1f-0a1b2c3d4e5f"

// samples has two values for every field of a task, neither of them its default.
var samples = map[string][2]string{
	"task_id":         {`"` + id + `"`, `"0198c5f0-7d2a-7c3e-9b1f-0a1b2c3d4e60"`},
	"script_path":     {`"/srv/a.py"`, `"/srv/b\u00e9.py"`},
	"source":          {`"def main(p): pass"`, `"# other\n"`},
	"function":        {`"run"`, `"__main__"`},
	"params":          {`{"a":[1,-2.5e+3,"x\n",true,null]}`, `null`},
	"task_type":       {`"io_bound"`, `"cpu_bound"`},
	"pool":            {`"a"`, `"b"`},
	"executor":        {`"a"`, `"b"`},
	"priority":        {`0`, `9`},
	"timeout":         {`"1m30s"`, `"2s"`},
	"expires_at":      {`"2036-01-02T03:04:05Z"`, `"2036-01-02T03:04:05.000000001+02:00"`},
	"max_retries":     {`1`, `2`},
	"retry_backoff":   {`"2s"`, `"3s"`},
	"run_at":          {`"2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:06Z"`},
	"delay":           {`"1s"`, `"2s"`},
	"idempotency_key": {`"a"`, `"b"`},
	"concurrency_key": {`"a"`, `"b"`},
	"on_worker_lost":  {`"fail"`, `"requeue"`},
	"durable":         {`true`, `false`},
	"result_ttl":      {`"1s"`, `"2s"`},
	"labels":          {`{"a":"b","c":""}`, `{"a":"b"}`},
	"env":             {`{"A":"1"}`, `{"A":"2"}`},
	"cwd":             {`"/a"`, `"/b"`},
	"traceparent":     {`"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"`, `"x"`},
}

// taskWith is a task with one field set, as text and decoded.
func taskWith(t *testing.T, field, value string) (string, *task.Task) {
	t.Helper()
	text := "{"
	if field != "script_path" && field != "source" {
		text += `"script_path":"/x.py",`
	}
	if field != "task_id" {
		text += `"task_id":"` + id + `",`
	}
	text += fmt.Sprintf("%q:%s}", field, value)
	x, err := task.Decode([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return text, x
}

func TestAFieldLeftOutHasItsDefault(t *testing.T) {
	x, err := task.Decode([]byte(`{"script_path":"/x.py"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &task.Task{ID: x.ID, ScriptPath: "/x.py", Function: "main", Params: json.RawMessage("{}"), Type: task.CPUBound, Priority: 5}
	if !reflect.DeepEqual(x, want) || x.ID.Version() != 7 {
		t.Errorf("got %+v", x)
	}
	if e := x.Extras(); e.OnWorkerLost != task.Requeue || e.RetryBackoff != task.DefaultRetryBackoff {
		t.Errorf("extras %+v", e)
	}
}

func TestANullIsAsGoodAsNothing(t *testing.T) {
	for _, name := range task.Fields() {
		if name == "params" || name == "task_id" || name == "script_path" || name == "source" {
			continue
		}
		_, with := taskWith(t, name, " null ")
		without, err := task.Decode([]byte(`{"script_path":"/x.py","task_id":"` + id + `"}`))
		if err != nil || !with.Same(without) || !reflect.DeepEqual(with, without) {
			t.Errorf("%s: null is %+v", name, with)
		}
	}
}

func TestEveryFieldCountsAndComesBack(t *testing.T) {
	if len(samples) != len(task.Fields()) {
		t.Errorf("%d samples for %d fields", len(samples), len(task.Fields()))
	}
	for _, name := range task.Fields() {
		pair := samples[name]
		var both [2]*task.Task
		for i, value := range pair {
			text, x := taskWith(t, name, value)
			if !x.Gives(name) {
				t.Errorf("%s: does not give it", text)
			}
			written, err := json.Marshal(x)
			if err != nil {
				t.Fatal(err)
			}
			back, err := task.Decode(written)
			if err != nil || !back.Same(x) || !x.Same(back) {
				t.Errorf("%s was written as %s, which reads as %+v, %v", text, written, back, err)
			}
			both[i] = x
		}
		if both[0].Same(both[1]) || both[1].Same(both[0]) {
			t.Errorf("%s: %s and %s are the same", name, pair[0], pair[1])
		}
	}
}

func TestADefaultSaidAloudIsTheSame(t *testing.T) {
	for name, value := range map[string]string{"function": `"main"`, "params": `{}`, "task_type": `"cpu_bound"`, "priority": `5`,
		"pool": `""`, "max_retries": `0`, "retry_backoff": `"1s"`, "on_worker_lost": `"requeue"`, "labels": `{}`, "timeout": `"0s"`} {
		_, aloud := taskWith(t, name, value)
		_, silent := taskWith(t, "script_path", `"/x.py"`)
		if !aloud.Same(silent) || !silent.Same(aloud) {
			t.Errorf("%s: %s is not the default", name, value)
		}
	}
}

// badTasks are fields and values that no task may have, with a part of what has
// to be said of each.
var badTasks = []struct{ name, value, said string }{
	{"task_id", `"x"`, `"x" is not a UUID`},
	{"task_id", `"00000000-0000-0000-0000-000000000000"`, "nil UUID"},
	{"task_id", `"{0198c5f0-7d2a-7c3e-9b1f-0a1b2c3d4e5f}"`, "not a UUID"},
	{"task_id", `7`, "must be a string, not a number"},
	{"script_path", `""`, "is missing"},
	{"script_path", `"x.py"`, "is not absolute"},
	{"script_path", `"/x\u0000.py"`, "NUL"},
	{"script_path", `"/` + strings.Repeat("x", 4095) + `"`, "at most 4095"},
	{"script_path", `["/x.py"]`, "must be a string, not an array"},
	{"source", `""`, "is empty"},
	{"source", `"` + strings.Repeat("x", 1<<20+1) + `"`, "at most 1048576"},
	{"source", `"\u0000"`, "NUL"},
	{"function", `""`, "is empty"},
	{"function", `"a\nb"`, "control characters"},
	{"function", `"` + strings.Repeat("x", 256) + `"`, "at most 255"},
	{"function", `"\ud800"`, "not UTF-8"},
	{"params", `1E400`, "1E400 at byte 33 is more than a float holds"},
	{"params", `{"a":[1,-1e999,2e999]}`, "-1e999 at byte 41 is more"},
	{"params", `[` + strings.Repeat("9", 400) + `.5]`, "is more than a float holds"},
	{"params", `[` + strings.Repeat("9", 5000) + `e1]`, "is more than a float holds"},
	{"params", `0.` + strings.Repeat("0", 5000) + `1e99999999999999999999`, "is more than a float holds"},
	{"task_type", `"gpu"`, "(allowed: cpu_bound, io_bound)"},
	{"pool", `"` + strings.Repeat("x", 65) + `"`, "at most 64"},
	{"executor", `{}`, "must be a string, not an object"},
	{"priority", `10`, "not within 0 to 9"},
	{"priority", `-1`, "not within 0 to 9"},
	{"priority", `5.0`, "5.0 is not a whole number"},
	{"priority", `99999999999999999999`, "not a whole number"},
	{"priority", `"5"`, "must be a whole number, not a string"},
	{"timeout", `30`, `must be a duration string such as "30s", not a number`},
	{"timeout", `"30"`, `"30" is not a duration`},
	{"timeout", `"0.0000000001s"`, `"0.0000000001s" is less than a nanosecond`},
	{"timeout", `"9999999999h"`, `is not a duration`},
	{"timeout", `"-1s"`, "negative"},
	{"timeout", `"1000000h"`, "is more than"},
	{"expires_at", `"tomorrow"`, "RFC 3339"},
	{"expires_at", `"1969-12-31T23:59:59Z"`, "before 1970"},
	{"run_at", `1700000000`, "must be a string, not a number"},
	{"max_retries", `1001`, "not within 0 to 1000"},
	{"max_retries", `true`, "must be a whole number, not true or false"},
	{"retry_backoff", `"0s"`, "above zero"},
	{"result_ttl", `"0s"`, "above zero"},
	{"delay", `"-1s"`, "negative"},
	{"idempotency_key", `""`, "is empty"},
	{"concurrency_key", `"` + strings.Repeat("x", 256) + `"`, "at most 255"},
	{"on_worker_lost", `"retry"`, "(allowed: requeue, fail)"},
	{"durable", `"yes"`, "must be true or false, not a string"},
	{"labels", `["a"]`, "must be an object of strings, not an array"},
	{"labels", `{"a":1}`, "must be a string, not a number"},
	{"labels", `{"a":"1","a":"2"}`, `has "a" twice`},
	{"labels", `{"a=b":""}`, `no "="`},
	{"labels", `{"":""}`, "1 to 63 bytes"},
	{"labels", `{"a":"` + strings.Repeat("x", 1024) + `"}`, "at most 1023"},
	{"labels", many(65), "at most 64"},
	{"env", many(257), "at most 256"},
	{"env", `{"A=":""}`, `"="`},
	{"env", `{"A":"\u0000"}`, "NUL"},
	{"env", `{"A":"` + strings.Repeat("x", 32<<10) + `"}`, "more than 32768"},
	{"cwd", `"tmp"`, "is not absolute"},
	{"traceparent", `"` + strings.Repeat("x", 256) + `"`, "at most 255"},
	{"Priority", `1`, "unknown field (allowed: task_id, script_path,"},
}

func TestParamsComeThroughAsTheyWere(t *testing.T) {
	for _, params := range []string{`"\ud800"`, `{"\udfff":"\u0000"}`, `[9007199254740993,-0,1.0,1e2,1e308,1e-999,` + strings.Repeat("7", 5000) + `]`, `"\u2028` + "\u2028\ufeff" + `"`,
		nested(1000), `[` + nested(999) + `,7,"x"]`, strings.Repeat("[", 1000) + "7" + strings.Repeat("]", 1000), `{"a":1,"a":2}`} {
		if _, x := taskWith(t, "params", params); string(x.Params) != params {
			t.Errorf("%.100s came as %.100s", params, x.Params)
		}
	}
	var field *task.FieldError
	for _, params := range []string{nested(1001), `{"a":` + nested(1000) + `}`} {
		if _, err := task.Decode([]byte(`{"script_path":"/x.py","params":` + params + `}`)); !errors.As(err, &field) || field.Code != "invalid_json" {
			t.Errorf("%.100s: %v", params, err)
		}
	}
}

// nested is an array in an array, depth deep.
func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func many(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"k%d":""`, i))
	}
	return "{" + strings.Join(all, ",") + "}"
}

func TestABadFieldIsNamedWithWhatIsAllowed(t *testing.T) {
	for _, c := range badTasks {
		text := fmt.Sprintf(`{"script_path":"/x.py",%q:%s}`, c.name, c.value)
		if c.name == "script_path" || c.name == "source" {
			text = fmt.Sprintf(`{%q:%s}`, c.name, c.value)
		}
		_, err := task.Decode([]byte(text))
		var field *task.FieldError
		if !errors.As(err, &field) || field.Field != c.name || !strings.Contains(err.Error(), c.said) || field.Code != "" {
			t.Errorf("%.100s:\n got %.200v\nwant %s: … %s", text, err, c.name, c.said)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%.100s: the error has %d bytes", text, len(err.Error()))
		}
	}
}

func TestFieldsThatExcludeEachOther(t *testing.T) {
	for text, name := range map[string]string{
		`{"script_path":"/x","source":"x"}`:                                                        "source",
		`{"script_path":"/x","run_at":"2030-01-01T00:00:00Z","delay":"1s"}`:                        "delay",
		`{"script_path":"/x","run_at":"2030-01-01T00:00:00Z","expires_at":"2030-01-01T00:00:00Z"}`: "expires_at",
		`{"script_path":"/x","pool":"a","pool":"a"}`:                                               "pool",
		`{"script_path":"/x","priority":null,"priority":1}`:                                        "priority",
		`{"function":"main"}`: "script_path",
		`{"script_path":"/x","` + strings.Repeat("é", 1000) + `":1}`:                                    strings.Repeat("é", 32) + "…",
		`{"script_path":"/x","run_at":"2030-01-01T00:00:00Z","expires_at":"2029-01-01T00:00:00+01:00"}`: "expires_at",
	} {
		var field *task.FieldError
		if _, err := task.Decode([]byte(text)); !errors.As(err, &field) || field.Field != name {
			t.Errorf("%.100s: %v", text, err)
		}
	}
}

func TestTextThatIsNotJSONIsSaidToBeNoneAndWhere(t *testing.T) {
	for text, said := range map[string]string{
		"":                                      "byte 1: the end instead of",
		"  ":                                    "byte 3: the end",
		"{":                                     "byte 2: the end instead of a name",
		`{"script_path":"/x"`:                   "byte 20: the end instead of ',' or '}'",
		`{"script_path":"/x",}`:                 `byte 21: '}' instead of a name`,
		`{"script_path":"/x" "a"}`:              "byte 21",
		`{"script_path" "/x"}`:                  "instead of ':'",
		`{script_path:"/x"}`:                    "instead of a name in double quotes",
		`{"params":[1,]}`:                       "byte 14: ']' instead of a value",
		`{"params":[1 2]}`:                      "instead of ',' or ']'",
		`{"params":01}`:                         "byte 12",
		`{"params":-}`:                          "instead of a digit",
		`{"params":1.}`:                         "instead of a digit",
		`{"params":1e}`:                         "instead of a digit",
		`{"params":tru}`:                        "the rest of true",
		`{"params":NaN}`:                        "byte 11: 'N' instead of a value",
		`{"params":"\x"}`:                       "an escaped character",
		`{"params":"\u12g4"}`:                   "a hexadecimal digit",
		"{\"params\":\"a\nb\"}":                 "control characters are to be escaped",
		`{"params":"abc`:                        `the '"' that ends a string`,
		`{"script_path":"/x"} {}`:               "something after it",
		`{"script_path":"/x"}]`:                 "something after it",
		"{\"script_path\":\"/\xff\"}":           "not valid UTF-8",
		`{"params":` + strings.Repeat("[", 1e6): "nested deeper than 1000",
	} {
		_, err := task.Decode([]byte(text))
		var field *task.FieldError
		if !errors.As(err, &field) || field.Field != "body" || field.Code != "invalid_json" || !strings.Contains(err.Error(), said) {
			t.Errorf("%.60q: %v; want %q", text, err, said)
		}
	}
	var field *task.FieldError
	if _, err := task.Decode([]byte(`[{}]`)); !errors.As(err, &field) || field.Error() != "body: must be an object, not an array" {
		t.Errorf("an array: %v", err)
	}
}

func TestDecodeKeepsNothingOfItsText(t *testing.T) {
	text := []byte(`{"script_path":"/x.py","params":{"a":1},"labels":{"k":"v"},"concurrency_key":"c","task_id":"` + id + `"}`)
	x, err := task.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := json.Marshal(x)
	for i := range text {
		text[i] = '#'
	}
	if after, _ := json.Marshal(x); string(after) != string(before) {
		t.Errorf("%s became %s", before, after)
	}
}

func TestATaskReadsAndWritesAsAnyJSONValue(t *testing.T) {
	var in struct{ Tasks []task.Task }
	if err := json.Unmarshal([]byte(`{"Tasks":[{"script_path":"/x.py","delay":"1s"}]}`), &in); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(in)
	if err != nil || !strings.Contains(string(text), `"script_path":"/x.py"`) || !strings.Contains(string(text), `"delay":"1s"`) {
		t.Errorf("%s %v", text, err)
	}
	if err := json.Unmarshal([]byte(`{"Tasks":[{"script_path":"x"}]}`), &in); !errors.Is(err, task.ErrInvalid) {
		t.Error(err)
	}
}

func TestTimesAreOneInstantWhateverTheirZone(t *testing.T) {
	_, x := taskWith(t, "run_at", `"2026-01-02T03:04:05+02:00"`)
	_, y := taskWith(t, "run_at", `"2026-01-02T01:04:05Z"`)
	if !x.Same(y) || !x.Extra.RunAt.Equal(time.Date(2026, 1, 2, 1, 4, 5, 0, time.UTC)) {
		t.Errorf("%v and %v", x.Extra.RunAt, y.Extra.RunAt)
	}
}
