package plugins

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins/proto"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Plugins are the plugin sets of go-plugin's client in the daemon, by version; the dispensed
// value is a *Client.
func Plugins() map[int]plugin.PluginSet { return pluginSets(&glue{}) }

// Client is the daemon's end of the control plane.
type Client struct {
	rpc    proto.ExecutorClient
	shares bool // as Describe has found: see Conn.Shares
}

// Describe returns the executor's description and the CPUs on which the kernel lets
// it run. It fails when the executor speaks another version of the slot protocol.
func (c *Client) Describe(ctx context.Context) (d Description, cpusAllowed string, err error) {
	r, err := c.rpc.Describe(ctx, &proto.DescribeRequest{})
	if err != nil {
		return d, "", fmt.Errorf("describe: %w", err)
	}
	d = Description{Name: task.Clip(r.Name, mostName), Version: task.Clip(r.Version, mostName)}
	if err := checkSlotProtocol(&d, r.SlotProtocol); err != nil {
		return d, "", err
	}
	if d.Name == "" {
		return d, "", errors.New("describe: the executor has no name")
	}
	if d.Settings, err = described(r.Settings); err != nil {
		return d, "", fmt.Errorf("describe: %w", err)
	}
	c.shares = d.describe(r.Capabilities)
	return d, task.Clip(r.CpusAllowed, mostReason), nil
}

// Dial connects to a socket of a worker, and to nobody else's: see CheckServer.
type Dial func(ctx context.Context, path string) (net.Conn, error)

// Configure makes the worker ready and opens its slots, by dial. handler returns the Handler of a
// connection, which has count slots from first on. It returns the name of the runtime, and
// leaves d the capabilities that hold now. An error caused by a setting matches ErrBadSetting.
func (c *Client) Configure(ctx context.Context, d *Description, cfg Configuration, dial Dial, handler func(first, count int) Handler) (
	runtime string, slots []*Conn, err error,
) {
	r, err := c.rpc.Configure(ctx, &proto.ConfigureRequest{
		WorkerId:   cfg.WorkerID,
		Pool:       cfg.Pool,
		Slots:      uint32(cfg.Slots),
		LoopSlots:  uint32(cfg.LoopSlots),
		RuntimeDir: cfg.RuntimeDir,
		Settings:   cfg.Settings,

		OutputIntervalNs: uint64(cfg.OutputInterval),
		Limits: &proto.Limits{
			ResultBytes: uint64(cfg.ResultBytes),
			OutputBytes: uint64(cfg.OutputBytes),
			LockStallNs: uint64(cfg.LockStall),
		},
	})
	if status.Code(err) == codes.InvalidArgument {
		return "", nil, fmt.Errorf("%w: %s", ErrBadSetting, task.Clip(status.Convert(err).Message(), mostMessage))
	}
	if err != nil {
		return "", nil, fmt.Errorf("configure: %w", err)
	}
	if len(r.Capabilities) > 0 {
		c.shares = d.describe(r.Capabilities)
	}
	if err := checkSocket(r.SlotSocket, cfg.RuntimeDir); err != nil {
		return "", nil, err
	}
	slots, err = c.openSlots(ctx, opening{dial, r.SlotSocket, c.shares, &cfg}, handler)
	return task.Clip(r.Runtime, mostName), slots, err
}

// openSlots opens the connections of all slots; the loop's slots share one.
func (c *Client) openSlots(ctx context.Context, o opening, handler func(first, count int) Handler) (slots []*Conn, err error) {
	defer func() {
		if err != nil {
			for _, open := range slots {
				open.Close()
			}
			slots = nil
		}
	}()
	cfg := o.cfg
	for i := range cfg.Slots {
		conn, err := o.conn(ctx, i, 1, false, handler(i, 1))
		if err != nil {
			return slots, err
		}
		slots = append(slots, conn)
	}
	if cfg.LoopSlots == 0 {
		return slots, nil
	}
	conn, err := o.conn(ctx, cfg.Slots, cfg.LoopSlots, true, handler(cfg.Slots, cfg.LoopSlots))
	if err != nil {
		return slots, err
	}
	return append(slots, slices.Repeat([]*Conn{conn}, cfg.LoopSlots)...), nil
}

// Cancel asks for a task to stop; see the contract.
func (c *Client) Cancel(ctx context.Context, slot int, seq uint64, reason StopReason) (Claim, error) {
	r, err := c.rpc.Cancel(ctx, &proto.CancelRequest{Slot: uint32(slot), Seq: seq, Reason: proto.StopReason(reason)})
	return Claim(r.GetClaim()), err
}

// Recall takes an unclaimed task back; see the contract.
func (c *Client) Recall(ctx context.Context, slot int, seq uint64) (Claim, error) {
	r, err := c.rpc.Recall(ctx, &proto.RecallRequest{Slot: uint32(slot), Seq: seq})
	return Claim(r.GetClaim()), err
}

// Drain makes the worker refuse new tasks and waits for the running ones, as long as
// ctx allows.
func (c *Client) Drain(ctx context.Context) error {
	_, err := c.rpc.Drain(ctx, &proto.DrainRequest{})
	if status.Code(err) == codes.DeadlineExceeded || errors.Is(err, context.Canceled) {
		return context.Cause(ctx)
	}
	return err
}

// Stats returns the worker's own figures.
func (c *Client) Stats(ctx context.Context) (Stats, error) {
	r, err := c.rpc.Stats(ctx, &proto.StatsRequest{})
	if err != nil {
		return Stats{}, fmt.Errorf("stats: %w", err)
	}
	return Stats{
		SlotsBusy:    int(r.SlotsBusy),
		TasksDone:    r.TasksDone,
		RSSBytes:     int64(min(r.RssBytes, math.MaxInt64)),
		PeakRSSBytes: int64(min(r.PeakRssBytes, math.MaxInt64)),
		CPUsAllowed:  task.Clip(r.CpusAllowed, mostReason),
		Threads:      int(r.Threads),
		Degraded:     task.Clip(r.Degraded, mostReason),
	}, nil
}

// ErrNoStacks is matched by an error of Stacks that is not a failure: the executor
// can't list stacks, or did not get its interpreter's lock in time.
var ErrNoStacks = errors.New("no stacks")

// Stacks returns the stacks of the worker's threads, as text for people.
func (c *Client) Stacks(ctx context.Context) (string, error) {
	r, err := c.rpc.Stacks(ctx, &proto.StacksRequest{})
	switch status.Code(err) {
	case codes.OK:
		return task.Clip(r.Text, mostStacks), nil
	case codes.Unimplemented, codes.DeadlineExceeded:
		return "", fmt.Errorf("%w: %s", ErrNoStacks, task.Clip(status.Convert(err).Message(), mostReason))
	default:
		return "", fmt.Errorf("stacks: %w", err)
	}
}

// Health returns once tasks can make progress in the worker.
func (c *Client) Health(ctx context.Context) (lockWait time.Duration, err error) {
	r, err := c.rpc.Health(ctx, &proto.HealthRequest{})
	if err != nil {
		return 0, fmt.Errorf("health: %w", err)
	}
	return durationOf(r.LockWaitNs), nil
}
