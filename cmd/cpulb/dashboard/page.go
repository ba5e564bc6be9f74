package dashboard

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed page
var embedded embed.FS

// pageFiles serves the page. Its files hold no secret, and need no token.
func pageFiles() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = "index.html"
		}
		kind := kinds()[path.Ext(name)]
		text, err := fs.ReadFile(embedded, "page/"+name)
		switch {
		case err != nil || kind == "":
			refuse(w, http.StatusNotFound, "no_such_route", "there is nothing at this path")
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, "method_not_allowed", "the page's files take GET and HEAD")
		default:
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(text) // an error: the client has gone
		}
	})
}

// kinds are the types of the page's files. The machine's own table may have others.
func kinds() map[string]string {
	return map[string]string{
		".html": "text/html; charset=utf-8",
		".css":  "text/css; charset=utf-8",
		".js":   "text/javascript; charset=utf-8",
		".svg":  "image/svg+xml",
	}
}
