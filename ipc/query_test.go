package ipc

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"cpulb/internal/alloctest"
)

// FuzzQuery: whatever the query, and the header beside it, they are understood or refused
// by a parameter's name, in memory that is bounded by their size.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "status=queued,running&label=a=1&limit=5&order=newest", "label=%ff", "a=1;b=2", "wait=1s&wait=2s", "%zz", "after=1.2&after=1.3", "batch=&all=true",
		strings.Repeat("status=queued&", 500), strings.Repeat("&a", 3000), "label=" + strings.Repeat("=", 3000)} {
		f.Add(seed, "1.5")
	}
	f.Fuzz(func(t *testing.T, text, last string) {
		r := &http.Request{URL: &url.URL{RawQuery: text}, Header: http.Header{"Last-Event-Id": {last}}}
		alloctest.Within(t, 128<<10+400*(len(text)+len(last)), func() {
			for _, read := range []func() error{
				func() error { _, _, err := selection(r, "limit", "after", "order"); return err },
				func() error { _, err := duration(r, "wait"); return err },
				func() error { _, err := cursor(r); return err },
			} {
				var wrong *requestError
				if err := read(); err != nil && (!errors.As(err, &wrong) || wrong.code != codeBadQuery || len(wrong.detail) > 1000 || !utf8.ValidString(wrong.detail)) {
					t.Fatalf("%q: %v", text, err)
				}
			}
		})
	})
}
