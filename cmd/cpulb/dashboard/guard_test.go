package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cpulb/daemon/api"
	"cpulb/ipc/ipctest"
)

// recorder is a daemon that answers everything and keeps what it was asked.
type recorder struct {
	mu  sync.Mutex
	all []string
}

func record(t *testing.T) (*recorder, *Dashboard) {
	t.Helper()
	r := &recorder{}
	l, socket := ipctest.Listen(t)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		var headers []string
		for name := range req.Header {
			if name != "Content-Length" && name != "Connection" { // which are about the connection alone
				headers = append(headers, name)
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all = append(r.all, strings.TrimSpace(req.Method+" "+req.RequestURI+" "+string(body)+" "+strings.Join(headers, " ")))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{}`)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return r, New(socket)
}

// asked returns what was asked since the last call.
func (r *recorder) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}

// request makes one with the token, which change may change.
func request(d *Dashboard, method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = "127.0.0.1:4242"
	r.Header.Set("Authorization", "Bearer "+d.token)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	d.handler().ServeHTTP(w, r)
	return w
}

func code(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code {
		t.Errorf("%d %q is no problem: %v", w.Code, w.Body, err)
	}
	return p.Code
}

func TestOnlyLoopbackAddressesAreListenedOn(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "127.8.9.1:0", "localhost:0", "LOCALHOST:0", "[::1]:0", "ip6-localhost:0"} {
		l, err := Listen(t.Context(), address)
		if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
			continue // a machine without IPv6
		}
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if ip := l.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
			t.Errorf("%s listens on %s", address, ip)
		}
		l.Close()
	}
	for address, words := range map[string]string{
		"0.0.0.0:0": "other machines could reach it", ":8642": "other machines", "[::]:0": "other machines", "192.168.1.7:80": "other machines",
		"example.org:80": "of names it takes localhost", "[fe80::1%lo]:80": "other machines", "127.0.0.1": "a host and a port", "8642": "a host and a port", "127.0.0.1:99999": "a host and a port", "127.0.0.1:": "a host and a port", "": "a host and a port",
	} {
		l, err := Listen(t.Context(), address)
		if err == nil {
			l.Close()
		}
		if !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), address) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestAPortThatIsTakenIsSaidToBe(t *testing.T) {
	first, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if l, err := Listen(t.Context(), first.Addr().String()); err == nil || errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), "choose another one, or 0") {
		t.Errorf("%v %v", l, err)
	}
}

// Each call that is passed on, with a task's id in its place.
func examples() []string {
	var all []string
	for _, pattern := range passed() {
		pattern = strings.ReplaceAll(pattern, "{task_id}", "01890000-0000-7000-8000-000000000000")
		all = append(all, strings.ReplaceAll(pattern, "{worker_id}", "cpu-0"))
	}
	return all
}

func TestNobodyWithoutTheTokenLearnsOfTheDaemon(t *testing.T) {
	r, d := record(t)
	for _, given := range []string{"", "Bearer ", "Bearer " + d.token[:len(d.token)-1], "Bearer " + d.token + "x", "Bearer " + strings.ToLower(d.token), d.token, "Basic " + d.token} {
		for _, call := range append(examples(), "GET /dashboard/state", "GET /dashboard/script", "GET /v1/no-such-call") {
			method, path, _ := strings.Cut(call, " ")
			w := request(d, method, path, func(r *http.Request) {
				r.Header.Set("Authorization", given)
				r.AddCookie(&http.Cookie{Name: "token", Value: d.token})
				r.URL.RawQuery = "token=" + d.token
			})
			if w.Code != http.StatusUnauthorized || code(t, w) != "wrong_token" || strings.Contains(w.Body.String(), d.token) {
				t.Errorf("%s with %q: %d %s", call, given, w.Code, w.Body)
			}
		}
	}
	if asked := r.asked(); len(asked) > 0 {
		t.Errorf("the daemon was asked %q", asked)
	}
	if w := request(d, "GET", "/", func(r *http.Request) { r.Header.Del("Authorization") }); w.Code != 200 || strings.Contains(w.Body.String(), d.token) {
		t.Errorf("the page itself: %d", w.Code)
	}
	if other := New(d.observer.socket); other.token == d.token || len(d.token) < 26 {
		t.Errorf("tokens: %q %q", other.token, d.token)
	}
}

func TestANameThatMerelyLeadsHereIsRefused(t *testing.T) {
	r, d := record(t)
	for host, want := range map[string]int{
		"127.0.0.1:4242": 200, "localhost": 200, "LOCALHOST:1": 200, "[::1]:4242": 200, "[::1]": 200, // another port: SSH has brought it there
		"evil.example:4242": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example:4242": 421, "0.0.0.0:4242": 421, "192.168.1.7": 421, "": 421,
	} {
		for _, path := range []string{"/", "/v1/status", "/dashboard/state"} {
			if w := request(d, "GET", path, func(r *http.Request) { r.Host = host }); w.Code != want {
				t.Errorf("%s for %q: %d", path, host, w.Code)
			}
		}
	}
	if len(r.asked()) != 5 {
		t.Error("the daemon was asked by a name that is refused")
	}
}

func TestAnotherSiteCantMakeTheBrowserChangeAnything(t *testing.T) {
	r, d := record(t)
	for _, headers := range []map[string]string{
		{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:9999"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
	} {
		for _, call := range examples() {
			method, path, _ := strings.Cut(call, " ")
			if method == "GET" {
				continue
			}
			w := request(d, method, path, func(r *http.Request) {
				for name, value := range headers {
					r.Header.Set(name, value)
				}
			})
			if w.Code != http.StatusForbidden || code(t, w) != "other_origin" {
				t.Errorf("%s with %v: %d %s", call, headers, w.Code, w.Body)
			}
		}
	}
	if asked := r.asked(); len(asked) > 0 {
		t.Errorf("the daemon was asked %q", asked)
	}
	w := request(d, "DELETE", "/v1/tasks/01890000-0000-7000-8000-000000000000", func(r *http.Request) {
		r.Header.Set("Origin", "http://127.0.0.1:4242")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	})
	if w.Code != 200 {
		t.Errorf("the page itself: %d %s", w.Code, w.Body)
	}
}

func TestOnlyTheCallsOfThePageReachTheDaemon(t *testing.T) {
	r, d := record(t)
	for _, call := range examples() {
		method, path, _ := strings.Cut(call, " ")
		w := request(d, method, path+"?a=b%26c", func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"x":1}`)), 7
			r.Header.Set("X-Anything", "1")
			r.Header.Set("Cookie", "a=b")
			r.Header.Set("Accept", "application/x-ndjson")
		})
		if asked := r.asked(); w.Code != 200 || len(asked) != 1 || asked[0] != method+" "+path+"?a=b%26c  Accept" {
			t.Errorf("%s: %d, the daemon was asked %q", call, w.Code, asked)
		}
	}
	for _, call := range []string{
		"POST /v1/tasks", "POST /v1/batches", "POST /v1/stream", "DELETE /v1/tasks?all=true", "POST /v1/drain", "POST /v1/resume", "POST /v1/reload", "GET /metrics",
		"POST /v1/workers/cpu-0/restart", "POST /v1/executors/python/swap", "POST /v1/executors/python/rollback", "GET /debug/pprof/", "GET /v1/openapi.json",
		"GET /v1/tasks/../drain", "POST /v1/tasks/..%2fdrain/rerun", "POST /v1/tasks/..%2f..%2fv1%2fdrain%3f/rerun", "DELETE /v1/tasks/%2e%2e", "DELETE /v1/tasks/",
		"GET /v1/tasks/banana", "DELETE /v1/tasks/01890000-0000-7000-8000-000000000000%2f..%2f..%2fdrain", "GET http://cpulb/v1/drain", "GET /dashboard/other",
	} {
		method, path, _ := strings.Cut(call, " ")
		w := request(d, method, path, nil)
		if asked := r.asked(); w.Code < 300 || len(asked) > 0 {
			t.Errorf("%s: %d, the daemon was asked %q", call, w.Code, asked)
		}
	}
	// What a worker's name leads to is still a path of the daemon that shows stacks.
	request(d, "GET", "/v1/workers/..%2f..%2fdrain/stacks", nil)
	if asked := r.asked(); len(asked) != 1 || !strings.HasPrefix(asked[0], "GET /v1/workers/..%2f..%2fdrain/stacks") {
		t.Errorf("the daemon was asked %q", asked)
	}
}

func TestABrowserIsToldToHoldThePageBack(t *testing.T) {
	_, d := record(t)
	for _, path := range []string{"/", "/main.js", "/no-such-file", "/v1/status", "/v1/drain"} {
		h := request(d, "GET", path, nil).Header()
		for name, part := range map[string]string{"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"X-Frame-Options": "DENY", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"} {
			if !strings.Contains(h.Get(name), part) {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s lets other sites read", path)
		}
	}
}

func TestTheServerEndsWithItsContext(t *testing.T) {
	_, d := record(t)
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Serve(ctx, l) }()
	resp, err := http.Get(strings.Split(d.Address(l), "#")[0])
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}
