package plugins

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"cpulb/internal/procfs"
	"cpulb/plugins/proto"
	"cpulb/plugins/reaper"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrBadSetting is matched by a Configure error that the configuration has caused.
var ErrBadSetting = errors.New("bad setting")

// PluginName is the executor's name in go-plugin's plugin set.
const PluginName = "executor"

// Handshake is what go-plugin compares before it speaks to an executor.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{MagicCookieKey: "CPULB_EXECUTOR", MagicCookieValue: "b3c1c1a2-executor"}
}

// Serve runs e as an executor process until the daemon ends it; it is the main
// function of an executor and does not return before.
func Serve(e Executor) {
	log := hclog.New(&hclog.LoggerOptions{Name: e.Describe().Name, Level: hclog.Debug, JSONFormat: true, Output: ownStderr()})
	nameProcess()
	closeProgram()
	mark := os.Getenv(reaper.MarkEnv) // before a script can change it
	end := func() { endAll(mark) }
	daemon := parent()
	watchLifeline(end)
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  Handshake(),
		VersionedPlugins: pluginSets(&glue{worker: &worker{executor: e, log: log, end: end, daemon: daemon}}),
		GRPCServer:       daemon.serveAlone,
		Logger:           log,
	})
}

// glue connects the contract to go-plugin.
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
	// resultBytes and outputBytes are the Configuration's.
	resultBytes, outputBytes int64
	// outputInterval is the Configuration's.
	outputInterval time.Duration
	slots          []*slotServer
	loop           *loopServer // nil: none
	gate           gate
	busy           atomic.Int64           // slots in user code
	stalled        atomic.Pointer[string] // why tasks can make no progress; nil: they can
	done           atomic.Uint64
	daemon         *only  // nil: whoever connects is served
	end            func() // the process, with all that it has started; nil: it is a test's
}

// maxParams bounds the params of one task; the daemon has its own, lower bound.
const maxParams = 1 << 32

// Describe implements proto.ExecutorServer.
func (w *worker) Describe(context.Context, *proto.DescribeRequest) (*proto.DescribeResponse, error) {
	d := w.executor.Describe()
	cpus, _ := procfs.Threads(procfs.Self)
	return &proto.DescribeResponse{Name: d.Name, Version: d.Version, CpusAllowed: cpus, SlotProtocol: slotProtocol,
		Capabilities: capabilitiesOf(&d), Settings: settingsOf(d.Settings)}, nil
}

