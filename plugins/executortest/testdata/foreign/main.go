// Command foreign is an executor that was written from executor.proto and
// docs/executors.md alone: of this module it knows nothing but the generated
// protocol. Its scripts are names of behaviours. It keeps everything in one
// goroutine for each slot and one lock.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"cpulb/plugins/proto"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	pb "google.golang.org/protobuf/proto"
)

func main() {
	watchLifeline()
	e := &executor{}
	e.changed = sync.NewCond(&e.mu)
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "CPULB_EXECUTOR", MagicCookieValue: "b3c1c1a2-executor"},
		Plugins:         plugin.PluginSet{"executor": &glue{executor: e}},
		GRPCServer:      plugin.DefaultGRPCServer,
	})
}

// watchLifeline ends the process group when the daemon has gone.
func watchLifeline() {
	fd, err := strconv.Atoi(os.Getenv("CPULB_LIFELINE_FD"))
	if err != nil {
		return
	}
	syscall.CloseOnExec(fd)
	_ = syscall.SetNonblock(fd, true)
	lifeline := os.NewFile(uintptr(fd), "lifeline")
	go func() {
		_, _ = lifeline.Read(make([]byte, 1))
		_ = syscall.Kill(0, syscall.SIGKILL)
	}()
}

type glue struct {
	plugin.NetRPCUnsupportedPlugin
	executor *executor
}

func (g *glue) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	proto.RegisterExecutorServer(s, g.executor)
	return nil
}

func (g *glue) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

// executor answers the control plane.
type executor struct {
	proto.UnimplementedExecutorServer

	mu          sync.Mutex
	changed     *sync.Cond // on every change below
	slots       []*slot
	resultBytes uint64
	draining    bool
	open        uint32 // tasks whose Result has not been sent
	begun, done uint64
}

// slot knows of its seqs: decided up to claimed; taken back, or to be stopped.
type slot struct {
	claimed  uint64
	recalled map[uint64]bool
	broken   bool // only its own goroutine uses it
	stops    map[uint64]proto.StopReason
}

func (e *executor) Describe(context.Context, *proto.DescribeRequest) (*proto.DescribeResponse, error) {
	return &proto.DescribeResponse{Name: "foreign", Version: "1", SlotProtocol: 1, CpusAllowed: ownStatus("Cpus_allowed_list:"),
		Capabilities: []proto.Capability{proto.Capability_CAPABILITY_CANCEL, proto.Capability_CAPABILITY_EVENTS}}, nil
}

func (e *executor) Configure(_ context.Context, r *proto.ConfigureRequest) (*proto.ConfigureResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.slots != nil {
		return nil, status.Error(codes.FailedPrecondition, "configured already")
	}
	for range r.Slots {
		e.slots = append(e.slots, &slot{recalled: map[uint64]bool{}, stops: map[uint64]proto.StopReason{}})
	}
	e.resultBytes = r.Limits.GetResultBytes()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "PLUGIN_") || strings.HasPrefix(name, "CPULB_") && name != "CPULB_WORKER" {
			os.Unsetenv(name)
		}
	}
	path := filepath.Join(r.RuntimeDir, "foreign.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go e.serve(conn)
		}
	}()
	return &proto.ConfigureResponse{SlotSocket: path, Runtime: "none"}, nil
}

// recall decides on a seq. e.mu is held.
func (s *slot) recall(seq uint64) proto.Claim {
	if seq <= s.claimed && !s.recalled[seq] {
		return proto.Claim_CLAIM_CLAIMED
	}
	s.recalled[seq] = true
	return proto.Claim_CLAIM_RECALLED
}

func (e *executor) Recall(_ context.Context, r *proto.RecallRequest) (*proto.RecallResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return &proto.RecallResponse{Claim: e.slots[r.Slot].recall(r.Seq)}, nil
}

func (e *executor) Cancel(_ context.Context, r *proto.CancelRequest) (*proto.CancelResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	claim := e.slots[r.Slot].recall(r.Seq)
	if claim == proto.Claim_CLAIM_CLAIMED {
		e.slots[r.Slot].stops[r.Seq] = r.Reason
		e.changed.Broadcast()
	}
	return &proto.CancelResponse{Claim: claim}, nil
}

func (e *executor) Drain(ctx context.Context, _ *proto.DrainRequest) (*proto.DrainResponse, error) {
	stop := context.AfterFunc(ctx, func() { e.mu.Lock(); e.changed.Broadcast(); e.mu.Unlock() })
	defer stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.draining = true; e.open > 0 && ctx.Err() == nil; {
		e.changed.Wait()
	}
	return &proto.DrainResponse{StillRunning: e.open}, nil
}

