package python

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
)

func TestScriptsReturnWhatTheirMainReturns(t *testing.T) { everywhere(t, scriptsReturn) }

func scriptsReturn(t *testing.T, s runner) {
	for _, c := range []struct{ script, params, want string }{
		{"returns_params.py", `{"value": 21}`, `{"value": 21}`},
		{"returns_params.py", " [1, \"ğ\", null, true, 1.5]\n", `[1, "ğ", null, true, 1.5]`},
		{"takes_params_only.py", `{"value": 21}`, `{"value": 42}`},
		{"returns_what_is_named.py", `"none"`, `null`},
		{"returns_what_is_named.py", `"text"`, `"ğüşiöç €"`},
		{"returns_what_is_named.py", `"int_key"`, `{"1": true, "null": 1.5}`},
		{"returns_what_is_named.py", `"datetime"`, `{"when": "2024-01-02T03:04:05.000006+00:00"}`},
		{"returns_what_is_named.py", `"date"`, `"2024-01-02"`},
		{"returns_what_is_named.py", `"time"`, `"03:04:00"`},
		{"returns_what_is_named.py", `"decimal"`, `"1.10"`},
		{"returns_what_is_named.py", `"uuid"`, `"00000000-0000-0000-0000-000000000001"`},
		{"returns_what_is_named.py", `"path"`, `"/a/b"`},
		{"returns_what_is_named.py", `"enum"`, `["red", 3]`},
		{"returns_what_is_named.py", `"str_subclass"`, `"x"`},
		{"returns_what_is_named.py", `"dataclass"`, `[{"x": 0.5, "name": {"x": -0.0, "name": null}}]`},
		{"returns_what_is_named.py", `"namedtuple"`, `[1, [2]]`},
		{"returns_what_is_named.py", `"deque"`, `[1]`},
		{"returns_what_is_named.py", `"range"`, `[0, 1, 2]`},
		{"returns_what_is_named.py", `"mapping"`, `{"a": {"b": {"x": 2}}}`},
		{"returns_what_is_named.py", `"big_int"`, `18446744073709551617`},
		{"returns_what_is_named.py", `"tiny_float"`, `5e-324`},
		{"prints_surrogate.py", `null`, `"\ud800"`},
		{"yields.py", `{"count": 2}`, `[{"i": 0}, {"i": 1}]`},
		{"yields.py", `{"count": 2, "result": "end"}`, `"end"`},
		{"awaits.py", `[1, 2]`, `[2, 4]`},
		{"async_yields.py", `null`, `[0, 1, 2]`},
		{"runs_a_child.py", `null`, `"42\n"`},
		{"pickles_its_class.py", `7`, `7`},
		{"with a blank.and.dots.py", `null`, `true`},
		{"siblings_a/script.py", `null`, `["a", "a"]`},
		{"siblings_b/script.py", `null`, `["b", "b"]`},
		{"siblings_a/imports_package.py", `null`, `["package of a", "package of a"]`},
	} {
		t.Run(c.script+" "+c.params, func(t *testing.T) { wantData(t, s.run(script(c.script), c.params), c.want) })
	}
}

func TestFailuresBlameTheScriptClearly(t *testing.T) { everywhere(t, failuresBlame) }

