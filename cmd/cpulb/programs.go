package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// findProgram looks for one of the project's programs beside this one, where packages put
// those that only programs run, in PATH, and where daemons are.
func findProgram(name string) (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	bin := filepath.Dir(own)
	libexec := filepath.Join(bin, "../libexec/cpulb")
	for _, folder := range []string{bin, libexec} {
		if path := filepath.Join(folder, name); isProgram(path) {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	if path := filepath.Join("/usr/sbin", name); isProgram(path) {
		return path, nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		err = fmt.Errorf("%s is neither in %s, nor in %s, nor in PATH", name, bin, libexec)
	}
	return "", err
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
