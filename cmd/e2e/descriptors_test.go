package e2e_test

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// fill has the user take connections that are kept alive until one more is refused, and
// returns how many it got.
func (d *daemon) fill(uid int) int {
	d.t.Helper()
	dial := clientAs(d.t, uid, d.socket).Transport.(*http.Transport).DialContext
	for n := 0; ; n++ {
		conn, err := dial(d.t.Context(), "unix", d.socket)
		if err != nil {
			d.t.Fatal(err)
		}
		d.t.Cleanup(func() { conn.Close() })
		if _, err := conn.Write([]byte("GET /v1/openapi.json HTTP/1.1\r\nHost: cpulb\r\n\r\n")); err != nil {
			return n
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			return n
		}
	}
}

func TestWorkersAreReplacedWhileClientsHaveAllConnections(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can connect as several users")
	}
	config := `socket { mode = "0666" }` + strings.Replace(testConfig, "limits {", "limits {\n connections = 5000", 1)
	d := lay(t, nil, config)
	if err := os.Chmod(filepath.Dir(d.socket), 0o755); err != nil {
		t.Fatal(err)
	}
	d.args = slices.DeleteFunc(d.args, func(arg string) bool { return arg == "-private" })
	d.args = append([]string{"/bin/sh", "-c", `ulimit -n 1000 && exec "$@"`, "sh"}, d.args...)
	d.launch()
	told := func(log string) int {
		t.Helper()
		found := regexp.MustCompile(`fewer connections than limits.connections are served.* connections=(\d+)`).FindAllStringSubmatch(log, -1)
		if len(found) != 1 {
			t.Fatalf("the log tells of it %d times:\n%s", len(found), log)
		}
		n, _ := strconv.Atoi(found[0][1])
		return n
	}
	d.call("GET", "/healthz", "")
	d.until("the log tells of fewer connections", func() bool { return strings.Contains(d.log.String(), "fewer connections than limits.connections") })
	most := told(d.log.String())
	got := 0
	for uid := 12001; ; uid++ {
		n := d.fill(uid)
		if got += n; n == 0 {
			break
		}
	}
	if got += d.fill(0); got < most || got > most+32 {
		t.Errorf("clients have %d connections of %d", got, most)
	}
	if code, _ := d.call("GET", "/v1/status", ""); code != 200 {
		t.Errorf("whoever is connected is answered %d", code)
	}
	log := d.reload(strings.Replace(config, "threads = 1", "threads = 2", 1))
	if !strings.Contains(log, "reloaded in every worker") {
		t.Errorf("all workers were to be exchanged:\n%s", log)
	}
	d.killWorkers(6, "cpu-0", "cpu-1", "io-0")
}
