package access

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheFirstUserIsTheSystems(t *testing.T) {
	for text, want := range map[string]uint32{
		"# UID_MIN 5\nUID_MIN\t\t 500 # ours\nUID_MAX 60000\n": 500,
		"UID_MAX 60000\n":         1000,
		"UID_MIN many\n":          1000,
		"UID_MIN 0x10\nUID_MIN 7": 16,
	} {
		path := filepath.Join(t.TempDir(), "login.defs")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := firstUser(path); got != want {
			t.Errorf("%q: %d, not %d", text, got, want)
		}
	}
	if got := firstUser("/nonexistent"); got != 1000 {
		t.Errorf("without a file: %d", got)
	}
}
