package dashboard

import (
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"cpulb/daemon/api"
)

// policy is what a browser holds the page to: it loads and calls nothing but this server, no
// other page can show it, and foreign text can't become markup, whatever the page's code does
// (require-trusted-types-for).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// handler answers everything.
func (d *Dashboard) handler() http.Handler {
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, "other_origin", "another site made this request")
	}))
	mux := http.NewServeMux()
	mux.Handle("/", pageFiles())
	calls := d.calls()
	mux.Handle("/v1/", d.requireToken(calls))
	mux.Handle("/dashboard/", d.requireToken(calls))
	return withPolicy(requireLoopbackHost(origin.Handler(mux)))
}

func withPolicy(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Content-Security-Policy":      policy,
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Referrer-Policy":              "no-referrer",
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
			"Cache-Control":                "no-store",
		} {
			w.Header().Set(name, value)
		}
		h.ServeHTTP(w, r)
	})
}

// requireLoopbackHost refuses requests for a name that merely leads here: a site whose name
// resolves to 127.0.0.1 (DNS rebinding) is the browser's same origin as this server. The port
// may be another one, to which SSH has brought this one.
func requireLoopbackHost(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) {
			refuse(w, http.StatusMisdirectedRequest, "wrong_host", "this is only served as 127.0.0.1, [::1] or localhost")
			return
		}
		h.ServeHTTP(w, r)
	})
}

func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil { // there is no port
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// requireToken lets through who sends the token, as Authorization: Bearer. It is not a cookie:
// browsers send these to every port of a host, also to a server of another user.
func (d *Dashboard) requireToken(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(given), []byte(d.token)) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, "wrong_token", "the token is missing or belongs to another dashboard; open the address that cpulb dashboard has printed")
			return
		}
		h.ServeHTTP(w, r)
	})
}

// refuse answers with a problem of the dashboard's own.
func refuse(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	// An error: the client has gone.
	_ = json.NewEncoder(w).Encode(api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail})
}