func failuresBlame(t *testing.T, s runner) {
	for _, c := range []struct{ script, params, code, kind, message string }{
		{"raises_value_error.py", `1`, "exception", "ValueError", "bad value: 1"},
		{"raises_own_class.py", `1`, "exception", "Refused", "__str__ raised ZeroDivisionError"},
		{"raises_at_import.py", `1`, "exception", "LookupError", "at import"},
		{"no_main.py", `1`, "no_entry_point", "AttributeError", "define main(params, context)"},
		{"main_is_a_number.py", `1`, "no_entry_point", "TypeError", "main is a int"},
		{"main_takes_nothing.py", `1`, "no_entry_point", "TypeError", "must take (params, context) or (params)"},
		{"syntax_error.py", `1`, "script_syntax", "SyntaxError", "syntax_error.py, line 2"},
		{"null_byte.py", `1`, "script_syntax", "SyntaxError", "null bytes"},
		{"not_utf8.py", `1`, "script_syntax", "SyntaxError", "utf-8"},
		{"siblings_a/imports_broken.py", `1`, "script_syntax", "SyntaxError", "broken.py, line 1"},
		{"siblings_a/imports_nothing_there.py", `1`, "exception", "ModuleNotFoundError", "no_such_module_anywhere"},
		{"not_there.py", `1`, "script_not_found", "FileNotFoundError", "not_there.py"},
		{"no_main.py/below_a_file.py", `1`, "script_not_found", "FileNotFoundError", "below_a_file.py"},
		{"siblings_a", `1`, "script_unreadable", "IsADirectoryError", "is a folder"},
		{"exits_with_3.py", `1`, "exit", "SystemExit", "sys.exit(3)"},
		{"forks.py", `1`, "exception", "RuntimeError", "can't fork"},
		{"reads_input.py", `1`, "exception", "EOFError", ""},
		{"yields_then_raises.py", `1`, "exception", "RuntimeError", "after the first"},
		{"yields_for_ever.py", `1`, "result_too_large", "ResultTooLarge", "200000 bytes"},
		{"returns_bytes_of_size.py", `200000`, "result_too_large", "ResultTooLarge", "has 200002 bytes"},
		{"returns_params.py", `[1`, "bad_params", "JSONDecodeError", "params: "},
		{"returns_params.py", strings.Repeat("[", 100000), "bad_params", "RecursionError", "params: "},
		{"returns_what_is_named.py", `"nan"`, "bad_return_value", "TypeError", "data is nan"},
		{"returns_what_is_named.py", `"infinity_inside"`, "bad_return_value", "TypeError", `data["a"][1]["b"] is -inf`},
		{"returns_what_is_named.py", `"set"`, "bad_return_value", "TypeError", "data[1] is of type set"},
		{"returns_what_is_named.py", `"bytes"`, "bad_return_value", "TypeError", `data["k"] is of type bytes`},
		{"returns_what_is_named.py", `"bytearray"`, "bad_return_value", "TypeError", "base64"},
		{"returns_what_is_named.py", `"frozenset"`, "bad_return_value", "TypeError", "sorted()"},
		{"returns_what_is_named.py", `"timedelta"`, "bad_return_value", "TypeError", "data[0] is of type timedelta"},
		{"returns_what_is_named.py", `"complex"`, "bad_return_value", "TypeError", "data is of type complex"},
		{"returns_what_is_named.py", `"dataclass_nan"`, "bad_return_value", "TypeError", `data[0]["x"] is nan`},
		{"returns_what_is_named.py", `"class"`, "bad_return_value", "TypeError", "data is of type type"},
		{"returns_what_is_named.py", `"alike"`, "bad_return_value", "TypeError", `data["a"][0] has two keys that JSON writes as "1"`},
		{"returns_what_is_named.py", `"alike_in_dataclass"`, "bad_return_value", "TypeError", `data["x"] has two keys`},
		{"returns_what_is_named.py", `"object_key"`, "bad_return_value", "TypeError", "data has a key of type type"},
		{"returns_what_is_named.py", `"nan_key"`, "bad_return_value", "TypeError", "data has the key nan"},
		{"returns_what_is_named.py", `"deep"`, "bad_return_value", "TypeError", "nested deeper than 1000"},
		{"returns_what_is_named.py", `"object"`, "bad_return_value", "TypeError", "data is of type object"},
		{"returns_what_is_named.py", `"tuple_key"`, "bad_return_value", "TypeError", "key of type tuple"},
		{"returns_what_is_named.py", `"cycle"`, "bad_return_value", "TypeError", `data["self"][0] contains itself`},
		{"returns_what_is_named.py", `"huge_int"`, "bad_return_value", "TypeError", "digits"},
	} {
		t.Run(c.script+" "+c.params[:min(len(c.params), 20)], func(t *testing.T) {
			e := wantError(t, s.run(script(c.script), c.params), task.Failed, c.code)
			if e.Type != c.kind || !strings.Contains(e.Message+e.Traceback, c.message) && !strings.Contains(e.Message, c.message) {
				t.Errorf("%s: %s, want %s: …%s…\n%s", e.Type, e.Message, c.kind, c.message, e.Traceback)
			}
			wantData(t, s.run(script("returns_params.py"), `"next"`), `"next"`)
		})
	}
}

func TestTracebackStartsInTheScript(t *testing.T) { everywhere(t, tracebackStarts) }

