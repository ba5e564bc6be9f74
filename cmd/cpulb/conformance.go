package main

import (
	"fmt"
	"os"
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
	program, err := findProgram(tester)
	if err != nil {
		return err
	}
	args := append([]string{"cpulb executors test"}, e.Args...)
	return fmt.Errorf("%s: %w", program, syscall.Exec(program, args, os.Environ()))
}
