package dashboard

import (
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"

	"cpulb/daemon/task"
)

// passed are the calls that are passed on to the daemon. No other reaches it.
func passed() []string {
	return []string{
		"GET /v1/status",
		"GET /v1/workers",
		"GET /v1/workers/{worker_id}/stacks",
		"GET /v1/executors",
		"GET /v1/schedules",
		"GET /v1/tasks",
		"GET /v1/tasks/{task_id}",
		"GET /v1/tasks/{task_id}/result",
		"GET /v1/tasks/{task_id}/events",
		"DELETE /v1/tasks/{task_id}",
		"POST /v1/tasks/{task_id}/rerun",
	}
}

// calls answers the page's calls, for who has the token.
func (d *Dashboard) calls() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /dashboard/state", d.observer.serve)
	mux.HandleFunc("GET /dashboard/script", d.observer.serveScript)
	proxy := d.proxy()
	for _, pattern := range passed() {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if id := r.PathValue("task_id"); id != "" {
				if _, err := task.ParseID(id); err != nil { // which could lead to another path
					refuse(w, http.StatusNotFound, "task_not_found", "this is not the id of a task, which is a UUID")
					return
				}
			}
			proxy.ServeHTTP(w, r)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "no_such_route", "the dashboard does not pass this call on")
	})
	return mux
}

// proxy passes a request on without its body, which none of the calls has, and without
// headers but those that choose the form of an answer. What has no length, as events, is
// flushed at once.
func (d *Dashboard) proxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: d.transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL = &url.URL{Scheme: "http", Host: "cpulb", Path: p.In.URL.Path, RawPath: p.In.URL.RawPath, RawQuery: p.In.URL.RawQuery}
			p.Out.Host = "cpulb"
			p.Out.Header = http.Header{}
			for _, name := range []string{"Accept", "Last-Event-Id"} {
				if v := p.In.Header.Values(name); v != nil {
					p.Out.Header[name] = v
				}
			}
			p.Out.Header["User-Agent"] = nil
			p.Out.Body, p.Out.ContentLength, p.Out.TransferEncoding = http.NoBody, 0, nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			code, status := "no_daemon", http.StatusBadGateway
			if errors.Is(err, fs.ErrPermission) {
				code, status = "not_allowed", http.StatusForbidden
			}
			refuse(w, status, code, err.Error())
		},
		ErrorLog: log.New(io.Discard, "", 0), // that a browser or the daemon has gone is shown in the page
	}
}
