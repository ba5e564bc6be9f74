package wasm

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/program"
	"cpulb/plugins/wasm/sandbox"
)

// outcome is the end of a run; err says why there is no report, reason why it was to stop.
func (r *run) outcome(err error, reason plugins.StopReason) plugins.Outcome {
	spent := r.spent.stop()
	var o plugins.Outcome
	switch {
	case r.end != nil:
		o = r.ended()
	case reason != 0:
		o = r.printed(program.Stopped(reason))
	case spent:
		o = r.printed(program.Failed("cpu_time", "CPUTime",
			fmt.Sprintf("the task has used up its CPU time, %v (pool.cpu_time)", r.slot.executor.settings.cpuTime)))
	default:
		o = r.broken(err)
	}
	stderr, cut := r.stderr.Text()
	o.Stderr, o.Truncated = stderr, o.Truncated || cut
	if o.RunTime = time.Since(r.at); r.end != nil {
		o.RunTime, o.CPUTime = time.Duration(r.end.RunNS), time.Duration(r.end.CPUNS)
	}
	return o
}

// printed adds what the module has printed.
func (r *run) printed(o plugins.Outcome) plugins.Outcome {
	o.Stdout, o.Truncated = r.output.Printed()
	return o
}

// broken is the end of a run whose output can't be a result, or whose sandbox has ended.
func (r *run) broken(err error) plugins.Outcome {
	if errors.Is(err, program.ErrTooLarge) || errors.Is(err, program.ErrNotText) {
		return r.output.Outcome()
	}
	r.process.close()
	return r.printed(program.Failed("exception", "SandboxError", "the module's sandbox has ended while it ran: "+r.process.words()))
}

// ended is the end of a run that has a report.
func (r *run) ended() plugins.Outcome {
	if raised := r.events.Error(); raised != nil {
		return r.printed(plugins.Outcome{Status: task.Failed, Error: raised})
	}
	var o plugins.Outcome
	switch end := r.end; end.End {
	case sandbox.Exited:
		if end.ExitCode == 0 {
			return r.output.Outcome()
		}
		o = program.Failed("exit", "SystemExit", fmt.Sprintf("the program ended with exit code %d", end.ExitCode))
		o.Error.ExitCode = end.ExitCode
		if line := r.lastWords(); line != "" {
			o.Error.Message += ": " + line
		}
	case sandbox.Trapped:
		o = program.Failed("exception", "WasmTrap", end.Message)
		o.Error.Traceback = end.Trace
	case sandbox.NoFunction:
		return program.Failed("no_entry_point", "LookupError", end.Message)
	default:
		return program.Failed("script_syntax", "WasmError", end.Message)
	}
	if r.end.Denied {
		o.Error.Type = "MemoryError"
		o.Error.Message += fmt.Sprintf(" (it has asked for more than the %d bytes of memory that it may have)", r.slot.executor.settings.memory)
	}
	return r.printed(o)
}

// lastWords is the last line on stderr.
func (r *run) lastWords() string {
	text, _ := r.stderr.Text()
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// meter ends a sandbox that takes more CPU time than it may.
type meter struct {
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
	spent   bool
}

// startMeter starts one for a run that begins now.
func startMeter(p *process, most time.Duration) *meter {
	m := &meter{}
	until := p.cpu() + most
	m.mu.Lock() // the timer may be due before this has its name
	defer m.mu.Unlock()
	m.timer = time.AfterFunc(most, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.stopped {
			return
		}
		if left := until - p.cpu(); left > 0 {
			m.timer.Reset(max(left, 10*time.Millisecond)) // it can't have taken it any sooner
			return
		}
		m.spent, m.stopped = true, true
		p.kill()
	})
	return m
}

// stop ends it and reports whether it has ended the sandbox.
func (m *meter) stop() bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	m.timer.Stop()
	return m.spent
}