// Configure implements proto.ExecutorServer.
func (w *worker) Configure(ctx context.Context, r *proto.ConfigureRequest) (*proto.ConfigureResponse, error) {
	if r.Slots < 1 {
		return nil, status.Error(codes.InvalidArgument, "slots: must be at least 1")
	}
	if !w.configured.CompareAndSwap(false, true) {
		return nil, status.Error(codes.FailedPrecondition, "configured already")
	}
	if err := redirectOutput(); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	scrub()
	limits := r.GetLimits()
	engine, err := w.executor.Configure(ctx, Configuration{
		WorkerID:    r.WorkerId,
		Pool:        r.Pool,
		Slots:       int(r.Slots),
		LoopSlots:   int(r.LoopSlots),
		RuntimeDir:  r.RuntimeDir,
		DaemonUID:   w.daemon.uid,
		ResultBytes: int64(limits.GetResultBytes()),
		OutputBytes: int64(limits.GetOutputBytes()),
		LockStall:   time.Duration(limits.GetLockStallNs()),

		OutputInterval: time.Duration(r.OutputIntervalNs),

		Log:      w.log,
		Settings: r.Settings,
	})
	if err == nil {
		w.loop, err = w.openLoop(int(r.Slots), int(r.LoopSlots))
	}
	switch {
	case errors.Is(err, ErrBadSetting):
		return nil, status.Error(codes.InvalidArgument, strings.TrimPrefix(err.Error(), ErrBadSetting.Error()+": ")) // the code says it
	case err != nil:
		return nil, status.Error(codes.Internal, err.Error())
	}
	spareProcessors(int(r.Slots))
	w.resultBytes, w.outputBytes = int64(limits.GetResultBytes()), int64(limits.GetOutputBytes())
	w.outputInterval = time.Duration(r.OutputIntervalNs)
	w.openSlots(int(r.Slots))
	path := filepath.Join(r.RuntimeDir, "slots.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	go w.accept(l)
	go w.attend()
	go w.heartbeat(time.Duration(r.GetLimits().GetLockStallNs()))
	answer := &proto.ConfigureResponse{SlotSocket: path, Runtime: engine}
	if x, ok := w.executor.(Redescriber); ok {
		d := x.Redescribe()
		answer.Capabilities = capabilitiesOf(&d)
	}
	return answer, nil
}

// openSlots makes the slots of threads, which await their connections, and the flusher of all.
func (w *worker) openSlots(count int) {
	var holders []holder
	for i := range count {
		s := &slotServer{worker: w, index: i, opened: make(chan struct{})}
		w.slots, holders = append(w.slots, s), append(holders, &s.up)
	}
	if w.loop != nil {
		holders = append(holders, w.loop)
	}
	f := newFlusher(holders)
	for _, s := range w.slots {
		s.up.gate, s.up.flusher, s.up.long = &w.gate, f, true // nothing is known of the first
		s.lookout.interval, s.lookout.now = w.outputInterval, f.now
	}
	if w.loop != nil {
		w.loop.flusher = f
		w.loop.lookout.interval, w.loop.lookout.now = w.outputInterval, f.now
	}
}

// spareProcessors leaves Go's scheduler a processor beyond those that the slots'
// threads, and the flusher's, hold in their blocking reads and calls. Without an idle one, as in a
// worker that is pinned to one CPU, the runtime's monitor wakes every 20 µs to
// take the held one back, which costs more than a short task.
func spareProcessors(slots int) { runtime.GOMAXPROCS(slots + 3) }

// stoppable is a slot as the control plane sees it.
type stoppable interface {
	cancel(seq uint64, reason StopReason) Claim
	recall(seq uint64) Claim
}

// task returns the slot if seq can be one of its tasks. It waits for the slot's connection,
// on its way: who has won a task stands in a table that comes with that.
func (w *worker) task(ctx context.Context, index uint32, seq uint64) (stoppable, error) {
	if seq == 0 {
		return nil, status.Error(codes.InvalidArgument, "seq: the first is 1")
	}
	if int(index) < len(w.slots) {
		select {
		case <-w.slots[index].opened:
			return w.slots[index], nil
		case <-ctx.Done():
			return nil, status.Errorf(codes.DeadlineExceeded, "slot %d has no connection", index)
		}
	}
	all := len(w.slots)
	if w.loop != nil {
		all += len(w.loop.claims)
	}
	if int(index) >= all {
		return nil, status.Errorf(codes.InvalidArgument, "slot: %d is not one of %d", index, all)
	}
	return loopSlot{w.loop, int(index)}, nil
}

// Cancel implements proto.ExecutorServer.
func (w *worker) Cancel(ctx context.Context, r *proto.CancelRequest) (*proto.CancelResponse, error) {
	s, err := w.task(ctx, r.Slot, r.Seq)
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
func (w *worker) Recall(ctx context.Context, r *proto.RecallRequest) (*proto.RecallResponse, error) {
	s, err := w.task(ctx, r.Slot, r.Seq)
	if err != nil {
		return nil, err
	}
	return &proto.RecallResponse{Claim: proto.Claim(s.recall(r.Seq))}, nil
}

// Drain implements proto.ExecutorServer.
func (w *worker) Drain(ctx context.Context, _ *proto.DrainRequest) (*proto.DrainResponse, error) {
	select {
	case <-w.gate.close():
	case <-ctx.Done():
	}
	return &proto.DrainResponse{StillRunning: uint32(w.gate.count())}, nil
}

// Stats implements proto.ExecutorServer.
func (w *worker) Stats(context.Context, *proto.StatsRequest) (*proto.StatsResponse, error) {
	cpus, threads := procfs.Threads(procfs.Self)
	resident, _ := procfs.ResidentBytes(procfs.Self) // an error: 0, as for everything unknown
	memory, _ := procfs.ReadMemory(procfs.Self)
	return &proto.StatsResponse{SlotsBusy: uint32(w.busy.Load()), TasksDone: w.done.Load(), RssBytes: uint64(resident),
		CpusAllowed: cpus, Threads: uint32(threads), Degraded: w.degraded(), PeakRssBytes: uint64(memory.Peak)}, nil
}

// Health implements proto.ExecutorServer.
func (w *worker) Health(ctx context.Context, _ *proto.HealthRequest) (*proto.HealthResponse, error) {
	wait, err := w.executor.Health(ctx)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &proto.HealthResponse{LockWaitNs: uint64(wait)}, nil
}
