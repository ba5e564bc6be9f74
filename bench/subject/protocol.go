// Package subject runs systems under test: each is a driver, a program that sets its
// system up and measures what it is asked for (bench/drivers/drive.py says how; drivers
// check every result), and the processes that come with it. All of them are gone once a
// Subject is stopped, and a Subject can be made to stand still while others are measured.
package subject

import "time"

// Op is a way to hand work over.
type Op string

// Ops.
const (
	RoundTrip Op = "roundtrip" // one after the other, each timed
	Each      Op = "each"      // each by itself, without waiting for the one before
	Batch     Op = "batch"     // the system's way for many at once
)

// Command asks a driver to measure.
type Command struct {
	Op   Op     `json:"op"`
	Work string `json:"work"`
	// Params is a list, or what Range, Objects, Repeat, Text or Randoms return.
	Params any `json:"params"`
	// Clients is how many connections there are, and Depth how many tasks each has under
	// way; for the Go client alone. 0 is one connection, and the depth of its own choice.
	Clients int `json:"clients,omitempty"`
	Depth   int `json:"depth,omitempty"`
}

// Range stands for the numbers below n.
func Range(n int) any { return map[string]int{"range": n} }

// Objects stands for n objects with a number and a word, each another one.
func Objects(n int) any { return map[string]int{"objects": n} }

// Repeat stands for n times the same value.
func Repeat(n int, value any) any { return map[string]any{"repeat": n, "value": value} }

// Text stands for the same string a number of times.
func Text(bytes, times int) any { return map[string]int{"bytes": bytes, "times": times} }

// Randoms stands for the same numpy array of random whole numbers a number of times. Zeros would be one page of the
// kernel's, however large the array.
func Randoms(bytes, times int) any { return map[string]int{"randoms": bytes, "times": times} }

// Answer is what a driver has measured.
type Answer struct {
	Seconds float64 `json:"seconds"`
	// NS has each round trip, in nanoseconds.
	NS          []float64 `json:"ns"`
	Error       string    `json:"error"`
	Unsupported string    `json:"unsupported"`
	// CPU is what all processes took together. It is the harness that fills it in.
	CPU time.Duration `json:"-"`
}

// hello is a driver's first line.
type hello struct {
	Ready       bool   `json:"ready"`
	Versions    string `json:"versions"`
	Settings    string `json:"settings"`
	Unsupported string `json:"unsupported"`
	Error       string `json:"error"`
}
