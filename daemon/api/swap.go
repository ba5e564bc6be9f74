package api

import (
	"encoding/json"
	"errors"
	"time"

	"cpulb/daemon/task"
)

// Sentinels of the calls that swap an executor's program.
var (
	// ErrNoExecutor: no executor has this name.
	ErrNoExecutor = errors.New("no such executor")
	// ErrSwapConflict: another change of the workers is under way, or there is nothing to
	// swap or to go back to.
	ErrSwapConflict = errors.New("the program can't be swapped now")
	// ErrSwapFailed: the new program did not pass, and the old one has all tasks.
	ErrSwapFailed = errors.New("the program was not swapped")
	// ErrSwapInvalid: the request for a swap makes no sense.
	ErrSwapInvalid = errors.New("no such swap is possible")
)

// SwapRequest asks for another program of an executor. What it leaves out is as the
// executor's block in the configuration has it.
type SwapRequest struct {
	// Command is the new program, as in the configuration.
	Command string `json:"command"`
	// SHA256 is what the program's file must have, in hex; empty: any.
	SHA256 string `json:"sha256,omitempty"`
	// Canary is which part of the tasks the new program gets at first, e.g. "10%"; "0%": there
	// is no such time. For is how long.
	Canary string         `json:"canary,omitempty"`
	For    *task.Duration `json:"for,omitempty"`
	// Probe is a task that the new program must complete before it gets any other: an object
	// with script_path or source, function, params and timeout, as a task has them; null: there
	// is none, not even the configured one.
	Probe json.RawMessage `json:"probe,omitempty"`
}

// SwapState is how far a swap has come.
type SwapState string

// The states of a swap, in their order. The last three are its ends: in the last some workers
// run the new program, and it could not go back.
const (
	SwapStarting   SwapState = "starting"
	SwapCanary     SwapState = "canary"
	SwapRolling    SwapState = "rolling"
	SwapDone       SwapState = "done"
	SwapWentBack   SwapState = "went_back"
	SwapIncomplete SwapState = "incomplete"
)

// Ended reports whether nothing follows.
func (s SwapState) Ended() bool { return s == SwapDone || s == SwapWentBack || s == SwapIncomplete }

// SwapStatus is the last swap of an executor, and how far it has come.
type SwapStatus struct {
	State SwapState `json:"state"`
	// By is what has asked for it: "swap", "rollback" or "reload".
	By string `json:"by"`
	// Command and SHA256 are the new program and what its file's hash was at the beginning,
	// BeforeCommand and BeforeSHA256 the same of the one before it.
	Command       string    `json:"command"`
	SHA256        string    `json:"sha256"`
	BeforeCommand string    `json:"before_command"`
	BeforeSHA256  string    `json:"before_sha256,omitempty"`
	Began         time.Time `json:"began"`
	// Ended is nil until it has.
	Ended *time.Time `json:"ended"`
	// Why says why it went back.
	Why string `json:"why,omitempty"`
	// Persists: the next daemon goes on with the new program. Persistence says why, or why not.
	Persists    bool   `json:"persists"`
	Persistence string `json:"persistence"`
	// Canary is there from the time on at which the new program gets a share of the tasks.
	Canary *CanaryStatus `json:"canary,omitempty"`
}

// CanaryStatus is what the new program has done of its share of the tasks.
type CanaryStatus struct {
	// Share is how much it gets at most, from 0 to 1.
	Share float64 `json:"share"`
	// Tasks is how many it was given, Failed how many of those failed or timed out; Others is
	// how many the pools' other workers have ended meanwhile.
	Tasks  int `json:"tasks"`
	Failed int `json:"failed"`
	Others int `json:"others"`
	// SecondsLeft is how long it goes on.
	SecondsLeft float64 `json:"seconds_left"`
}
