package ipc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"cpulb/daemon/access"
	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// deliberate takes its time over tasks with long params, and counts how many it looks at.
type deliberate struct {
	*ipctest.Engine
	decide   chan struct{}
	mu       sync.Mutex
	at, most int
}

func (d *deliberate) Submit(ctx context.Context, who access.Identity, t *task.Task, w task.Watcher, done func(task.View, error)) {
	if len(t.Params) > 1000 {
		d.mu.Lock()
		d.at++
		d.most = max(d.most, d.at)
		d.mu.Unlock()
		<-d.decide
		d.mu.Lock()
		d.at--
		d.mu.Unlock()
	}
	d.Engine.Submit(ctx, who, t, w, done)
}

// Half of the processor is left, whatever one caller sends.
func TestLongTextsAreLookedThroughInTurn(t *testing.T) {
	engine := &deliberate{Engine: ipctest.New(), decide: make(chan struct{})}
	l, socket := ipctest.Listen(t)
	for path, mode := range map[string]os.FileMode{filepath.Dir(socket): 0o755, socket: 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	server := ipc.NewServer(engine, ipc.Options{BodyBytes: 1 << 20})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	turns := max(1, runtime.GOMAXPROCS(0)/2)
	long := body(ipctest.Echo, `,"params":"`+strings.Repeat("x", 100<<10)+`"`)
	var senders []*stream
	for i := range 2 * (turns + 1) {
		s := dialAs(t, caller1, socket)
		if i%2 == 0 {
			s.post("/v1/tasks", len(long), "", long)
		} else {
			s.send(upgrade)
			s.switched()
			s.send(fmt.Sprintf(`{"op":"submit","task":%s}`+"\n", long))
		}
		s.taken()
		senders = append(senders, s)
	}
	other := dialAs(t, caller2, socket)
	short := body(ipctest.Echo, "")
	other.post("/v1/tasks", len(short), "", short)
	if resp, text := other.whole(); resp.StatusCode != http.StatusAccepted {
		t.Errorf("%s %s", resp.Status, text)
	}
	close(engine.decide)
	for i, s := range senders {
		if i%2 == 1 {
			s.expect("accepted")
		} else if resp, text := s.whole(); resp.StatusCode != http.StatusAccepted {
			t.Errorf("%s %s", resp.Status, text)
		}
	}
	engine.mu.Lock()
	defer engine.mu.Unlock()
	if engine.most > turns {
		t.Errorf("%d long texts were looked through at a time, of %d", engine.most, turns)
	}
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	_ = server.Shutdown(cut)
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
