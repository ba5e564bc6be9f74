package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestALookAtAScriptHoldsForAMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "script.py")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var s scripts
	now := time.Hour
	if err := s.check(path, now); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.check(path, now+freshScript-1); err != nil {
		t.Errorf("a moment later: %v", err)
	}
	if s.check(path, now+freshScript) == nil {
		t.Error("a script that has gone was accepted later")
	}
}

func TestScriptsSeenAreBounded(t *testing.T) {
	dir := t.TempDir()
	var s scripts
	for i := range maxScriptsSeen + 10 {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.check(path, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.seen) > maxScriptsSeen {
		t.Errorf("%d scripts are remembered", len(s.seen))
	}
}

// A batch may have as many as fit into a body, and each is told why.
func TestWhatIsSaidOfALongPathIsShort(t *testing.T) {
	for _, path := range []string{strings.Repeat("/none", 800), "/" + strings.Repeat("x", 4000), t.TempDir() + strings.Repeat("/.", 1900)} {
		if err := checkScript(path); err == nil || len(err.Error()) > 400 {
			t.Errorf("%v", err)
		}
	}
}
