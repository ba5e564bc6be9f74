package programs_test

import (
	"os"
	"path/filepath"
	"testing"

	"cpulb/internal/programs"
)

func TestProgramsThatAreThereAreTaken(t *testing.T) {
	bin, folder := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "cpulb"), []byte("a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(programs.Binaries, bin)
	if err := programs.Into(folder, "cpulb"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "cpulb"))
	if info, _ := os.Stat(filepath.Join(folder, "cpulb")); err != nil || string(text) != "a program" || info.Mode().Perm() != 0o755 {
		t.Errorf("%q, %v, %v", text, info, err)
	}
	if programs.Into(folder, "cpulbd") == nil {
		t.Error("a program that is not there was found")
	}
}
