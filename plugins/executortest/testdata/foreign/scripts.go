package main

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cpulb/plugins/proto"
)

func settings() []*proto.Setting {
	number := &proto.Setting{Name: "number", Kind: proto.SettingKind_SETTING_KIND_INTEGER, Description: "A number that nothing depends on."}
	if breaks == "describes too little" {
		number.Description = ""
	}
	return []*proto.Setting{number}
}

// run is what the scripts do.
func (e *executor) run(conn net.Conn, s *slot, t *proto.Task, params []byte) ([]byte, *proto.Result) {
	completed := &proto.Result{Outcome: proto.Outcome_OUTCOME_COMPLETED}
	switch {
	case s.broken && breaks == "blames scripts":
		return nil, failed("Error", "broken", "exception")
	case s.broken:
		return nil, fault()
	case t.Probe && breaks == "fails probes":
		return nil, fault()
	case t.Probe:
		return params, completed
	}
	switch t.ScriptPath {
	case "/faulted":
		if breaks == "blames scripts" {
			return nil, failed("Error", "as asked", "exception")
		}
		return nil, fault()
	case "/breaks":
		s.broken = true
		return params, completed
	case "/echo":
		if breaks == "changes params" {
			return []byte("17"), completed
		}
		completed.Stdout = t.TaskId + "\n"
		return params, completed
	case "/prints-much":
		completed.Stdout, completed.Truncated = strings.Repeat("x", int(e.outputBytes)), breaks != "cuts in silence"
		return params, completed
	case "/fails":
		if breaks == "has no errors" {
			return params, completed
		}
		return nil, failed("Error", "as asked", "exception")
	case "/events":
		e.events(conn, t.Seq)
		return []byte("null"), completed
	case "/blocks-until-stopped":
		return nil, e.block(s, t.Seq, time.Duration(t.TimeoutNs))
	case "/stray-output":
		line := []byte(strings.Repeat("x", 1_000_000) + "\n")
		_, _ = os.NewFile(1, "stdout").Write(line)
		_, _ = os.NewFile(2, "stderr").Write(line)
		return []byte("1"), completed
	case "/crashes":
		if breaks == "survives" {
			return params, completed
		}
		_, _ = syscall.Write(2, []byte("last words of a crash\n"))
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "/exits":
		if breaks == "survives" {
			syscall.Exit(0)
		}
		syscall.Exit(42)
	case "/huge-result":
		return []byte(`"` + strings.Repeat("x", int(e.resultBytes)) + `"`), completed
	case "/environment":
		env := map[string]string{}
		for _, kv := range os.Environ() {
			name, value, _ := strings.Cut(kv, "=")
			env[name] = value
		}
		text, _ := json.Marshal(env)
		return text, completed
	case "/spawns-child", "/child-escapes":
		c := exec.Command("sleep", "1000")
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: t.ScriptPath == "/child-escapes"}
		if err := c.Start(); err != nil {
			return nil, failed("Error", err.Error(), "exception")
		}
		return []byte(strconv.Itoa(c.Process.Pid)), completed
	}
	if breaks == "blames itself" {
		return nil, fault()
	}
	return nil, failed("Error", "no such script", "script_not_found")
}

func (e *executor) events(conn net.Conn, seq uint64) {
	_ = send(conn, &proto.Event{Seq: seq, Kind: &proto.Event_Progress{Progress: &proto.Progress{Fraction: 0.5, Message: "half way"}}}, nil)
	if breaks == "drops events" {
		return
	}
	_ = send(conn, &proto.Event{Seq: seq, Kind: &proto.Event_Log{Log: &proto.Log{Level: "info", Message: "hello"}}}, nil)
	for i := range uint64(3) {
		_ = send(conn, &proto.Event{Seq: seq, Kind: &proto.Event_Partial{Partial: &proto.Partial{Number: i + 1}}}, strconv.AppendUint(nil, i+1, 10))
	}
}

func (e *executor) block(s *slot, seq uint64, timeout time.Duration) *proto.Result {
	if timeout > 0 && breaks != "does not stop" {
		defer time.AfterFunc(timeout, func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			s.stops[seq] = proto.StopReason_STOP_REASON_TIMED_OUT
			e.changed.Broadcast()
		}).Stop()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		switch s.stops[seq] {
		case proto.StopReason_STOP_REASON_CANCELLED:
			return &proto.Result{Outcome: proto.Outcome_OUTCOME_CANCELLED, Error: &proto.Error{Type: "Stopped", Code: "cancelled"}}
		case proto.StopReason_STOP_REASON_TIMED_OUT:
			return &proto.Result{Outcome: proto.Outcome_OUTCOME_TIMED_OUT, Error: &proto.Error{Type: "Stopped", Code: "timed_out"}}
		}
		e.changed.Wait()
	}
}

func fault() *proto.Result {
	r := failed("Error", "as asked", "executor")
	r.Fault = proto.Fault_FAULT_UNRUN
	return r
}

func failed(kind, message, code string) *proto.Result {
	return &proto.Result{Outcome: proto.Outcome_OUTCOME_FAILED, Error: &proto.Error{Type: kind, Message: message, Code: code}}
}
