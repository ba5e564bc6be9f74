package ipc_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

func TestASwapIsReadStrictlyAndAnsweredByHowFarItHasCome(t *testing.T) {
	engine := ipctest.New()
	engine.Rules.Private, engine.Rules.DaemonUID = true, uint32(os.Getuid())
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	c := http.Client{Transport: &http.Transport{DialContext: dialTo(socket)}}
	defer c.CloseIdleConnections()
	for _, x := range []struct {
		path, body string
		status     int
		contains   string
	}{
		{"python/swap", `{"command": "/next", "canary": "10%", "for": "1m"}`, 200, `"state":"done"`},
		{"python/swap?wait=1m", `{"command": "/starting"}`, 202, `"canary":{"share":0.1,"tasks":3,"failed":1,"others":40,"seconds_left":12.5}`},
		{"python/rollback?wait=1m", "", 200, `"state":"done"`},
		{"python/swap", `{"command": "/broken"}`, 422, `"code":"swap_failed"`},
		{"python/swap", `{"command": "/busy"}`, 409, `"code":"swap_conflict"`},
		{"banana/swap", `{"command": "/next"}`, 404, `"code":"executor_not_found"`},
		{"banana/rollback", "", 404, `"code":"executor_not_found"`},
		{"python/swap", `{"command": "/next", "canari": "10%"}`, 400, `unknown field`},
		{"python/swap", `{"command": 7}`, 400, `"code":"invalid_swap"`},
		{"python/swap", `{"command": "/next", "for": "soon"}`, 400, `"code":"invalid_swap"`},
		{"python/swap", `null`, 400, `"code":"invalid_swap"`},
		{"python/swap", `{}`, 400, `"code":"invalid_swap"`},
		{"python/swap", `{"command": "/next"} {}`, 400, `"code":"invalid_json"`},
		{"python/swap", ``, 400, `"code":"invalid_json"`},
		{"python/swap?wait=soon", `{"command": "/next"}`, 400, `"code":"bad_query"`},
		{"python/rollback?canary=1", "", 400, `"code":"bad_query"`},
	} {
		resp, err := c.Post("http://cpulb/v1/executors/"+x.path, "application/json", strings.NewReader(x.body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != x.status || !strings.Contains(string(text), x.contains) {
			t.Errorf("%s %s: %d %s %s %v", x.path, x.body, resp.StatusCode, http.StatusText(resp.StatusCode), text, err)
		}
	}
}

// encoding/json takes a field in any case; an API that does would have two names for one.
func TestAFieldOfASwapIsMatchedExactly(t *testing.T) {
	c := administered(t)
	for _, text := range []string{`{"COMMAND": "/bin/true"}`, `{"command": "/bin/true", "Probe": {}}`, `[]`, `null`, `{"command": 1}`} {
		if resp, answer := c.do("POST", "/v1/executors/python/swap", text); resp.StatusCode != 400 || answer["code"] != "invalid_swap" {
			t.Errorf("%s: %d %v", text, resp.StatusCode, answer)
		}
	}
}
