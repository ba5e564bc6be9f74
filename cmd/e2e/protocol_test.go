package e2e_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// protocolConfig is the daemon of the session in docs/protocol.md: what comes in which order
// is decided there.
const protocolConfig = `
executor "python" { command = "cpulb-python" }
pool "cpu" {
  executor = "python"
  task_types = ["cpu_bound"]
  workers = 1
  threads = 1
  pin = false
}
journal { sync = "off" }
access { source = true }
limits { cancel_grace = "10m" }
`

// varying are the values in the daemon's lines that differ from run to run.
var varying = regexp.MustCompile(`("(?:submitted_at|started_at|finished_at|traceback)":)"(?:[^"\\]|\\.)*"|("(?:pid|queue_seconds|run_seconds|cpu_seconds|lock_seconds)":)[0-9.]+`)

// plain is a line of the daemon's without these.
func plain(line string) string { return varying.ReplaceAllString(line, "$1$2…") }

// TestTheSessionInTheProtocolIsWhatGoesOverTheSocket replays the connections of the page, byte
// for byte.
func TestTheSessionInTheProtocolIsWhatGoesOverTheSocket(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "\n## A session\n")
	all := blocks(text)
	if !found || len(all) != 2 {
		t.Fatalf("the page has %d connections", len(all))
	}
	d := start(t, protocolConfig)
	for _, b := range all {
		d.replay(b.text)
	}
}

// replay writes the lines that begin with ">", and compares what comes with those that begin
// with "<". Others are notes on what happens between them.
func (d *daemon) replay(text string) {
	d.t.Helper()
	conn, err := net.Dial("unix", d.socket)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close()
	r, ending := bufio.NewReader(conn), "\r\n" // until the end of the answer's headers
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch mark, rest, _ := strings.Cut(line, " "); {
		case mark == ">":
			requestEnd := "\n"
			if ending == "\r\n" && !strings.HasPrefix(rest, "{") {
				requestEnd = "\r\n"
			}
			if _, err := io.WriteString(conn, rest+requestEnd); err != nil {
				d.t.Fatal(err)
			}
		case mark == "<":
			got, err := r.ReadString('\n')
			if plain(got) != plain(rest+ending) {
				d.t.Fatalf("there came\n%q %v\nnot\n%q", plain(got), err, plain(rest+ending))
			}
			if got == "\r\n" {
				ending = "\n"
			}
		case line == "(the client ends its side)":
			if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
				d.t.Fatal(err)
			}
		case line == "(the daemon is told to stop)":
			d.own.Signal(syscall.SIGTERM)
		case line == "(the daemon closes the connection)":
			if got, err := r.ReadString('\n'); err != io.EOF {
				d.t.Fatalf("there came %q, %v instead of the end", got, err)
			}
		default:
			d.t.Fatalf("what is %q?", line)
		}
	}
}

// The handshake is shown once more, for who reads no session.
func TestTheHandshakeInTheProtocolIsThatOfItsSession(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	opening, sessions, _ := strings.Cut(string(page), "\n## A session\n")
	shown := blocks(opening)
	if len(shown) < 2 || !strings.Contains(sessions, "> "+strings.Join(strings.Split(strings.TrimSpace(shown[0].text), "\n"), "\n> ")+"\n> \n") ||
		!strings.Contains(sessions, "< "+strings.Join(strings.Split(strings.TrimSpace(shown[1].text), "\n"), "\n< ")+"\n< \n") {
		t.Errorf("the bytes of the opening are not those of a session: %q", shown)
	}
}

// figures returns the figures of each component that docs/output_interpretation.md explains.
func figures(page string) map[string][]string {
	_, rest, _ := strings.Cut(page, "\n| component | figure | meaning |\n|---|---|---|\n")
	all, component := map[string][]string{}, ""
	for line := range strings.Lines(rest) {
		row := regexp.MustCompile("^\\| (?:`(\\w+)`)? ?\\| `(\\w+)` \\|").FindStringSubmatch(line)
		if row == nil {
			return all
		}
		if row[1] != "" {
			component = row[1]
		}
		all[component] = append(all[component], row[2])
	}
	return all
}

func TestEveryFigureOfTheStatusIsExplained(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/output_interpretation.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := figures(string(page))
	_, status := start(t, testConfig).call("GET", "/v1/status", "")
	components := status["components"].(map[string]any)
	if len(components) != len(explained) {
		t.Errorf("explained are %d components, there are %d", len(explained), len(components))
	}
	for name, c := range components {
		var there []string
		for figure := range c.(map[string]any)["metrics"].(map[string]any) {
			there = append(there, figure)
		}
		slices.Sort(there)
		if got := slices.Sorted(slices.Values(explained[name])); !slices.Equal(got, there) {
			t.Errorf("%s: explained are\n%v\nthere are\n%v", name, got, there)
		}
	}
}
