package plugins

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"cpulb/plugins/proto"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrBadSetting is matched by a Configure error that blames the configuration.
var ErrBadSetting = errors.New("bad setting")

// LifelineEnv names the variable with the number of an inherited descriptor that
// reaches its end when the daemon is gone, however it went.
const LifelineEnv = "CPULB_LIFELINE_FD"

// PluginName is the executor's name in go-plugin's plugin set.
const PluginName = "executor"

// Handshake is what go-plugin compares before it speaks to an executor.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "CPULB_EXECUTOR", MagicCookieValue: "b3c1c1a2-executor"}
}

// slotProtocol is the version of the data plane.
const slotProtocol = 1

// Serve runs e as an executor process until the daemon ends it; it is the main
// function of an executor and does not return before.
func Serve(e Executor) {
	log := hclog.New(&hclog.LoggerOptions{Name: e.Describe().Name, Level: hclog.Debug, JSONFormat: true, Output: ownStderr()})
	watchLifeline(log)
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: Handshake(),
		Plugins:         plugin.PluginSet{PluginName: &glue{worker: &worker{executor: e, log: log}}},
		GRPCServer:      plugin.DefaultGRPCServer,
		Logger:          log,
	})
}

// ownStderr returns a descriptor of our own for the log, because descriptor 2
// becomes the scripts' in Configure.
func ownStderr() *os.File {
	fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return os.Stderr
	}
	return os.NewFile(uintptr(fd), "log")
}

// watchLifeline kills the whole process group, this process included, when the
// daemon has gone: scripts and their children must not outlive it.
func watchLifeline(log hclog.Logger) {
	fd, err := strconv.Atoi(os.Getenv(LifelineEnv))
	if err != nil {
		return // started by hand: go-plugin will say so
	}
	unix.CloseOnExec(fd)
	go func() {
		var b [1]byte
		for {
			n, err := unix.Read(fd, b[:])
			if err == unix.EINTR || n > 0 {
				continue
			}
			log.Warn("the daemon has gone", "error", err)
			_ = unix.Kill(0, unix.SIGKILL)
		}
	}()
}

// glue joins the contract to go-plugin.
type glue struct {
	plugin.NetRPCUnsupportedPlugin
	worker *worker
}

// GRPCServer implements plugin.GRPCPlugin.
func (g *glue) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	proto.RegisterExecutorServer(s, g.worker)
	return nil
}

// GRPCClient implements plugin.GRPCPlugin.
func (g *glue) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &Client{rpc: proto.NewExecutorClient(conn)}, nil
}

// worker is the control plane of an executor process.
type worker struct {
	proto.UnimplementedExecutorServer
	executor   Executor
	log        hclog.Logger
	configured atomic.Bool
	slots      []*slotServer
	draining   atomic.Bool
	busy       atomic.Int64
	done       atomic.Uint64
}

// maxParams bounds the params of one task; the daemon has its own, lower bound.
func (w *worker) maxParams() uint64 { return 1 << 32 }

// Describe implements proto.ExecutorServer.
func (w *worker) Describe(context.Context, *proto.DescribeRequest) (*proto.DescribeResponse, error) {
	d := w.executor.Describe()
	cpus, _ := cpusAllowed()
	r := &proto.DescribeResponse{Name: d.Name, Version: d.Version, CpusAllowed: cpus, SlotProtocol: slotProtocol}
	if d.CanCancel {
		r.Capabilities = append(r.Capabilities, proto.Capability_CAPABILITY_CANCEL)
	}
	if d.HasEvents {
		r.Capabilities = append(r.Capabilities, proto.Capability_CAPABILITY_EVENTS)
	}
	return r, nil
}

