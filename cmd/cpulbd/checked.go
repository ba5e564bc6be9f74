package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"cpulb/daemon/config"
)

// verdict is what -check-config -json prints.
type verdict struct {
	OK       bool      `json:"ok"`
	Source   string    `json:"source"`
	Errors   []mistake `json:"errors"`
	Warnings []string  `json:"warnings"`
	// MemoryBytes is the most that the daemon takes; absent where there are errors.
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
}

// mistake is one thing that is wrong; one that has no place in a file is a problem alone.
type mistake struct {
	File    string   `json:"file,omitempty"`
	Line    int      `json:"line,omitempty"`
	Column  int      `json:"column,omitempty"`
	Problem string   `json:"problem"`
	Allowed []string `json:"allowed,omitempty"`
}

// report prints what -check-config has found, and returns the exit status.
func (o *options) report(c *config.Config, err error, stdout, stderr io.Writer) int {
	status := exitOK
	if err != nil {
		status = exitConfig
	}
	if o.json {
		v := verdict{OK: err == nil, Source: o.source(), Errors: mistakes(err), Warnings: []string{}}
		if err == nil {
			v.Warnings, v.MemoryBytes = append(v.Warnings, o.warnings(c)...), c.MostMemory()
		}
		if err := json.NewEncoder(stdout).Encode(v); err != nil {
			fmt.Fprintf(stderr, "cpulbd: %v\n", err)
			return exitFailed
		}
		return status
	}
	if err != nil {
		fmt.Fprintf(stderr, "cpulbd: %v\n", err)
		return status
	}
	fmt.Fprintln(stdout, "OK:", o.source())
	fmt.Fprintln(stdout, mostMemory(c))
	for _, warning := range o.warnings(c) {
		fmt.Fprintln(stdout, "warning:", warning)
	}
	return status
}

// mistakes takes apart what Load and Check have joined.
func mistakes(err error) []mistake {
	all := []mistake{}
	var several interface{ Unwrap() []error }
	var one *config.Error
	switch {
	case err == nil:
	case errors.As(err, &several):
		for _, e := range several.Unwrap() {
			all = append(all, mistakes(e)...)
		}
	case errors.As(err, &one):
		all = append(all, mistake{one.File, one.Line, one.Column, one.Problem, one.Allowed})
	default:
		all = append(all, mistake{Problem: err.Error()})
	}
	return all
}

// show prints what holds, and returns the exit status.
func (o *options) show(c *config.Config, stdout, stderr io.Writer) int {
	text, err := c.Text(), error(nil)
	if o.json {
		text, err = c.JSON()
		text = append(text, '\n')
	}
	if err == nil {
		_, err = stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintf(stderr, "cpulbd: %v\n", err)
		return exitFailed
	}
	return exitOK
}
