package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

// taskFlags describe a task; run, submit and map share them.
type taskFlags struct {
	Script   string            `arg:"" help:"Python script with a function main(params, context)."`
	Type     string            `help:"cpu for tasks that compute, io for tasks that wait." enum:"cpu,io" default:"cpu"`
	Pool     string            `help:"Pool to run in; by default the daemon chooses one by type." placeholder:"NAME"`
	Function string            `help:"Function to call; __main__ runs the file as python does, with --params as its arguments." default:"main" placeholder:"NAME"`
	Timeout  time.Duration     `help:"How long the script may run, e.g. 30s; default without limit. run waits ${grace} longer for the result, then cancels the task." placeholder:"DURATION"`
	Label    map[string]string `help:"Label of the task; may be repeated." placeholder:"KEY=VALUE" mapsep:"none"`
	Env      []string          `help:"Variable for the script's process, or the name of one of yours to pass on; may be repeated. For pools that run each task in a process of its own." placeholder:"NAME[=VALUE]" sep:"none"`
	Cwd      string            `help:"Folder in which the script's process starts. For the same pools." placeholder:"PATH"`
}

// paramsFlag is the argument of one call.
type paramsFlag struct {
	Params string `help:"Argument of the function: JSON text, @FILE, or - for stdin." default:"{}" placeholder:"JSON|@FILE|-"`
}

// task checks what can be checked here. Only the daemon, which runs as another user,
// knows whether it can run the script.
func (f *taskFlags) task(params json.RawMessage) (*task.Task, error) {
	path, err := filepath.Abs(f.Script)
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	t := &task.Task{ID: task.NewID(), ScriptPath: path, Function: f.Function, Params: params, Type: task.CPUBound, Pool: f.Pool,
		Priority: task.DefaultPriority, Timeout: task.Duration(f.Timeout), Labels: f.Label}
	if f.Type == "io" {
		t.Type = task.IOBound
	}
	if t.Extra, err = f.extras(); err != nil {
		return nil, err
	}
	if err := t.Validate(); err != nil {
		return nil, usageError{err}
	}
	return t, nil
}

// extras returns what few tasks have; nil: this one has nothing of it.
func (f *taskFlags) extras() (*task.Extras, error) {
	if len(f.Env) == 0 && f.Cwd == "" {
		return nil, nil
	}
	x := &task.Extras{}
	for _, variable := range f.Env {
		name, value, given := strings.Cut(variable, "=")
		if !given {
			if value, given = os.LookupEnv(name); !given {
				return nil, usageError{fmt.Errorf("--env=%s: there is no such variable to pass on; NAME=VALUE sets one", name)}
			}
		}
		if x.Env == nil {
			x.Env = map[string]string{}
		}
		x.Env[name] = value
	}
	if f.Cwd != "" {
		path, err := filepath.Abs(f.Cwd)
		if err != nil {
			return nil, fmt.Errorf("--cwd: %w", err)
		}
		x.Cwd = path
	}
	return x, nil
}

func (f *paramsFlag) params(in io.Reader) (json.RawMessage, error) {
	text, from := []byte(f.Params), "--params"
	var err error
	switch name, isFile := strings.CutPrefix(f.Params, "@"); {
	case f.Params == "-":
		from = "stdin"
		text, err = readAll(in, client.MaxTaskBytes)
	case isFile:
		from = name
		text, err = readFile(name, client.MaxTaskBytes)
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("params: %w", err)}
	}
	if err := json.Unmarshal(text, new(json.RawMessage)); err != nil {
		return nil, usageError{fmt.Errorf("params: %s is not JSON: %w", from, err)}
	}
	return text, nil
}

// readAll reads what in has, which may have no end.
func readAll(in io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(text)) > most {
		return nil, fmt.Errorf("longer than %d bytes, the most that can be sent", most)
	}
	return text, err
}

func readFile(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := readAll(f, most)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}

func parseID(text string) (task.ID, error) {
	id, err := task.ParseID(text)
	if err != nil {
		return id, usageError{err}
	}
	return id, nil
}
