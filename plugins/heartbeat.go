package plugins

import (
	"context"
	"errors"
	"time"

	"cpulb/plugins/proto"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// heartbeat takes the interpreter's lock twice in every stall, and logs when a wait
// for it lasts that long. It ends nothing: a long call into C is legal, and tasks
// have timeouts. It lives as long as the process.
func (w *worker) heartbeat(stall time.Duration) {
	if stall <= 0 {
		return
	}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), stall)
		_, err := w.executor.Health(ctx)
		cancel()
		switch before := w.stalled.Load(); {
		case err == nil && before != nil:
			w.log.Info("tasks can make progress again")
			w.stalled.Store(nil)
		case err == nil || before != nil:
		case errors.Is(err, context.DeadlineExceeded):
			w.log.Warn(lockStalled+"; the stacks of all threads are in the log", "for", stall, "error", err)
			w.stalled.Store(new(lockStalled))
		default:
			w.log.Warn("tasks can't make progress", "error", err)
			w.stalled.Store(new(err.Error()))
		}
		time.Sleep(stall / 2)
	}
}

const lockStalled = "the interpreter's lock can't be taken"

// degraded says why, "" if it is not.
func (w *worker) degraded() string {
	if why := w.stalled.Load(); why != nil {
		return *why
	}
	return ""
}

// Stacks implements proto.ExecutorServer.
func (w *worker) Stacks(ctx context.Context, _ *proto.StacksRequest) (*proto.StacksResponse, error) {
	stacker, ok := w.executor.(Stacker)
	if !ok {
		return nil, status.Errorf(codes.Unimplemented, "the executor %s can't list its stacks", w.executor.Describe().Name)
	}
	text, err := stacker.Stacks(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return nil, status.Error(codes.DeadlineExceeded, "the interpreter's lock can't be taken; see the log after limits.gil_stall")
	case err != nil:
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &proto.StacksResponse{Text: text}, nil
}
