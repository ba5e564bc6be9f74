package ipc_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cpulb/daemon/access"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// asOther names the socket to a copy of this program that runs as somebody else;
// it makes each request that it reads, a line "METHOD PATH BODY", and prints the
// answer with its status.
const asOther = "CPULB_TEST_SOCKET"

// asServer names the socket to a copy of this program that serves there, and prints a line then.
const asServer = "CPULB_TEST_SERVES"

func TestMain(m *testing.M) {
	socket := os.Getenv(asOther)
	switch serves := os.Getenv(asServer); {
	case serves != "":
		serveApart(serves)
	case socket == "":
		os.Exit(m.Run())
	}
	client := http.Client{Transport: &http.Transport{DialContext: dialTo(socket)}}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		part := append(strings.SplitN(in.Text(), " ", 3), "")
		req, err := http.NewRequest(part[0], "http://cpulb"+part[1], strings.NewReader(part[2]))
		if err != nil {
			panic(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			panic(err)
		}
		var answer map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			panic(err)
		}
		answer["http_status"], answer["http_closed"] = resp.StatusCode, resp.Close
		_ = json.NewEncoder(os.Stdout).Encode(answer)
	}
	os.Exit(0)
}

// user is somebody who calls through a process of its own.
type user struct {
	t    *testing.T
	uid  uint32
	to   io.Writer
	from *json.Decoder
}

func (u user) do(request string) (answer map[string]any) {
	u.t.Helper()
	if _, err := fmt.Fprintln(u.to, request); err != nil {
		u.t.Fatalf("uid %d: %v", u.uid, err)
	}
	if err := u.from.Decode(&answer); err != nil {
		u.t.Fatalf("uid %d: %v", u.uid, err)
	}
	return answer
}

// expect makes one request, which is to be answered with this status and code.
func (u user) expect(status int, code, request string) map[string]any {
	u.t.Helper()
	a := u.do(request)
	if got, _ := a["code"].(string); a["http_status"] != float64(status) || got != code {
		u.t.Errorf("uid %d, %s: %v; want %d %s", u.uid, request, a, status, code)
	}
	return a
}

// serveApart serves until its stdin ends.
func serveApart(socket string) {
	l, err := ipc.Listen(ipc.ListenConfig{Path: socket, Mode: 0o666})
	if err != nil {
		panic(err)
	}
	server := ipc.NewServer(ipctest.New(), ipc.Options{BodyBytes: ipctest.BodyBytes})
	go func() { panic(server.Serve(l)) }()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// users serves e to everybody and returns users of it.
func users(t *testing.T, e *ipctest.Engine, creds ...syscall.Credential) []user {
	t.Helper()
	needRoot(t)
	return usersOf(t, ipctest.ServeAll(t, e, ipc.Options{}), creds...)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can run a client as somebody else")
	}
}

// usersOf returns users of the socket.
func usersOf(t *testing.T, socket string, creds ...syscall.Credential) []user {
	t.Helper()
	var all []user
	for _, cred := range creds {
		in, out := copyOf(t, asOther+"="+socket, &syscall.SysProcAttr{Credential: &cred})
		all = append(all, user{t, cred.Uid, in, json.NewDecoder(out)})
	}
	return all
}

// copyOf runs a copy of this program until the test ends.
func copyOf(t *testing.T, env string, attr *syscall.SysProcAttr) (io.Writer, io.Reader) {
	t.Helper()
	// By this name it can be executed wherever it is.
	c := exec.CommandContext(t.Context(), "/proc/self/exe")
	c.Env, c.Dir, c.Stderr, c.SysProcAttr = []string{env}, "/", os.Stderr, attr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = c.Wait() // killed by the test's context, if that was first
	})
	return in, out
}

