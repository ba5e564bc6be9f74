// Package impostor is an executor that breaks the contract in one way at a time, on its control
// plane by how it is started and on its slots by the name of the script that it is given. The
// test binaries of other packages serve it when they execute themselves anew. It uses nothing
// of package plugins, which would not let it.
package impostor

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"cpulb/plugins/proto"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Env names the Way in the environment of a process that is to be an impostor.
const Env = "CPULB_TEST_IMPOSTOR"

// Way is how an impostor is wrong from its start.
type Way string

// Ways to be wrong from the start.
const (
	// Sound is not wrong before a task asks for it.
	Sound Way = "sound"
	// PrintsFirst has a line before the handshake.
	PrintsFirst Way = "prints-first"
	// PrintsMuch prints a line of 1 MB on the pipe of the handshake once that is done.
	PrintsMuch Way = "prints-much"
	// MuteControl accepts the daemon on its control socket and never says anything, ShutControl hangs up.
	MuteControl Way = "mute-control"
	ShutControl Way = "shut-control"
	// ServesNothing has no Executor on its control socket.
	ServesNothing Way = "serves-nothing"
	// AnswersNothing answers every call with an empty message.
	AnswersNothing Way = "answers-nothing"
	HasNoName      Way = "has-no-name"
	OtherProtocol  Way = "other-protocol"
	// HangsInDescribe and HangsInConfigure do not return from these.
	HangsInDescribe  Way = "hangs-in-describe"
	HangsInConfigure Way = "hangs-in-configure"
	// These are what is wrong with the socket that Configure names.
	NoSocket       Way = "no-socket"
	RelativeSocket Way = "relative-socket"
	ForeignSocket  Way = "foreign-socket"
	MissingSocket  Way = "missing-socket"
	// NeverDrains does not return from Drain, IgnoresShutdown lives on after it was asked to end.
	NeverDrains     Way = "never-drains"
	IgnoresShutdown Way = "ignores-shutdown"
	// Babbles writes what is not a frame on each slot as soon as that is open.
	Babbles Way = "babbles"
)

// Served serves an impostor if this process is to be one, and does not return then.
func Served() {
	if way := Way(os.Getenv(Env)); way != "" {
		way.serve()
		os.Exit(0)
	}
}

func (w Way) serve() {
	printed := make(chan struct{})
	switch w {
	case PrintsFirst:
		fmt.Println("Loading the model, please wait")
	case PrintsMuch:
		handshake, _ := syscall.Dup(1) // an error: the test misses the line
		go func() { printMuch(handshake); close(printed) }()
	case MuteControl, ShutControl:
		w.listen()
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "CPULB_EXECUTOR", MagicCookieValue: "b3c1c1a2-executor"},
		Plugins:         plugin.PluginSet{"executor": &glue{executor: &executor{way: w, printed: printed}}},
		GRPCServer:      plugin.DefaultGRPCServer,
	})
	if w == IgnoresShutdown {
		select {}
	}
}

// printMuch writes a line, slowly enough that the handshake is the first.
func printMuch(fd int) {
	for len(os.Getenv("CPULB_LIFELINE_FD")) > 0 { // until Configure
		syscall.Select(0, nil, nil, nil, &syscall.Timeval{Usec: 1000})
	}
	line := []byte(strings.Repeat("x", 1<<20) + "\n")
	for len(line) > 0 {
		n, err := syscall.Write(fd, line)
		if err != nil && err != syscall.EINTR {
			return
		}
		line = line[max(n, 0):]
	}
}

// listen is a control plane that is none.
func (w Way) listen() {
	path := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "plugin1")
	l, err := net.Listen("unix", path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("1|1|unix|" + path + "|grpc")
	for {
		if conn, err := l.Accept(); err == nil && w == ShutControl {
			conn.Close()
		}
	}
}

type glue struct {
	plugin.NetRPCUnsupportedPlugin
	executor *executor
}

// GRPCServer implements plugin.GRPCPlugin.
func (g *glue) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	if g.executor.way != ServesNothing {
		proto.RegisterExecutorServer(s, g.executor)
	}
	return nil
}

// GRPCClient implements plugin.GRPCPlugin.
func (g *glue) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

// executor answers the control plane.
type executor struct {
	proto.UnimplementedExecutorServer
	way     Way
	printed chan struct{} // closed once PrintsMuch has
}

// Describe implements proto.ExecutorServer.
func (e *executor) Describe(context.Context, *proto.DescribeRequest) (*proto.DescribeResponse, error) {
	d := &proto.DescribeResponse{Name: "impostor", Version: "1", SlotProtocol: 1,
		Capabilities: []proto.Capability{proto.Capability_CAPABILITY_CANCEL, proto.Capability_CAPABILITY_EVENTS}}
	switch e.way {
	case AnswersNothing:
		return &proto.DescribeResponse{}, nil
	case HasNoName:
		d.Name = ""
	case OtherProtocol:
		d.SlotProtocol = 99
	case HangsInDescribe:
		select {}
	}
	return d, nil
}

// Configure implements proto.ExecutorServer.
func (e *executor) Configure(_ context.Context, r *proto.ConfigureRequest) (*proto.ConfigureResponse, error) {
	if e.way == HangsInConfigure {
		select {}
	}
	path := filepath.Join(r.RuntimeDir, "slots.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go (&slot{executor: e, conn: conn}).serve()
		}
	}()
	os.Unsetenv("CPULB_LIFELINE_FD")
	switch e.way {
	case NoSocket:
		path = ""
	case RelativeSocket:
		path = "slots.sock"
	case ForeignSocket:
		path = filepath.Join(filepath.Dir(r.RuntimeDir), "slots.sock")
	case MissingSocket:
		path += ".none"
	}
	return &proto.ConfigureResponse{SlotSocket: path, Runtime: "none"}, nil
}

// Cancel implements proto.ExecutorServer. Nothing stops.
func (e *executor) Cancel(context.Context, *proto.CancelRequest) (*proto.CancelResponse, error) {
	return &proto.CancelResponse{Claim: proto.Claim_CLAIM_CLAIMED}, nil
}

// Recall implements proto.ExecutorServer: what was not read goes elsewhere.
func (e *executor) Recall(context.Context, *proto.RecallRequest) (*proto.RecallResponse, error) {
	return &proto.RecallResponse{Claim: proto.Claim_CLAIM_RECALLED}, nil
}

// Drain implements proto.ExecutorServer.
func (e *executor) Drain(context.Context, *proto.DrainRequest) (*proto.DrainResponse, error) {
	if e.way == NeverDrains {
		select {}
	}
	return &proto.DrainResponse{}, nil
}

// Stats implements proto.ExecutorServer. None of it can be true.
func (e *executor) Stats(context.Context, *proto.StatsRequest) (*proto.StatsResponse, error) {
	return &proto.StatsResponse{SlotsBusy: 1 << 31, TasksDone: 1 << 63, RssBytes: 1 << 63, PeakRssBytes: 1 << 63, Threads: 1 << 31, CpusAllowed: "\x1b[31mall"}, nil
}

// Health implements proto.ExecutorServer.
func (e *executor) Health(context.Context, *proto.HealthRequest) (*proto.HealthResponse, error) {
	return &proto.HealthResponse{LockWaitNs: 1 << 63}, nil
}
