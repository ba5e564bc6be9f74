package ipc_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"cpulb/daemon/access"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// text reads an answer that is no JSON.
func (c *caller) text(path string) (*http.Response, string) {
	c.t.Helper()
	resp := c.open("GET", path, "")
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(text)
}

// administered serves an engine that this program may administer.
func administered(t *testing.T) *caller {
	engine := ipctest.New()
	engine.Rules = access.Rules{Private: true, DaemonUID: uint32(os.Getuid())}
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	return call(t, socket)
}

func TestMetricsAreToldAsPrometheusAsks(t *testing.T) {
	c := administered(t)
	c.do("POST", "/v1/tasks", body(ipctest.Echo, ""))
	if resp, text := c.text("/metrics"); resp.StatusCode != 200 || !strings.Contains(text, "# TYPE cpulb_tasks gauge\ncpulb_tasks 1\n") || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%s %q", resp.Status, text)
	}
}

func TestProfilesAreServed(t *testing.T) {
	c := administered(t)
	for path, part := range map[string]string{"/debug/pprof/": "goroutine?debug=", "/debug/pprof/goroutine?debug=1": "goroutine profile:", "/debug/pprof/cmdline": ".test"} {
		if resp, text := c.text(path); resp.StatusCode != 200 || !strings.Contains(text, part) {
			t.Errorf("%s: %s %.200q", path, resp.Status, text)
		}
	}
	// net/http/pprof adds itself to the default mux, which nobody here serves.
	if resp, text := c.text("/debug/vars"); resp.StatusCode != 404 {
		t.Errorf("%s %.200q", resp.Status, text)
	}
}

func TestADrainedDaemonRefusesUntilItIsResumed(t *testing.T) {
	c := administered(t)
	for _, x := range []struct {
		path   string
		status int
	}{{"/v1/drain", 503}, {"/v1/resume", 202}} {
		if resp, a := c.do("POST", x.path, ""); resp.StatusCode != 200 || a["is_running"] == nil {
			t.Errorf("%s: %s %v", x.path, resp.Status, a)
		}
		if resp, a := c.do("POST", "/v1/tasks", body(ipctest.Echo, "")); resp.StatusCode != x.status {
			t.Errorf("after %s: %s %v", x.path, resp.Status, a)
		}
	}
}

func TestListsOfTheDaemonAreAsDocumented(t *testing.T) {
	c := administered(t)
	for _, path := range []string{"/v1/workers", "/v1/executors", "/v1/schedules", "/v1/workers/cpu-0/stacks", "/v1/config"} {
		if resp, a := c.do("GET", path, ""); resp.StatusCode != 200 {
			t.Errorf("%s: %s %v", path, resp.Status, a)
		}
	}
}