func TestATaskIsItsOwnersAlone(t *testing.T) {
	engine := ipctest.New()
	all := users(t, engine, syscall.Credential{Uid: 3001, Gid: 3001}, syscall.Credential{Uid: 3002, Gid: 3002}, syscall.Credential{})
	owner, other, root := all[0], all[1], all[2]
	id := owner.expect(202, "", "POST /v1/tasks "+body(ipctest.Held, `,"labels":{"whose":"mine"}`))["task_id"]
	batch := owner.expect(202, "", "POST /v1/batches "+`{"tasks":[`+body(ipctest.Held, "")+`]}`)["batch_id"]
	task := fmt.Sprint(" /v1/tasks/", id)
	const unknown = " /v1/tasks/01890000-0000-7000-8000-000000000000"
	for _, request := range []string{"GET%s", "GET%s/result", "GET%s/events", "DELETE%s", "POST%s/rerun"} {
		hidden := other.expect(404, "task_not_found", fmt.Sprintf(request, task))
		absent := other.expect(404, "task_not_found", fmt.Sprintf(request, unknown))
		if strings.Replace(hidden["detail"].(string), fmt.Sprint(id), "01890000-0000-7000-8000-000000000000", 1) != absent["detail"] {
			t.Errorf("%s tells that there is such a task: %v, %v", request, hidden, absent)
		}
	}
	other.expect(409, "task_conflict", fmt.Sprintf("POST /v1/tasks {%q:%q,%q:%q}", "task_id", id, "script_path", ipctest.Held))
	other.expect(404, "batch_not_found", fmt.Sprint("GET /v1/batches/", batch))
	other.expect(404, "batch_not_found", fmt.Sprint("GET /v1/batches/", batch, "/results"))
	if a := other.expect(200, "", "GET /v1/tasks"); len(a["tasks"].([]any)) != 0 {
		t.Errorf("the other is shown %v", a)
	}
	if a := other.expect(202, "", "DELETE /v1/tasks?label=whose=mine"); a["cancelled"] != 0.0 {
		t.Errorf("the other cancelled %v", a)
	}
	if a := owner.expect(200, "", "GET"+task); a["status"] != "running" {
		t.Errorf("the owner's: %v", a)
	}
	if a := root.expect(200, "", "GET /v1/tasks"); len(a["tasks"].([]any)) != 2 {
		t.Errorf("root is shown %v", a)
	}
	root.expect(202, "", "DELETE"+task)
	if a := owner.expect(200, "", "GET"+task); a["status"] != "cancelled" {
		t.Errorf("after root's cancel: %v", a)
	}
}

func TestAdministrationIsForAdministrators(t *testing.T) {
	engine := ipctest.New()
	engine.Rules = access.Rules{Administer: access.Who{Groups: []uint32{4242}}}
	all := users(t, engine, syscall.Credential{Uid: 3001, Gid: 3001}, syscall.Credential{Uid: 3001, Gid: 3001, Groups: []uint32{5, 4242}})
	plain, member := all[0], all[1]
	for _, request := range []string{"POST /v1/drain", "POST /v1/resume", "POST /v1/reload", "POST /v1/workers/cpu-0/restart", "GET /v1/workers/cpu-0/stacks", "GET /v1/config", "GET /debug/pprof/",
		"POST /v1/executors/python/swap", "POST /v1/executors/python/rollback"} {
		plain.expect(403, "not_allowed", request)
	}
	plain.expect(200, "", "GET /v1/status")
	for _, request := range []string{"POST /v1/drain", "POST /v1/resume", "POST /v1/reload", "GET /v1/workers/cpu-0/stacks", "GET /v1/config"} {
		member.expect(200, "", request)
	}
	member.expect(422, "reload_failed", "POST /v1/reload")
	member.expect(200, "", "POST /v1/workers/cpu-0/restart")
	member.expect(503, "restart_failed", "POST /v1/workers/io-0/restart")
}

