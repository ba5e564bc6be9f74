package task_test

import (
	"encoding/json"
	"testing"
	"time"

	"cpulb/daemon/task"

	"pgregory.net/rapid"
)

// asJSON holds what was appended to encoding/json.
func asJSON(t *rapid.T, got []byte, v any) {
	t.Helper()
	want, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != "x"+string(want) {
		t.Fatalf("appended %s, encoding/json has %s", got, want)
	}
}

func TestWhatIsAppendedIsWhatEncodingJSONWrites(t *testing.T) {
	x := []byte("x")
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune("ab\"\\<>&\x00\b\f\n\r\t\x1f\x7f\u00fc\u2027\u2028\u2029\u202a\ufffd\U0001f600")), -1, -1, -1),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		asJSON(t, task.AppendString(x, text), text)
		var id task.ID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		asJSON(t, task.AppendID(x, id), id)
		at := time.Unix(rapid.Int64Range(0, 250_000_000_000).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).
			In(time.FixedZone("", 60*rapid.IntRange(-800, 800).Draw(t, "zone")))
		asJSON(t, task.AppendTime(x, at), at)
	})
}
