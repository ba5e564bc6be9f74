package supervisor_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/executortest"
	"cpulb/plugins/executortest/impostor"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
)

// impostor is the spec of a worker that is wrong in this way.
func (b *box) impostor(way impostor.Way) supervisor.Spec {
	spec := b.spec("")
	spec.Env[impostor.Env] = string(way)
	return spec
}

// Whatever an executor answers instead of what it should, its start fails with words that name
// the program, and nothing is left of it.
func TestAnExecutorThatAnswersWrongDoesNotStart(t *testing.T) {
	for way, says := range map[impostor.Way]string{
		impostor.PrintsFirst:    "Loading the model, please wait",
		impostor.ShutControl:    "not an executor",
		impostor.ServesNothing:  "unknown service cpulb.executor.v1.Executor",
		impostor.AnswersNothing: "speaks version 0 of the slot protocol, this daemon 1",
		impostor.OtherProtocol:  "speaks version 99 of the slot protocol, this daemon 1",
		impostor.HasNoName:      "the executor has no name",
		impostor.NoSocket:       "Configure's answer names no socket for the slots",
		impostor.RelativeSocket: `names the socket "slots.sock" for the slots, which is not in the worker's folder`,
		impostor.ForeignSocket:  "for the slots, which is not in the worker's folder",
		impostor.MissingSocket:  "slots.sock.none: connect: no such file or directory",
	} {
		t.Run(string(way), func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			spec := b.impostor(way)
			if err := b.fails(t.Context(), spec); !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), spec.Command) ||
				len(err.Error()) > 1000 || errors.Is(err, supervisor.ErrStartTimeout) {
				t.Errorf("it is %v", err)
			}
		})
	}
}

func TestAnExecutorThatDoesNotAnswerIsGivenUp(t *testing.T) {
	for _, way := range []impostor.Way{impostor.MuteControl, impostor.HangsInDescribe, impostor.HangsInConfigure} {
		t.Run(string(way), func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			spec := b.impostor(way)
			spec.StartTimeout = time.Second
			if err := b.fails(t.Context(), spec); !errors.Is(err, supervisor.ErrStartTimeout) || !strings.Contains(err.Error(), spec.Command) {
				t.Errorf("it is %v", err)
			}
		})
	}
}

// What comes on the pipe of the handshake after it holds nobody up.
func TestALongLineAfterTheHandshakeHoldsNobodyUp(t *testing.T) {
	var log bytes.Buffer // read only after the worker's end
	b := newBoxLogging(t, hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Info}))
	up := executortest.NewRecorder()
	p := b.start(b.impostor(impostor.PrintsMuch), executortest.Each(func(int) executortest.SlotHandler { return up }))
	for seq := range uint64(3) {
		if err := p.Slot(0).Send(&plugins.Task{Seq: seq + 1, ScriptPath: "/" + impostor.Echo, Params: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		up.Wait(t, "ended", seq+1)
	}
	stats, err := p.Stats(t.Context())
	if err != nil || stats.RSSBytes < 0 || stats.PeakRSSBytes < 0 {
		t.Errorf("it says %+v, %v", stats, err)
	}
	p.Stop(t.Context())
	if p.Exit() != "exit status 0" || strings.Contains(log.String(), "xxx") {
		t.Errorf("it ended with %q, and the log is %.300s", p.Exit(), log.String())
	}
}

func TestAnExecutorThatDoesNotEndIsEnded(t *testing.T) {
	for _, way := range []impostor.Way{impostor.NeverDrains, impostor.IgnoresShutdown} {
		t.Run(string(way), func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			p := b.start(b.impostor(way), recorders)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			p.Stop(ctx)
			// One that only does not drain may end by itself once its connection has gone, before it is killed.
			if end := p.Exit(); end != "signal: killed" && (way == impostor.IgnoresShutdown || end != "exit status 0") {
				t.Errorf("it ended with %q", end)
			}
		})
	}
}
