package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"cpulb/daemon/api"
	"cpulb/ipc"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

type connectionKey struct{}

// On a connection that was kept, and is dead, nobody could say whether a call was carried out.
func TestWhatIsPassedOnGoesOverAKeptConnectionOnlyIfItIsSafeToMakeTwice(t *testing.T) {
	l, socket := ipctest.Listen(t)
	var connections atomic.Int64
	server := &http.Server{
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, connections.Add(1))
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet && r.Context().Value(connectionKey{}) == int64(1) {
				panic(http.ErrAbortHandler) // the kept one is dead
			}
			_, _ = io.WriteString(w, r.Method+" "+r.RequestURI+" "+r.Header.Get("Accept-Encoding"))
		}),
	}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	c := client.New(socket)
	defer c.Close()
	for _, call := range []string{"GET /v1/status", "GET /v1/tasks?limit=1", "POST /v1/tasks/x/rerun", "DELETE /v1/tasks/x"} {
		method, path, _ := strings.Cut(call, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, "http://anything"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.Transport().RoundTrip(r)
		if err != nil {
			t.Errorf("%s: %v", call, err)
			continue
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || string(text) != call+" " {
			t.Errorf("%s: %q, %v", call, text, err)
		}
	}
}

func TestGetReturnsWhatWasSentOrItsProblem(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	c := client.New(socket)
	defer c.Close()
	if text, err := c.Get(t.Context(), "/healthz"); err != nil || len(text) == 0 {
		t.Errorf("%q, %v", text, err)
	}
	var p *api.Problem
	if text, err := c.Get(t.Context(), "/v1/nothing"); !errors.As(err, &p) || p.Code != "no_such_route" || text != nil {
		t.Errorf("%q, %v", text, err)
	}
}
