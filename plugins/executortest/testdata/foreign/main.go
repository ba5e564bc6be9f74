// Command foreign is an executor that was written from executor.proto and
// docs/plugins.md alone: of this module it knows nothing but the generated
// protocol. Its scripts are names of behaviours. It keeps everything in one
// goroutine for each slot and one lock. Started with FOREIGN_BREAKS it does one thing wrong.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"cpulb/plugins/proto"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	pb "google.golang.org/protobuf/proto"
)

// breaks is what this process does wrong; "": nothing. With it the suite itself is tested.
var breaks = os.Getenv("FOREIGN_BREAKS")

func main() {
	if breaks != "ignores its lifeline" {
		watchLifeline()
	}
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

	alone       sync.Mutex // held to run a task, to break a promise
	mu          sync.Mutex
	changed     *sync.Cond // on every change below
	slots       []*slot
	resultBytes uint64
	outputBytes uint64
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
	return &proto.DescribeResponse{Name: "foreign", Version: "1", SlotProtocol: 1, CpusAllowed: ownStatus("Cpus_allowed_list:"), Settings: settings(),
		Capabilities: []proto.Capability{proto.Capability_CAPABILITY_CANCEL, proto.Capability_CAPABILITY_EVENTS}}, nil
}

func (e *executor) Configure(_ context.Context, r *proto.ConfigureRequest) (*proto.ConfigureResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case r.Settings["number"] == "neither" && breaks != "takes any value":
		return nil, status.Error(codes.InvalidArgument, "number: neither is not an integer")
	case e.slots != nil && breaks != "is configured twice":
		return nil, status.Error(codes.FailedPrecondition, "configured already")
	}
	for range r.Slots {
		e.slots = append(e.slots, &slot{recalled: map[uint64]bool{}, stops: map[uint64]proto.StopReason{}})
	}
	e.resultBytes, e.outputBytes = r.Limits.GetResultBytes(), r.Limits.GetOutputBytes()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); (strings.HasPrefix(name, "PLUGIN_") || strings.HasPrefix(name, "CPULB_") && name != "CPULB_WORKER") && breaks != "shows its plumbing" {
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
	if breaks == "takes back what runs" {
		return proto.Claim_CLAIM_RECALLED
	}
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
	if claim == proto.Claim_CLAIM_CLAIMED && breaks != "does not stop" {
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
	if breaks == "does not count" {
		return &proto.StatsResponse{}, nil
	}
	rss, _ := strconv.ParseUint(strings.TrimSuffix(ownStatus("VmRSS:"), " kB"), 10, 64)
	threads, _ := strconv.ParseUint(ownStatus("Threads:"), 10, 32)
	return &proto.StatsResponse{SlotsBusy: uint32(e.begun - e.done), TasksDone: e.done, RssBytes: rss << 10, Threads: uint32(threads),
		CpusAllowed: ownStatus("Cpus_allowed_list:")}, nil
}

func (e *executor) Health(context.Context, *proto.HealthRequest) (*proto.HealthResponse, error) {
	if breaks == "is never healthy" {
		return nil, status.Error(codes.Unavailable, "as asked")
	}
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
		if breaks == "has one task at a time" {
			e.alone.Lock()
		}
		err := e.one(conn, s, &t, params)
		if breaks == "has one task at a time" {
			e.alone.Unlock()
		}
		if err != nil {
			return
		}
	}
}

func (e *executor) one(conn net.Conn, s *slot, t *proto.Task, params []byte) error {
	e.mu.Lock()
	recalled, draining := s.recalled[t.Seq] && breaks != "runs what was taken back", e.draining && breaks != "does not drain"
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
	if err == nil && t.ScriptPath == "/echo" && breaks == "answers the next task" {
		t.Seq++
	}
	if err == nil {
		data, result := e.run(conn, s, t, params)
		if uint64(len(data)) > e.resultBytes && breaks != "knows no bounds" {
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

// receive reads uvarint(length) | header.
func receive(r *bufio.Reader, m pb.Message) error {
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	if size > 4<<20 && breaks == "reads small headers" {
		return io.ErrShortBuffer
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
