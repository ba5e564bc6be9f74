package ipc

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestALinkInThePlaceOfTheSocketGivesNothingAway(t *testing.T) {
	dir := t.TempDir()
	secret, path := filepath.Join(dir, "secret"), filepath.Join(dir, "s")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, exchange := range map[string]func() error{
		"a link to a file": func() error { return os.Symlink(secret, path) },
		"a file":           func() error { return os.Link(secret, path) },
		"a link to a socket": func() error {
			l, err := net.Listen("unix", path+".other")
			if err != nil {
				return err
			}
			t.Cleanup(func() { l.Close() })
			return os.Symlink(path+".other", path)
		},
	} {
		if err := exchange(); err != nil {
			t.Fatal(err)
		}
		if err := publish(ListenConfig{Path: path, Mode: 0o666}, os.Getegid()); err == nil {
			t.Errorf("%s is taken for the socket", name)
		}
		if info, err := os.Stat(secret); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
