package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// The users of the tables in docs/security.md: the first two may submit.
const (
	caller = 3001 + iota
	another
	outsider
)

const answersConfig = `
executor "python" { command = "%s" }
pool "one" {
  executor = "python"
  task_types = ["cpu_bound"]
  workers = 1
  threads = 1
}
pool "stuck" {
  executor = "python"
  task_types = ["io_bound"]
  workers = 1
  threads = 2
}
results { max = 3 }
limits {
  cancel_grace = "100ms"
  fence_timeout = "10m"
  drain_timeout = "1s"
}
access { users = ["3001", "3002"] }
socket { mode = "0666" }
`

// rows returns the rows of the tables of docs/security.md whose heads begin with these
// words: a call, and its answers by column.
func rows(t *testing.T, head string) (columns []string, all map[string][]string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	all = map[string][]string{}
	_, table, found := strings.Cut(string(text), head)
	if !found {
		t.Fatalf("docs/security.md has no table %q", head)
	}
	table, _, _ = strings.Cut(head+table, "\n\n")
	for i, line := range strings.Split(strings.TrimSpace(table), "\n") {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		switch i {
		case 0:
			columns = cells[1:]
		case 1:
		default:
			all[cells[0]] = cells[1:]
		}
	}
	return columns, all
}

// subject is a task, or one that could be, with all by which it is found.
type subject struct {
	id, batch, label, key string
	task                  string // what was sent
}

// answers has a daemon for all users.
type answers struct {
	*daemon
	script string
}

func newAnswers(t *testing.T, lacks int) *answers {
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	d := lay(t, nil, fmt.Sprintf(answersConfig, filepath.Join(bin, "cpulb-python")))
	d.args = slices.DeleteFunc(d.args, func(arg string) bool { return arg == "-private" })
	d.lacks = lacks
	if err := os.Chmod(filepath.Dir(d.socket), 0o755); err != nil {
		t.Fatal(err)
	}
	d.launch()
	return &answers{d, script(t, "def main(params):\n    return 1\n")}
}

// as is the daemon as a user calls it.
func (a *answers) as(uid int) *daemon {
	d := *a.daemon
	d.http = clientAs(a.t, uid, d.socket)
	return &d
}

// unknown is a subject that nobody has submitted; more is JSON of further fields.
func (a *answers) unknown(more string) subject {
	s := subject{id: uuid.NewString(), batch: uuid.NewString(), label: uuid.NewString(), key: uuid.NewString()}
	s.task = fmt.Sprintf(`{"task_id":%q,"script_path":%q,"labels":{"of":%q},"idempotency_key":%q%s}`, s.id, a.script, s.label, s.key, more)
	return s
}

// submitted is a subject of a user.
func (a *answers) submitted(uid int, more string) subject {
	a.t.Helper()
	s := a.unknown(more)
	status, answer := a.as(uid).call("POST", "/v1/batches", `{"tasks":[`+s.task+`]}`)
	if status != 202 || len(answer["errors"].([]any)) > 0 {
		a.t.Fatalf("%d %v\n%s", status, answer, a.log)
	}
	s.batch = answer["batch_id"].(string)
	return s
}

// gone is a subject that is no longer kept: its time is over, or it had to make room.
func (a *answers) gone(uid int, pressed bool) subject {
	a.t.Helper()
	more := `,"result_ttl":"1ms"`
	if pressed {
		more = ""
	}
	s := a.submitted(uid, more)
	d := a.as(uid)
	d.until("a result is evicted", func() bool {
		status, _ := d.call("GET", "/v1/tasks/"+s.id, "")
		if pressed && status == 200 {
			d.run(a.script, "{}", "cpu_bound")
		}
		return status == 410
	})
	return s
}

// subjects makes those of one row, by the columns.
func (a *answers) subjects() map[string]func() subject {
	const waits = `,"delay":"1h"`
	return map[string]func() subject{
		"own":                           func() subject { return a.submitted(caller, waits) },
		"another's":                     func() subject { return a.submitted(another, waits) },
		"own, past its time":            func() subject { return a.gone(caller, false) },
		"own, made room":                func() subject { return a.gone(caller, true) },
		"another's, gone":               func() subject { return a.gone(another, true) },
		"unknown":                       func() subject { return a.unknown(waits) },
		"another's, who may not submit": func() subject { return a.submitted(another, waits) },
	}
}

