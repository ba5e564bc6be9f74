package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"cpulb/daemon/api"
	"cpulb/daemon/config"
)

// report prints what -check-config has found, and returns the exit status.
func (o *options) report(c *config.Config, err error, stdout, stderr io.Writer) int {
	status := exitOK
	if err != nil {
		status = exitConfig
	}
	if o.json {
		v := api.Verdict{OK: err == nil, Source: o.source(), Errors: mistakes(err), Warnings: []string{}}
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
func mistakes(err error) []api.Mistake {
	all := []api.Mistake{}
	var several interface{ Unwrap() []error }
	var one *config.Error
	switch {
	case err == nil:
	case errors.As(err, &several):
		for _, e := range several.Unwrap() {
			all = append(all, mistakes(e)...)
		}
	case errors.As(err, &one):
		all = append(all, api.Mistake{File: one.File, Line: one.Line, Column: one.Column, Problem: one.Problem, Allowed: one.Allowed})
	default:
		all = append(all, api.Mistake{Problem: err.Error()})
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