// Configure implements proto.ExecutorServer.
func (w *worker) Configure(ctx context.Context, r *proto.ConfigureRequest) (*proto.ConfigureResponse, error) {
	if r.Slots < 1 {
		return nil, status.Error(codes.InvalidArgument, "slots: must be at least 1")
	}
	if !w.configured.CompareAndSwap(false, true) {
		return nil, status.Error(codes.FailedPrecondition, "configured already")
	}
	if err := w.redirectOutput(); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	scrub()
	engine, err := w.executor.Configure(ctx, Configuration{WorkerID: r.WorkerId, Pool: r.Pool, Slots: int(r.Slots), RuntimeDir: r.RuntimeDir,
		ResultBytes: int64(r.GetLimits().GetResultBytes()), OutputBytes: int64(r.GetLimits().GetOutputBytes()), Settings: r.Settings})
	switch {
	case errors.Is(err, ErrBadSetting):
		return nil, status.Error(codes.InvalidArgument, err.Error())
	case err != nil:
		return nil, status.Error(codes.Internal, err.Error())
	}
	for i := range r.Slots {
		w.slots = append(w.slots, &slotServer{worker: w, index: int(i)})
	}
	path := filepath.Join(r.RuntimeDir, "slots.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	go w.accept(l)
	return &proto.ConfigureResponse{SlotSocket: path, Runtime: engine}, nil
}

// redirectOutput moves descriptors 1 and 2 away from go-plugin, whose drain ends
// for ever at a line of 64 KiB, to a pipe that is drained at any length. What
// comes there was written past sys.stdout, so no task can be named for it.
func (w *worker) redirectOutput() error {
	r, out, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	defer out.Close()
	for fd := 1; fd <= 2; fd++ {
		if err := unix.Dup3(int(out.Fd()), fd, 0); err != nil {
			return fmt.Errorf("dup: %w", err)
		}
	}
	go func() {
		lines := bufio.NewReaderSize(r, 8<<10)
		for {
			line, more, err := lines.ReadLine()
			if err != nil {
				return
			}
			w.log.Info("output outside any task", "text", strings.ToValidUTF8(string(line), "\uFFFD"), "cut", more)
		}
	}()
	return nil
}

// scrub hides from scripts what was meant for us.
func scrub() {
	h := Handshake()
	for _, name := range []string{LifelineEnv, h.MagicCookieKey, "PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS",
		"PLUGIN_UNIX_SOCKET_DIR", "PLUGIN_UNIX_SOCKET_GROUP", "PLUGIN_CLIENT_CERT", "PLUGIN_MULTIPLEX_GRPC"} {
		os.Unsetenv(name)
	}
}

func (w *worker) slot(index uint32) (*slotServer, error) {
	if int(index) >= len(w.slots) {
		return nil, status.Errorf(codes.InvalidArgument, "slot: %d is not one of %d", index, len(w.slots))
	}
	return w.slots[index], nil
}

// Cancel implements proto.ExecutorServer.
func (w *worker) Cancel(_ context.Context, r *proto.CancelRequest) (*proto.CancelResponse, error) {
	s, err := w.slot(r.Slot)
	if err != nil {
		return nil, err
	}
	reason := StopCancelled
	if r.Reason == proto.StopReason_STOP_REASON_TIMED_OUT {
		reason = StopTimedOut
	}
	return &proto.CancelResponse{Claim: proto.Claim(s.cancel(r.Seq, reason))}, nil
}

// Recall implements proto.ExecutorServer.
func (w *worker) Recall(_ context.Context, r *proto.RecallRequest) (*proto.RecallResponse, error) {
	s, err := w.slot(r.Slot)
	if err != nil {
		return nil, err
	}
	return &proto.RecallResponse{Claim: proto.Claim(s.claims.recall(r.Seq))}, nil
}

// Drain implements proto.ExecutorServer.
func (w *worker) Drain(ctx context.Context, _ *proto.DrainRequest) (*proto.DrainResponse, error) {
	w.draining.Store(true)
	return &proto.DrainResponse{StillRunning: uint32(w.waitIdle(ctx))}, nil
}

// Stats implements proto.ExecutorServer.
func (w *worker) Stats(context.Context, *proto.StatsRequest) (*proto.StatsResponse, error) {
	cpus, threads := cpusAllowed()
	return &proto.StatsResponse{SlotsBusy: uint32(w.busy.Load()), TasksDone: w.done.Load(), RssBytes: residentBytes(),
		CpusAllowed: cpus, Threads: uint32(threads)}, nil
}

// Health implements proto.ExecutorServer.
func (w *worker) Health(ctx context.Context, _ *proto.HealthRequest) (*proto.HealthResponse, error) {
	wait, err := w.executor.Health(ctx)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &proto.HealthResponse{LockWaitNs: uint64(wait)}, nil
}
