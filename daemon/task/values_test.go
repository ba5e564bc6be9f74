package task_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"cpulb/daemon/task"
)

func TestABatchInPiecesIsTheSameBatch(t *testing.T) {
	text := `{"tasks":[` + typical + ` , {"script_path":"x"} , 7 , "]\"}" , -1.5e3 , true , {"script_path":"/\"]}\\","params":{"a":["\\"]}} ] }`
	var whole, pieces []string
	for x, err := range task.ReadBatch(strings.NewReader(text)) {
		whole = append(whole, fmt.Sprint(x != nil && strings.HasPrefix(x.ScriptPath, "/"), err))
	}
	for x, err := range task.ReadBatch(iotest.OneByteReader(strings.NewReader(text))) {
		pieces = append(pieces, fmt.Sprint(x != nil && strings.HasPrefix(x.ScriptPath, "/"), err))
	}
	if len(whole) != 7 || strings.Join(whole, "\n") != strings.Join(pieces, "\n") {
		t.Errorf("whole:\n%s\nin pieces:\n%s", strings.Join(whole, "\n"), strings.Join(pieces, "\n"))
	}
}

func TestABatchWhoseReaderFailsIsNotWhole(t *testing.T) {
	lost := errors.New("lost")
	text := `{"tasks":[{"script_path":"/a"},{"script_path":"/b"}]}`
	for n := range len(text) {
		var last error
		for _, err := range task.ReadBatch(io.MultiReader(strings.NewReader(text[:n]), iotest.ErrReader(lost))) {
			last = err
		}
		var broken *task.BatchError
		if !errors.As(last, &broken) || !errors.Is(last, lost) {
			t.Errorf("after %q: %v", text[:n], last)
		}
	}
}

func TestWhereABatchStopsBeingJSONIsCountedFromItsBeginning(t *testing.T) {
	for text, said := range map[string]string{
		`{"tasks":[{"script_path":"/a"},{"script_path":"/b","params":tru}]}`: "byte 64: '}' instead of the rest of true",
		`{"tasks":[{"script_path":"/a"} {}]}`:                                "byte 32: '{' instead of ',' or ']'",
		`{"tasks":[{},`:                                                      "byte 14: the end instead of a value",
		`{"tasks":[,]}`:                                                      "byte 11: ',' instead of a value",
		`{"tasks":[] "x"}`:                                                   "byte 13: '\"' instead of ',' or '}'",
		`{"tasks" []}`:                                                       "byte 10: '[' instead of ':'",
		`{tasks:[]}`:                                                         "byte 2: 't' instead of a name in double quotes",
		`{"tasks":}`:                                                         "byte 10: '}' instead of an array",
		`{"tasks":[]}}`:                                                      "something after it",
		`{"tasks":[00]}`:                                                     "more than one JSON value",
		"{\"tasks\":[]}\x00":                                                 "something after it",
		"\xef\xbb\xbf{\"tasks\":[]}":                                         "byte 1: a character that is not ASCII",
		`{"tasks":[` + strings.Repeat("[", 1e6):                              "nested deeper than",
	} {
		var last error
		for _, err := range task.ReadBatch(strings.NewReader(text)) {
			last = err
		}
		var broken *task.BatchError
		var field *task.FieldError
		if !errors.As(last, &broken) || !errors.As(last, &field) || field.Code != "invalid_json" || !strings.Contains(last.Error(), said) {
			t.Errorf("%.60q: %v; want %q", text, last, said)
		}
	}
}
