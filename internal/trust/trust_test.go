package trust_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cpulb/internal/trust"
)

// other is the uid of somebody else.
const other = 54321

func folder(t *testing.T, path string, mode os.FileMode) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

func give(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	if err := os.Lchown(path, other, other); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) string {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFolderOfOnesOwnIsTrusted(t *testing.T) {
	dir := t.TempDir()
	plain := folder(t, filepath.Join(dir, "a", "state"), 0o700)
	sticky := folder(t, filepath.Join(folder(t, filepath.Join(dir, "tmp"), 0o777|os.ModeSticky), "state"), 0o755)
	group := folder(t, filepath.Join(folder(t, filepath.Join(dir, "group"), 0o770), "state"), 0o750)
	if os.Geteuid() != 0 { // root's group is always right
		group = plain
	}
	for _, path := range []string{plain, sticky, group, link(t, "a/../a", filepath.Join(dir, "link")) + "/state", filepath.Join(dir, "a", "new", "one"),
		link(t, plain, filepath.Join(dir, "tmp", "ours"))} {
		if err := trust.Folder(path, os.Geteuid()); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAFolderThatOthersControlIsNot(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir string) (path string)
		want error
		said string
	}{
		{"others can write in it", func(t *testing.T, dir string) string { return folder(t, dir+"/state", 0o702) }, trust.ErrOpen, "mode is 0702"},
		{"a group can write in it", func(t *testing.T, dir string) string { return folder(t, dir+"/state", 0o770) }, trust.ErrFolder, "mode is 0770"},
		{"a sticky bit does not help there", func(t *testing.T, dir string) string { return folder(t, dir+"/state", 0o777|os.ModeSticky) }, trust.ErrFolder, "others can write"},
		{"it is somebody else's", func(t *testing.T, dir string) string {
			give(t, folder(t, dir+"/state", 0o700))
			return dir + "/state"
		}, trust.ErrFolder, "belongs to uid 54321"},
		{"others can write above it", func(t *testing.T, dir string) string {
			folder(t, dir+"/all", 0o777)
			return folder(t, dir+"/all/a/state", 0o700)
		}, trust.ErrWay, "/all (mode 0777)"},
		{"others can write where it will be", func(t *testing.T, dir string) string { return folder(t, dir+"/all", 0o777) + "/new/state" }, trust.ErrWay, "/all"},
		{"somebody else owns a folder above", func(t *testing.T, dir string) string {
			folder(t, dir+"/his/state", 0o700)
			give(t, dir+"/his")
			return dir + "/his/state"
		}, trust.ErrWay, "/his belongs to uid 54321"},
		{"somebody else's link leads there", func(t *testing.T, dir string) string {
			folder(t, dir+"/state", 0o700)
			give(t, link(t, dir+"/state", folder(t, dir+"/tmp", 0o777|os.ModeSticky)+"/link"))
			return dir + "/tmp/link"
		}, trust.ErrWay, "symbolic link"},
		{"a link of our own leads through others'", func(t *testing.T, dir string) string {
			folder(t, dir+"/all", 0o777)
			folder(t, dir+"/all/state", 0o700)
			return link(t, "all/state", dir+"/link")
		}, trust.ErrWay, "/all"},
		{"a file is in the way", func(t *testing.T, dir string) string {
			if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return dir + "/file/state"
		}, syscall.ENOTDIR, "is not a folder"},
		{"a link leads to itself", func(t *testing.T, dir string) string { return link(t, "link", dir+"/link") }, syscall.ELOOP, "link"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := c.make(t, t.TempDir())
			err := trust.Folder(path, os.Geteuid())
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.said) {
				t.Errorf("%v, want %v with %q", err, c.want, c.said)
			}
		})
	}
}

func TestTheFolderItselfMayStandAnywhere(t *testing.T) {
	dir := t.TempDir()
	state := folder(t, folder(t, dir+"/all", 0o777)+"/state", 0o700)
	for _, path := range []string{state, link(t, state, dir+"/link"), dir + "/all/none"} {
		if err := trust.Itself(path, os.Geteuid()); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	folder(t, state, 0o707)
	if err := trust.Itself(dir+"/link", os.Geteuid()); !errors.Is(err, trust.ErrFolder) {
		t.Error(err)
	}
	if err := trust.Itself(link(t, "round", dir+"/round"), os.Geteuid()); err == nil {
		t.Error("a link to itself is trusted")
	}
}

func TestAFileIsTrustedThatOnlyItsUserAndRootCanChange(t *testing.T) {
	file := func(path string, mode os.FileMode) string {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	dir := folder(t, filepath.Join(t.TempDir(), "bin"), 0o755)
	open := folder(t, filepath.Join(dir, "open"), 0o777)
	sticky := folder(t, filepath.Join(dir, "tmp"), 0o777|os.ModeSticky)
	ours := file(filepath.Join(dir, "ours"), 0o755)
	for _, path := range []string{ours, file(filepath.Join(sticky, "ours"), 0o755), link(t, "ours", filepath.Join(dir, "link"))} {
		if err := trust.File(path, os.Geteuid()); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for path, kind := range map[string]error{file(filepath.Join(dir, "writable"), 0o757): trust.ErrFile, file(filepath.Join(open, "ours"), 0o755): trust.ErrWay,
		link(t, ours, filepath.Join(open, "link")): trust.ErrWay, dir: trust.ErrFile, filepath.Join(dir, "nowhere"): os.ErrNotExist} {
		if err := trust.File(path, os.Geteuid()); !errors.Is(err, kind) {
			t.Errorf("%s: %v, not %v", path, err, kind)
		}
	}
	give(t, ours)
	if err := trust.File(ours, os.Geteuid()); !errors.Is(err, trust.ErrFile) || !strings.Contains(err.Error(), "belongs to uid 54321") {
		t.Error(err)
	}
	give(t, filepath.Join(dir, "link"))
	if err := trust.File(filepath.Join(dir, "link"), os.Geteuid()); !errors.Is(err, trust.ErrWay) {
		t.Error(err)
	}
}
