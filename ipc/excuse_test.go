package ipc_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"cpulb/daemon/api"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

func TestADaemonThatCanNotStartSaysWhy(t *testing.T) {
	l, path := ipctest.Listen(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ipc.Excuse(ctx, l, "its configuration is wrong", "config.hcl:2:3: unknown key")
	}()
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", path)
	}}}
	for _, method := range []string{"GET", "POST"} {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://cpulb/v1/tasks", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var p api.Problem
		if err := json.NewDecoder(answer.Body).Decode(&p); err != nil || answer.StatusCode != 503 || p.Code != "not_ready" ||
			!strings.Contains(p.Detail, "config.hcl:2:3") || answer.Header.Get("Retry-After") == "" {
			t.Errorf("%v: %d %+v", err, answer.StatusCode, p)
		}
		answer.Body.Close()
	}
	stop()
	<-done
	if _, err := net.Dial("unix", path); err == nil {
		t.Error("it still listens")
	}
}