func TestWhyAScheduleWasRefusedIsForItsOwnerAndAdministrators(t *testing.T) {
	all := users(t, ipctest.New(), syscall.Credential{Uid: ipctest.ScheduleOwner, Gid: 1}, syscall.Credential{}, syscall.Credential{Uid: 3002, Gid: 3002},
		syscall.Credential{Uid: 65534, Gid: 65534})
	for i, u := range all {
		told := fmt.Sprint(u.expect(200, "", "GET /v1/schedules")["schedules"])
		if sees := strings.Contains(told, "no such script"); sees != (i < 2) || !sees && !strings.Contains(told, "administrators see why") {
			t.Errorf("uid %d is told %s", u.uid, told)
		}
	}
}

func TestARefusalNamesTheField(t *testing.T) {
	engine := ipctest.New()
	engine.Rules = access.Rules{Submit: access.Who{Users: []uint32{3001}}, ScriptDirs: []string{"/srv"}, Pools: map[string]access.Who{"gpu": {Users: []uint32{7}}}}
	all := users(t, engine, syscall.Credential{Uid: 3001, Gid: 3001}, syscall.Credential{Uid: 3002, Gid: 3002})
	for field, body := range map[string]string{"script_path": `{"script_path":"/etc/x.py"}`, "source": `{"source":"x"}`, "pool": `{"script_path":"/srv/x.py","pool":"gpu"}`} {
		if a := all[0].expect(403, "not_allowed", "POST /v1/tasks "+body); a["field"] != field {
			t.Errorf("%s: %v", field, a)
		}
	}
	all[0].expect(202, "", `POST /v1/tasks {"script_path":"/srv/x.py"}`)
	all[1].expect(403, "not_allowed", `POST /v1/tasks {"script_path":"/srv/x.py"}`)
}

func TestWhoHasNoUserHereMaySeeTheStatusAlone(t *testing.T) {
	nobody := usersOf(t, serveWithout(t, nobodyID), syscall.Credential{Uid: nobodyID, Gid: nobodyID})[0]
	for _, request := range []string{"POST /v1/tasks {}", "GET /v1/tasks", "GET /v1/tasks/01890000-0000-7000-8000-000000000000", "POST /v1/batches", "POST /v1/stream", "POST /v1/drain", "GET /debug/pprof/"} {
		nobody.expect(403, "not_allowed", request)
	}
	if a := nobody.do("POST /v1/tasks {}"); a["http_closed"] != true {
		t.Error("the connection goes on, and with it the body")
	}
	for _, request := range []string{"GET /v1/status", "GET /v1/workers", "GET /v1/executors", "GET /v1/schedules", "GET /healthz", "GET /v1/openapi.json"} {
		nobody.expect(200, "", request)
	}
}

// nobodyID is nobody's, and what the kernel reports for users that a user namespace does not have.
const nobodyID = 65534

// serveWithout serves in a user namespace that has the uids below first alone, and returns the socket.
func serveWithout(t *testing.T, first int) string {
	t.Helper()
	needRoot(t)
	folder := ipctest.Folder(t)
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	ids := []syscall.SysProcIDMap{{Size: first}}
	socket := filepath.Join(folder, "s")
	_, out := copyOf(t, asServer+"="+socket, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return socket
}

func TestNobodyIsAUserWhereTheDaemonCanTellHim(t *testing.T) {
	all := users(t, ipctest.New(), syscall.Credential{Uid: nobodyID, Gid: nobodyID}, syscall.Credential{Uid: 3001, Gid: 3001})
	id := all[0].expect(202, "", "POST /v1/tasks "+body(ipctest.Held, ""))["task_id"]
	all[0].expect(200, "", fmt.Sprint("GET /v1/tasks/", id))
	all[1].expect(404, "task_not_found", fmt.Sprint("GET /v1/tasks/", id))
	all[0].expect(403, "not_allowed", "POST /v1/drain")
	apart := usersOf(t, serveWithout(t, nobodyID), syscall.Credential{Uid: 3001, Gid: 3001})
	apart[0].expect(202, "", "POST /v1/tasks "+body(ipctest.Held, ""))
}

// dialTo is for an http.Transport that knows one socket.
func dialTo(socket string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
}
