package swapfile

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestWhatIsSavedIsLoaded(t *testing.T) {
	dir := t.TempDir()
	if all, err := Load(dir); all != nil || err != nil {
		t.Errorf("nothing was saved: %v %v", all, err)
	}
	for _, want := range [][]Swap{
		{{Executor: "a", Replaced: Program{Command: "x", Pin: "00"}, Program: Program{Command: "/y", SHA256: "ab"}, Before: &Program{Command: "x"}, At: time.Unix(7, 0).UTC()}},
		{{Executor: "b"}, {Executor: "c"}},
		nil,
	} {
		if err := Save(dir, want); err != nil {
			t.Fatal(err)
		}
		if all, err := Load(dir); err != nil || !reflect.DeepEqual(all, want) {
			t.Errorf("%+v is %+v, %v", want, all, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, Name))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestAnotherFileIsDamagedAndNotBelieved(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "cut off": `{"version": 1, "swaps": [`, "another version": `{"version": 2, "swaps": []}`,
		"no version": `{}`, "large": strings.Repeat(" ", maxBytes+1)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, Name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if all, err := Load(dir); all != nil || !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v %v", name, all, err)
		}
	}
	dir := t.TempDir()
	if err := os.Symlink("/dev/zero", filepath.Join(dir, Name)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); !errors.Is(err, ErrDamaged) {
		t.Errorf("a link: %v", err)
	}
}

// A save that fails leaves the file as it was; what a daemon left that died over one does
// not matter.
func TestASaveIsWholeOrNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, Name)
	if err := errors.Join(Save(dir, []Swap{{Executor: "a"}}), os.WriteFile(path+".new", []byte("half"), 0o600), Save(dir, []Swap{{Executor: "b"}})); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path+".new", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Save(dir, []Swap{{Executor: "c"}}); err == nil {
		t.Error("it was saved")
	}
	if all, err := Load(dir); err != nil || len(all) != 1 || all[0].Executor != "b" {
		t.Errorf("%v %v", all, err)
	}
}