func (e *executor) Stats(context.Context, *proto.StatsRequest) (*proto.StatsResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	rss, _ := strconv.ParseUint(strings.TrimSuffix(ownStatus("VmRSS:"), " kB"), 10, 64)
	threads, _ := strconv.ParseUint(ownStatus("Threads:"), 10, 32)
	return &proto.StatsResponse{SlotsBusy: uint32(e.begun - e.done), TasksDone: e.done, RssBytes: rss << 10, Threads: uint32(threads),
		CpusAllowed: ownStatus("Cpus_allowed_list:")}, nil
}

func (e *executor) Health(context.Context, *proto.HealthRequest) (*proto.HealthResponse, error) {
	return &proto.HealthResponse{}, nil
}

func ownStatus(key string) string {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// serve is one slot's loop: read a Task, claim it, run it, write its Result.
func (e *executor) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	var hello proto.Hello
	if receive(r, &hello) != nil || int(hello.Slot) >= len(e.slots) {
		return
	}
	s := e.slots[hello.Slot]
	for {
		var t proto.Task
		if receive(r, &t) != nil {
			return
		}
		params := make([]byte, t.PayloadLength)
		if _, err := io.ReadFull(r, params); err != nil {
			return
		}
		if err := e.one(conn, s, &t, params); err != nil {
			return
		}
	}
}

func (e *executor) one(conn net.Conn, s *slot, t *proto.Task, params []byte) error {
	e.mu.Lock()
	recalled, draining := s.recalled[t.Seq], e.draining
	s.claimed = t.Seq
	s.recalled[t.Seq] = recalled || draining
	if !s.recalled[t.Seq] {
		e.open++
		e.begun++
	}
	e.mu.Unlock()
	switch {
	case recalled:
		return nil
	case draining:
		return send(conn, &proto.Event{Seq: t.Seq, Kind: &proto.Event_Skipped{Skipped: &proto.Skipped{}}}, nil)
	}
	err := send(conn, &proto.Event{Seq: t.Seq, Kind: &proto.Event_Started{Started: &proto.Started{}}}, nil)
	if err == nil {
		data, result := e.run(conn, s, t, params)
		if uint64(len(data)) > e.resultBytes {
			data, result = nil, failed("ResultTooLarge", "it is too large", "result_too_large")
		}
		e.mu.Lock()
		e.done++ // before anybody knows of the Result
		e.mu.Unlock()
		err = send(conn, &proto.Event{Seq: t.Seq, Kind: &proto.Event_Result{Result: result}}, data)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open--
	e.changed.Broadcast()
	return err
}

// run is what the scripts do.
func (e *executor) run(conn net.Conn, s *slot, t *proto.Task, params []byte) ([]byte, *proto.Result) {
	completed := &proto.Result{Outcome: proto.Outcome_OUTCOME_COMPLETED}
	switch {
	case s.broken:
		return nil, fault()
	case t.Probe:
		return params, completed
	}
	switch t.ScriptPath {
	case "/faulted":
		return nil, fault()
	case "/breaks":
		s.broken = true
		return params, completed
	case "/echo":
		completed.Stdout = t.TaskId + "\n"
		return params, completed
	case "/fails":
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
		_, _ = syscall.Write(2, []byte("last words of a crash\n"))
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "/exits":
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
	return nil, failed("Error", "no such script", "script_not_found")
}

func (e *executor) events(conn net.Conn, seq uint64) {
	_ = send(conn, &proto.Event{Seq: seq, Kind: &proto.Event_Progress{Progress: &proto.Progress{Fraction: 0.5, Message: "half way"}}}, nil)
	_ = send(conn, &proto.Event{Seq: seq, Kind: &proto.Event_Log{Log: &proto.Log{Level: "info", Message: "hello"}}}, nil)
	for i := range uint64(3) {
		_ = send(conn, &proto.Event{Seq: seq, Kind: &proto.Event_Partial{Partial: &proto.Partial{Number: i + 1}}}, strconv.AppendUint(nil, i+1, 10))
	}
}

func (e *executor) block(s *slot, seq uint64, timeout time.Duration) *proto.Result {
	if timeout > 0 {
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

// receive reads uvarint(length) | header.
func receive(r *bufio.Reader, m pb.Message) error {
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	header := make([]byte, size)
	if _, err := io.ReadFull(r, header); err != nil {
		return err
	}
	return pb.Unmarshal(header, m)
}

// send writes uvarint(length) | header | payload in one piece.
func send(w io.Writer, ev *proto.Event, payload []byte) error {
	ev.PayloadLength = uint64(len(payload))
	header, err := pb.Marshal(ev)
	if err != nil {
		return err
	}
	frame := append(binary.AppendUvarint(nil, uint64(len(header))), header...)
	_, err = w.Write(append(frame, payload...))
	return err
}
