package systemd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	built "cpulb/internal/programs"

	"golang.org/x/sys/unix"
)

// onePool starts quickly: one worker for everything.
const onePool = `pool "all" {
  executor   = "python"
  task_types = ["cpu_bound", "io_bound"]
  workers    = 1
}
`

// The units do what they promise under a real systemd: one box for all, for its boot takes longer than
// most of what is done in it. Each has the product as it is after its installation.
func TestTheUnitsUnderSystemd(t *testing.T) {
	needBox(t)
	b := bootInstalled(t)
	for name, test := range map[string]func(t *testing.T, b *box){
		"SystemdFindsNothingWrongWithTheUnits":                     systemdFindsNothingWrongWithTheUnits,
		"StartReturnsWhenTheDaemonIsReadyAndNotBefore":             startReturnsWhenTheDaemonIsReadyAndNotBefore,
		"FirstClientOfTheSocketStartsTheDaemon":                    firstClientOfTheSocketStartsTheDaemon,
		"StopIsInOrderAndLeavesNothing":                            stopIsInOrderAndLeavesNothing,
		"ClientDuringARestartAfterAKillIsAnswered":                 clientDuringARestartAfterAKillIsAnswered,
		"DaemonThatHangsIsRestarted":                               daemonThatHangsIsRestarted,
		"StartWithABadConfigurationFailsOnceAndTheJournalSaysWhy":  startWithABadConfigurationFailsOnceAndTheJournalSaysWhy,
		"ClientsOfAWrongConfigurationAreToldSoAndTheSocketStays":   clientsOfAWrongConfigurationAreToldSoAndTheSocketStays,
		"AClientOfADaemonThatFailsWaitsAndTheSocketStays":          aClientOfADaemonThatFailsWaitsAndTheSocketStays,
		"ScriptRunsAsTheUnitsUserOfScriptsAndSeesNothingOfSystemd": scriptRunsAsTheUnitsUserOfScriptsAndSeesNothingOfSystemd,
		"ReloadTellsWhetherItWasDone":                              reloadTellsWhetherItWasDone,
		"WorkersHaveCgroupsOfTheirOwn":                             workersHaveCgroupsOfTheirOwn,
		"ScriptsCanDoNothingToTheDaemonUnderTheUnit":               scriptsCanDoNothingToTheDaemonUnderTheUnit,
		"EachTaskRunsAsItsCallerUnderTheUnit":                      eachTaskRunsAsItsCallerUnderTheUnit,
		"AllWallsStandUnderTheUnit":                                allWallsStandUnderTheUnit,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

// bootInstalled boots a box with the product installed as a package would.
func bootInstalled(t *testing.T) *box {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return bootBox(t, map[string]string{
		"usr/lib/systemd/system/cpulbd.service": "cpulbd.service",
		"usr/lib/systemd/system/cpulbd.socket":  "cpulbd.socket",
		"usr/lib/sysusers.d/cpulb.conf":         "cpulb.sysusers",
		"usr/bin/cpulbd":                        filepath.Join(bin, "cpulbd"),
		"usr/bin/cpulb":                         filepath.Join(bin, "cpulb"),
		"usr/libexec/cpulb/cpulb-python":        filepath.Join(bin, "cpulb-python"),
	})
}

// install gives the product this configuration, and a journal that begins now, until the test ends.
func (b *box) install(t *testing.T, config string) {
	t.Helper()
	b.began = time.Now()
	if err := errors.Join(os.MkdirAll(b.path("etc/cpulb"), 0o755), os.WriteFile(b.path("etc/cpulb/config.hcl"), []byte(config), 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		const asBefore = "systemctl stop cpulbd.socket cpulbd.service; rm -rf /etc/systemd/system/cpulbd.service.d /var/lib/cpulb; " +
			"systemctl daemon-reload; systemctl reset-failed"
		if out, err := b.try(t, "sh", "-c", asBefore); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// programsFolder is what programs has made; "" until it does.
var programsFolder string

// programs returns a folder with the daemon, its executor and the command line, one for
// all tests.
var programs = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "cpulb-programs")
	if err != nil {
		return "", err
	}
	programsFolder = folder
	return folder, built.Into(folder, "cpulbd", "cpulb", "cpulb-python")
})

func removePrograms() {
	if programsFolder != "" {
		os.RemoveAll(programsFolder)
	}
}

// path is where a path of the box is to be found from outside.
func (b *box) path(inside string) string {
	return filepath.Join("/proc", strconv.Itoa(b.init), "root", inside)
}

// ask sends a request over the clients' socket and returns the answer's body.
func (b *box) ask(t *testing.T, method, path, body string) (int, []byte) {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", b.path("run/cpulb/cpulb.sock"))
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://cpulb"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatalf("%v\n%s", err, b.journal(t))
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, text
}

// runScript has the daemon run a script and returns what its main returned.
func (b *box) runScript(t *testing.T, text string) map[string]any {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, "script.py"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	status, body := b.ask(t, "POST", "/v1/tasks?wait=10m", `{"script_path": "/srv/box/script.py"}`)
	var result struct {
		Status string
		Data   map[string]any
	}
	if err := json.Unmarshal(body, &result); err != nil || status != 200 || result.Status != "completed" {
		t.Fatalf("%d %s\n%s", status, body, b.journal(t))
	}
	return result.Data
}

// processes returns the box's processes that run a program of the product.
func (b *box) processes(t *testing.T) []string {
	t.Helper()
	links, err := filepath.Glob(b.path("proc/[0-9]*/exe"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, link := range links {
		program, err := os.Readlink(link)
		if err == nil && strings.Contains(filepath.Base(program), "cpulb") {
			found = append(found, program)
		}
	}
	return found
}

// mainProcess is a hold on the service's main process that no other can take over.
type mainProcess struct {
	t  *testing.T
	fd int
}

func (b *box) mainProcess(t *testing.T) *mainProcess {
	t.Helper()
	fd, err := unix.PidfdOpen(b.outsidePID(t, b.show(t, "MainPID")), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return &mainProcess{t, fd}
}

func (p *mainProcess) signal(s unix.Signal) {
	p.t.Helper()
	if err := unix.PidfdSendSignal(p.fd, s, nil, 0); err != nil {
		p.t.Fatal(err)
	}
}

func (p *mainProcess) awaitEnd() {
	p.t.Helper()
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, -1)
		if err == nil {
			return
		}
		if !errors.Is(err, unix.EINTR) {
			p.t.Fatal(err)
		}
	}
}

// outsidePID finds the process that has this pid in the box's namespace.
func (b *box) outsidePID(t *testing.T, inside string) int {
	t.Helper()
	namespace := func(pid string) string {
		link, _ := os.Readlink("/proc/" + pid + "/ns/pid") // "" if it ended
		return link
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		status, err := os.ReadFile("/proc/" + e.Name() + "/status")
		if err != nil || namespace(e.Name()) != namespace(strconv.Itoa(b.init)) {
			continue
		}
		lines := strings.Split(string(status), "\n")
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "NSpid:") })
		if fields := strings.Fields(lines[max(i, 0)]); fields[len(fields)-1] == inside {
			pid, _ := strconv.Atoi(e.Name())
			return pid
		}
	}
	t.Fatal(fmt.Errorf("no process has pid %s in the box", inside))
	return 0
}
