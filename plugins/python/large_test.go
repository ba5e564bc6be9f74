package python

import (
	"encoding/json"
	"strings"
	"testing"

	"cpulb/daemon/task"
)

// Large strings have a shorter way in and out, unless something in them is escaped.
func TestLargeStringsComeBackAsTheyWere(t *testing.T) {
	s := openTestSlot(t)
	for _, inside := range []string{"", `"`, `\`, "\n", "\x00", "\x1f", " ", "\x7f", "ü", "😀", `\ud800`} {
		for _, before := range []int{1, 63, 64, 65, 70_000} {
			text := strings.Repeat("x", before) + inside + strings.Repeat("y", 70_000)
			params, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			if inside == `\ud800` { // half of a pair, which Go does not write
				params = []byte(strings.Replace(string(params), `\\ud800`, inside, 1))
			}
			for _, sent := range [][]byte{params, append([]byte(" "), params...), append([]byte("["), append(params, ']')...)} {
				o := s.run(script("returns_params.py"), string(sent))
				if o.Status != task.Completed {
					t.Fatalf("%q after %d: %v %+v", inside, before, o.Status, o.Error)
				}
				if got, want := plainly(t, o.Data), plainly(t, sent); got != want {
					t.Errorf("%q after %d: %d bytes of JSON came back as %d", inside, before, len(sent), len(o.Data))
				}
			}
		}
	}
}

// plainly returns text, which is JSON, in the one form that encoding/json has for it.
func plainly(t *testing.T, text []byte) string {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(again)
}
