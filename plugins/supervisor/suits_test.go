package supervisor_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/executortest"

	"github.com/hashicorp/go-hclog"
)

// choosy is an executor with settings and with no events, which it sends all the same.
type choosy struct{ executortest.Fake }

func (choosy) Describe() plugins.Description {
	return plugins.Description{Name: "choosy", Version: "2", CanCancel: true, CanIsolate: true,
		Settings: []plugins.Setting{{Name: "size", Kind: plugins.BytesSetting, Description: "how large", Required: true, Default: "none", Allowed: []string{"1024"}}}}
}

// Configure refuses what it was not told to expect, so that a test sees what comes.
func (c choosy) Configure(ctx context.Context, conf plugins.Configuration) (string, error) {
	if conf.Settings["size"] != "1024" || conf.Settings["isolation"] != "process" {
		return "", errors.New("these are not the settings")
	}
	return c.Fake.Configure(ctx, plugins.Configuration{})
}

func TestTheConfigurationIsCheckedAgainstWhatTheExecutorSays(t *testing.T) {
	b := newBox(t)
	spec := b.spec("choosy")
	spec.Pool = "p"
	spec.Settings = map[string]string{"isolation": "process"} // is the pool's: no schema has it
	if err := b.fails(t.Context(), spec); !errors.Is(err, plugins.ErrBadSetting) || !strings.Contains(err.Error(), `pool "p": settings.size: the executor choosy requires it: how large`) {
		t.Error(err)
	}
	size := plugins.Given{Where: `executor "x"`, Key: "settings.size", Form: plugins.TextForm, Text: "1KiB"}
	spec.Given = map[string]plugins.Given{"size": size, "venv": {Where: `pool "p"`, Key: "venv", Form: plugins.TextForm, Text: "/v"}}
	if err := b.fails(t.Context(), spec); !errors.Is(err, plugins.ErrBadSetting) || !strings.Contains(err.Error(), `pool "p": venv: the executor choosy has no such setting (allowed: size)`) {
		t.Error(err)
	}
	delete(spec.Given, "venv")
	up := executortest.NewRecorder()
	p := b.start(spec, executortest.Each(func(int) executortest.SlotHandler { return up }))
	d := p.Description()
	if len(d.Settings) != 1 || d.Settings[0].Kind != plugins.BytesSetting || d.Settings[0].Allowed[0] != "1024" || !d.Settings[0].Required {
		t.Errorf("%+v", d)
	}
}

// The task has done nothing wrong: a breach of the contract would cost it.
func TestEventsOfAnExecutorThatHasNoneAreDroppedWithWords(t *testing.T) {
	var log bytes.Buffer // read only after the worker's end, when nothing writes any more
	b := newBoxLogging(t, hclog.New(&hclog.LoggerOptions{Output: &log}))
	spec := b.spec("choosy")
	spec.Settings = map[string]string{"isolation": "process"}
	spec.Given = map[string]plugins.Given{"size": {Form: plugins.NumberForm, Text: "1024"}}
	up := executortest.NewRecorder()
	p := b.start(spec, executortest.Each(func(int) executortest.SlotHandler { return up }))
	for seq := range uint64(2) {
		if err := p.Slot(0).Send(&plugins.Task{Seq: seq + 1, ID: "t", ScriptPath: executortest.FakeScripts()[executortest.Events], Params: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		if o := up.Wait(t, "ended", seq+1).Outcome; o.Status != task.Completed {
			t.Errorf("%+v", o)
		}
	}
	for _, ev := range up.Events() {
		if ev.Kind != "started" && ev.Kind != "ended" {
			t.Errorf("%+v", ev)
		}
	}
	p.Stop(t.Context())
	if n := strings.Count(log.String(), "which are dropped: it does not describe the capability EVENTS"); n != 1 {
		t.Errorf("it was said %d times: %s", n, log.String())
	}
}

// saidOf closes said when a line with text is written.
type saidOf struct {
	text string
	said chan struct{}
	once sync.Once
}

func (s *saidOf) Write(line []byte) (int, error) {
	if strings.Contains(string(line), s.text) {
		s.once.Do(func() { close(s.said) })
	}
	return len(line), nil
}

func TestOutputOfAnExecutorThatDescribesNoneIsDroppedWithWords(t *testing.T) {
	log := &saidOf{text: "which are dropped: it does not describe the capability OUTPUT", said: make(chan struct{})}
	b := newBoxLogging(t, hclog.New(&hclog.LoggerOptions{Output: log}))
	spec := b.spec("choosy")
	spec.Settings, spec.OutputInterval = map[string]string{"isolation": "process"}, time.Millisecond
	spec.Given = map[string]plugins.Given{"size": {Form: plugins.NumberForm, Text: "1024"}}
	up := executortest.NewRecorder()
	p := b.start(spec, executortest.Each(func(int) executortest.SlotHandler { return up }))
	if err := p.Slot(0).Send(&plugins.Task{Seq: 1, ID: "t", ScriptPath: executortest.FakeScripts()[executortest.PrintsAndBlocks], Params: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	<-log.said
	if _, err := p.Cancel(t.Context(), 0, 1, plugins.StopCancelled); err != nil {
		t.Fatal(err)
	}
	if o := up.Wait(t, "ended", 1).Outcome; o.Status != task.Cancelled || o.Stdout != "begun\n" {
		t.Errorf("%+v", o)
	}
	if got := up.Of(1); strings.Contains(got, "output") {
		t.Error(got)
	}
}

func TestAPoolThatNeedsAProcessForEachTaskNeedsAnExecutorThatCan(t *testing.T) {
	b := newBox(t)
	spec := b.spec("executor")
	spec.Pool, spec.Settings = "p", map[string]string{"isolation": "process"}
	want := `bad setting: pool "p": isolation: the executor fake can't give each task a process of its own (it does not describe ISOLATION)`
	if err := b.fails(t.Context(), spec); !errors.Is(err, plugins.ErrBadSetting) || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
	spec.Privileged = true
	want = `pool "p": user: the executor fake can't run tasks as their callers`
	if err := b.fails(t.Context(), spec); !errors.Is(err, plugins.ErrBadSetting) || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}