func tracebackStarts(t *testing.T, s runner) {
	for _, c := range []struct{ script, first, last string }{
		{"raises_value_error.py", "in main", "ValueError: bad value: 1"},
		{"raises_chained.py", "in main", "RuntimeError: second"},
		{"raises_at_import.py", "in <module>", "LookupError: at import"},
		{"siblings_a/imports_nothing_there.py", "in <module>", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"},
		{"exits_with_3.py", "in main", "SystemExit: 3"},
		{"raises_in_coroutine.py", "in main", "ValueError: awaited"},
	} {
		t.Run(c.script, func(t *testing.T) {
			trace := s.run(script(c.script), `1`).Error.Traceback
			lines := strings.Split(strings.TrimSpace(trace), "\n")
			if lines[0] != "Traceback (most recent call last):" || !strings.Contains(lines[1], script(c.script)) ||
				!strings.HasSuffix(lines[1], c.first) || lines[len(lines)-1] != c.last {
				t.Errorf("want first %q and last %q:\n%s", c.first, c.last, trace)
			}
			if strings.Contains(trace, "<cpulb>") || strings.Contains(trace, "importlib") || strings.Contains(trace, "_cpulb_") {
				t.Errorf("the runtime shows:\n%s", trace)
			}
		})
	}
}

func TestUnreadableScriptIsSaidToBe(t *testing.T) {
	s := openTestSlot(t)
	e := wantError(t, s.run("/proc/self/mem", `1`), task.Failed, "script_unreadable")
	if e.Type != "OSError" {
		t.Errorf("%+v", e)
	}
}

func TestContextTellsOfTheTask(t *testing.T) {
	s := openTestSlot(t)
	k := s.task(script("reads_context.py"), `{}`)
	k.Labels = map[string]string{"team": "ğ"}
	k.Attempt, k.Traceparent, k.Timeout = 2, "00-ab-cd-01", time.Hour
	o := <-s.start(k, newEvents())
	for _, want := range []string{`"task_id":"task-1"`, `"script_path":"/`, `"task_type":"cpu_bound"`, `"attempt":2`,
		`"labels":{"team":"ğ"}`, `"deadline":1`, `"traceparent":"00-ab-cd-01"`, `"worker":"test-0"`, `"core":`, `"slot":`} {
		if !strings.Contains(string(o.Data), want) {
			t.Errorf("%s is not in %s %+v", want, o.Data, o.Error)
		}
	}
}

func TestWhatIsLeftOfATimeoutDoesNotFollowTheClock(t *testing.T) {
	s := openTestSlot(t)
	k := s.task(script("sets_its_clock.py"), `{}`)
	k.Timeout = time.Hour
	wantData(t, <-s.start(k, newEvents()), `[true, true]`)
	wantData(t, s.run(script("sets_its_clock.py"), `{}`), `[null, null]`)
}

func TestEventsLeaveWhileTheScriptRuns(t *testing.T) {
	s := openTestSlot(t)
	got := newEvents()
	o := <-s.start(s.task(script("sends_events.py"), `{}`), got)
	wantData(t, o, `"progress: the fraction must be from 0 to 1, not 2.0"`)
	want := []string{"progress 0.5 half way", "log debug at debug", "log info at info", "log warning at warning",
		"log error at error", `partial {"partial":1}`, `partial "from a thread"`}
	if !slices.Equal(got.all, want) {
		t.Errorf("%q", got.all)
	}
}

func TestYieldsArePartialResults(t *testing.T) {
	s := openTestSlot(t)
	for _, c := range []struct {
		script string
		want   []string
	}{
		{"yields.py", []string{`partial {"i":0}`, `partial {"i":1}`}},
		{"async_yields.py", []string{"partial 0", "partial 1", "partial 2"}},
	} {
		got := newEvents()
		<-s.start(s.task(script(c.script), `{"count": 2}`), got)
		if !slices.Equal(got.all, c.want) {
			t.Errorf("%s: %q", c.script, got.all)
		}
	}
}

func TestWallAndThreadTimeAreAccounted(t *testing.T) {
	s := openTestSlot(t)
	o := s.run(script("stress_of_stops.py"), `{"rounds": 300000, "id": 1}`)
	if o.RunTime <= 0 || o.CPUTime <= 0 {
		t.Errorf("run %v, cpu %v", o.RunTime, o.CPUTime)
	}
}

// numpy is what people return most that is not the standard library's.
func TestNumpyValuesKeepTheirPrecision(t *testing.T) {
	s := openTestSlot(t)
	if o := s.run(script("returns_what_is_named.py"), `"np_0d"`); o.Status != task.Completed {
		t.Skip("python3-numpy is not installed")
	}
	for name, want := range map[string]string{
		"np_scalars": `[-5, 0.5, true, "s", 200]`,
		"np_array":   `[[0, 1, 2], [3, 4, 5]]`,
		"np_time":    `["2024-01-02T03:04:05.123456789", ["2024-01-02"]]`,
		"np_empty":   `[]`,
		"np_0d":      `7`,
	} {
		wantData(t, s.run(script("returns_what_is_named.py"), fmt.Sprintf("%q", name)), want)
	}
	for name, message := range map[string]string{
		"np_nan":        `data["a"][0][1] is nan`,
		"np_nat":        "data is a numpy scalar of dtype datetime64",
		"np_complex":    "data is a numpy array of dtype complex128",
		"np_longdouble": "data is a numpy scalar of dtype",
	} {
		e := wantError(t, s.run(script("returns_what_is_named.py"), fmt.Sprintf("%q", name)), task.Failed, "bad_return_value")
		if !strings.Contains(e.Message, message) {
			t.Errorf("%s: %s", name, e.Message)
		}
	}
}
