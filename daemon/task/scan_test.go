package task_test

import (
	"encoding/json"
	"strings"
	"testing"

	"cpulb/daemon/task"
)

// FuzzIsJSON: it is what encoding/json takes for JSON, up to the depth that is allowed.
func FuzzIsJSON(f *testing.F) {
	for _, text := range []string{"", "1", ` "abcdefgh" `, `"abcdefg\"hijklmnop\\"`, `"abcdefghijk` + "\n" + `"`, `"abcdefghijkl\u12zz"`, `"aaaaaaaaaaaaaaaa`, `{"aaaaaaaaa":[1,2,"` +
		strings.Repeat("é", 20) + `"]}`, `"` + strings.Repeat("x", 100) + `\` + `"`, `1 2`, "\x00", `"` + strings.Repeat("\xff", 16) + `"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if strings.Count(string(text), "[")+strings.Count(string(text), "{") > 1000 {
			t.Skip("it may be too deep")
		}
		if got, want := task.IsJSON(text), json.Valid(text); got != want {
			t.Errorf("%q: %v, encoding/json says %v", text, got, want)
		}
	})
}

func BenchmarkIsJSON(b *testing.B) {
	text := []byte(`"` + strings.Repeat("abcdefghi ", 100_000) + `"`)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if !task.IsJSON(text) {
			b.Fatal("it is")
		}
	}
}
