package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

const nobodyID = 65534

// folders are those of a worker, before it has them, and a folder of somebody else's.
func folders(t *testing.T) (launchers, folder, sockets, foreign string) {
	t.Helper()
	if err := MayChangeUser(); err != nil {
		t.Skip("workers can't have another user here:", err)
	}
	launchers = t.TempDir()
	folder = filepath.Join(launchers, "1")
	sockets = filepath.Join(folder, "plugin-dir1")
	foreign = filepath.Join(launchers, "foreign")
	for _, dir := range []string{folder, sockets, foreign} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(foreign, 1, 1); err != nil {
		t.Fatal(err)
	}
	return launchers, folder, sockets, foreign
}

func ownerOf(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

func TestAWorkersFoldersAreGivenToItsUser(t *testing.T) {
	launchers, folder, sockets, _ := folders(t)
	if err := (&User{UID: nobodyID, GID: nobodyID}).own(launchers, folder, sockets); err != nil {
		t.Fatal(err)
	}
	if ownerOf(t, folder) != nobodyID || ownerOf(t, sockets) != nobodyID || ownerOf(t, launchers) != os.Geteuid() {
		t.Errorf("%s of %d, %s of %d", folder, ownerOf(t, folder), sockets, ownerOf(t, sockets))
	}
}

// A script that has exchanged a folder of a worker's between its making and its giving away
// gets nothing.
func TestNothingIsGivenAwayThatHasTakenTheWorkersFoldersPlace(t *testing.T) {
	for name, exchange := range map[string]func(t *testing.T, folder, sockets, foreign string) error{
		"a link for the sockets' folder": func(_ *testing.T, _, sockets, foreign string) error {
			return errors.Join(os.Remove(sockets), os.Symlink(foreign, sockets))
		},
		"a folder for the sockets' folder": func(_ *testing.T, _, sockets, foreign string) error {
			return errors.Join(os.Remove(sockets), os.Rename(foreign, sockets), os.Symlink(sockets, foreign))
		},
		"a file for the sockets' folder": func(_ *testing.T, _, sockets, foreign string) error {
			return errors.Join(os.Remove(sockets), os.Remove(foreign), os.WriteFile(foreign, nil, 0o600), os.Link(foreign, sockets))
		},
		"a link for the worker's": func(_ *testing.T, folder, sockets, foreign string) error {
			return errors.Join(os.RemoveAll(folder), os.Mkdir(filepath.Join(foreign, filepath.Base(sockets)), 0o700), os.Symlink(foreign, folder))
		},
	} {
		t.Run(name, func(t *testing.T) {
			launchers, folder, sockets, foreign := folders(t)
			if err := exchange(t, folder, sockets, foreign); err != nil {
				t.Fatal(err)
			}
			reached, err := filepath.EvalSymlinks(foreign)
			if err != nil {
				t.Fatal(err)
			}
			owner := ownerOf(t, reached)
			if err := (&User{UID: nobodyID, GID: nobodyID}).own(launchers, folder, sockets); !errors.Is(err, ErrUser) {
				t.Errorf("%v", err)
			}
			if got := ownerOf(t, reached); got != owner {
				t.Errorf("%s belongs to %d now, and did to %d", reached, got, owner)
			}
		})
	}
}

// The daemon may not be root: what it can't remove itself the user can.
func TestWhatAWorkersUserHasLeftThatUserRemoves(t *testing.T) {
	launchers, folder, sockets, _ := folders(t)
	u := &User{UID: nobodyID, GID: nobodyID}
	if err := u.own(launchers, folder, sockets); err != nil {
		t.Fatal(err)
	}
	for dir := launchers; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) { // the way there
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	deep := filepath.Join(sockets, "closed", "deep")
	if err := u.as(func() error {
		return errors.Join(os.MkdirAll(deep, 0o700), os.WriteFile(filepath.Join(deep, "file"), nil, 0), os.Chmod(filepath.Dir(deep), 0), os.Chmod(folder, 0))
	}); err != nil {
		t.Fatal(err)
	}
	if err := u.as(func() error { return empty(folder) }); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v %v", left, err)
	}
}