// ask makes a call and words its answer as the page does.
func ask(t *testing.T, d *daemon, method, path, body string) (answer string, decoded map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://cpulb"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := d.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // which may be without end
	if strings.HasSuffix(resp.Header.Get("Content-Type"), "json") && !strings.Contains(resp.Header.Get("Content-Type"), "ndjson") {
		if err := json.NewDecoder(resp.Body).Decode(&decoded); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return worded(resp.StatusCode, decoded), decoded
}

func worded(status int, problem map[string]any) string {
	if code, ok := problem["code"].(string); ok {
		return fmt.Sprintf("%d `%s`", status, code)
	}
	return fmt.Sprint(status)
}

// byID, and those that follow, carry out a row for one subject.
func byID(method, suffix string) func(*testing.T, *daemon, int, subject) string {
	return func(t *testing.T, d *daemon, _ int, s subject) string {
		answer, _ := ask(t, d, method, "/v1/tasks/"+s.id+suffix, "")
		return answer
	}
}

func byBatch(suffix string) func(*testing.T, *daemon, int, subject) string {
	return func(t *testing.T, d *daemon, _ int, s subject) string {
		answer, _ := ask(t, d, "GET", "/v1/batches/"+s.batch+suffix, "")
		return answer
	}
}

func counted(method string, filter func(subject) string) func(*testing.T, *daemon, int, subject) string {
	return func(t *testing.T, d *daemon, _ int, s subject) string {
		answer, decoded := ask(t, d, method, "/v1/tasks?"+filter(s), "")
		if tasks, ok := decoded["tasks"].([]any); ok {
			return fmt.Sprintf("%s, %d", answer, len(tasks))
		}
		return fmt.Sprintf("%s, %v", answer, decoded["cancelled"])
	}
}

func label(s subject) string { return "label=of=" + s.label }
func batch(s subject) string { return "batch=" + s.batch }

func submitID(t *testing.T, d *daemon, _ int, s subject) string {
	answer, _ := ask(t, d, "POST", "/v1/tasks", s.task)
	return answer
}

func submitKey(t *testing.T, d *daemon, _ int, s subject) string {
	answer, _ := ask(t, d, "POST", "/v1/tasks", strings.Replace(s.task, s.id, uuid.NewString(), 1))
	return answer
}

func submitBatch(t *testing.T, d *daemon, _ int, s subject) string {
	answer, decoded := ask(t, d, "POST", "/v1/batches", s.task+"\n")
	if errors, _ := decoded["errors"].([]any); len(errors) > 0 {
		problem := errors[0].(map[string]any)["problem"].(map[string]any)
		return worded(int(problem["status"].(float64)), problem)
	}
	return answer
}

// streamed sends lines on a stream and returns the first answer to one of them, or to the
// request.
func streamed(t *testing.T, d *daemon, uid int, lines ...string) (answer string, first map[string]any) {
	t.Helper()
	conn, err := dialAs(uid, d.socket)(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := "POST /v1/stream HTTP/1.1\r\nHost: cpulb\r\nConnection: Upgrade\r\nUpgrade: cpulb\r\n\r\n" + strings.Join(lines, "\n") + "\n"
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		err = json.NewDecoder(in).Decode(&first)
	} else {
		err = json.NewDecoder(resp.Body).Decode(&first)
	}
	if err != nil {
		t.Fatal(err)
	}
	if problem, ok := first["problem"].(map[string]any); ok {
		return worded(int(problem["status"].(float64)), problem), first
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return worded(resp.StatusCode, first), first
	}
	return "202", first
}

func streamSubmit(t *testing.T, d *daemon, uid int, s subject) string {
	answer, _ := streamed(t, d, uid, `{"op":"submit","task":`+s.task+`}`)
	return answer
}

// streamCancel finds by the answer to a second line that the first had none.
func streamCancel(t *testing.T, d *daemon, uid int, s subject) string {
	answer, first := streamed(t, d, uid, fmt.Sprintf(`{"op":"cancel","task_id":%q}`, s.id), fmt.Sprintf(`{"op":"cancel","task_id":%q}`, uuid.NewString()))
	if first["line"] != 2.0 {
		return answer
	}
	if _, view := d.call("GET", "/v1/tasks/"+s.id+"/result?timeout=10m", ""); view["status"] != "cancelled" {
		t.Errorf("not cancelled: %v", view)
	}
	return "202"
}

// streamWatch asks for the result of a task that has ended by then.
func streamWatch(t *testing.T, d *daemon, uid int, s subject) string {
	d.call("DELETE", "/v1/tasks/"+s.id, "")
	answer, _ := streamed(t, d, uid, fmt.Sprintf(`{"op":"watch","task_id":%q}`, s.id))
	return answer
}

func TestEveryAnswerIsAsTheSecurityPageSays(t *testing.T) {
	t.Parallel()
	nobody(t) // only root can be others
	calls := map[string]func(*testing.T, *daemon, int, subject) string{
		"`POST /v1/tasks` with the same `task_id`":          submitID,
		"`POST /v1/tasks` with the same `idempotency_key`":  submitKey,
		"`POST /v1/batches` with the same `task_id`":        submitBatch,
		"`POST /v1/stream`, submit with the same `task_id`": streamSubmit,
		"`POST /v1/stream`, cancel":                         streamCancel,
		"`POST /v1/stream`, watch":                          streamWatch,
		"`GET /v1/tasks/{task_id}`":                         byID("GET", ""),
		"`DELETE /v1/tasks/{task_id}`":                      byID("DELETE", ""),
		"`GET /v1/tasks/{task_id}/result`":                  byID("GET", "/result"),
		"`GET /v1/tasks/{task_id}/events`":                  byID("GET", "/events"),
		"`POST /v1/tasks/{task_id}/rerun`":                  byID("POST", "/rerun"),
		"`GET /v1/tasks`, by its label":                     counted("GET", label),
		"`GET /v1/tasks`, by its batch":                     counted("GET", batch),
		"`DELETE /v1/tasks`, by its label":                  counted("DELETE", label),
		"`DELETE /v1/tasks`, by its batch":                  counted("DELETE", batch),
		"`GET /v1/batches/{batch_id}`":                      byBatch(""),
		"`GET /v1/batches/{batch_id}/results`":              byBatch("/results"),
	}
	columns, table := rows(t, "| call | own |")
	a := newAnswers(t, 0)
	subjects := a.subjects()
	if len(columns) != len(subjects) || len(table) != len(calls) {
		t.Errorf("%d columns and %d rows, of which %d and %d can be executed", len(columns), len(table), len(subjects), len(calls))
	}
	for call, wanted := range table {
		do := calls[call]
		if do == nil || len(wanted) != len(columns) {
			t.Errorf("%s can't be executed", call)
			continue
		}
		for i, column := range columns {
			uid := caller
			if strings.HasSuffix(column, "who may not submit") {
				uid = outsider
			}
			if got := do(t, a.as(uid), uid, subjects[column]()); got != wanted[i] {
				t.Errorf("%s, %s: %s, and the page says %s", call, column, got, wanted[i])
			}
		}
	}
}
