package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// tester is the program that tests executors: it links all that starts workers.
const tester = "cpulb-conformance"

type executorsTestCommand struct {
	Args []string `arg:"" optional:"" help:"BINARY --scripts DIR, and what else the test takes."`
}

// Run implements the command: the tester takes this process's place, its terminal and its
// signals included.
func (e *executorsTestCommand) Run() error {
	program, err := findTester()
	if err != nil {
		return err
	}
	args := append([]string{"cpulb executors test"}, e.Args...)
	return fmt.Errorf("%s: %w", program, syscall.Exec(program, args, os.Environ()))
}

// findTester looks beside this program, where packages put programs that only programs run,
// and in PATH.
func findTester() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	bin := filepath.Dir(own)
	for _, folder := range []string{bin, filepath.Join(bin, "../libexec/cpulb")} {
		if info, err := os.Stat(filepath.Join(folder, tester)); err == nil && info.Mode().IsRegular() {
			return filepath.Join(folder, tester), nil
		}
	}
	program, err := exec.LookPath(tester)
	if errors.Is(err, exec.ErrNotFound) {
		err = fmt.Errorf("%s, which tests executors, is neither in %s, nor in %s, nor in PATH", tester, bin, filepath.Clean(filepath.Join(bin, "../libexec/cpulb")))
	}
	return program, err
}
