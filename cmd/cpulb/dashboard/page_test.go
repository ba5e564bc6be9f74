package dashboard

import (
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// files are the page's, by name.
func files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(embedded, "page", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := embedded.ReadFile(path)
		all[strings.TrimPrefix(path, "page/")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestThePageNeedsNothingButItsOwnFiles(t *testing.T) {
	_, d := record(t)
	all := files(t)
	named := regexp.MustCompile(`(?:from|import|src=|href=)\s*"(?:\./)?([^"#]+)"`)
	used := map[string]bool{"index.html": true}
	for name, text := range all {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if used[m[1]] = true; all[m[1]] == "" {
				t.Errorf("%s names %s", name, m[1])
			}
		}
		text = strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")
		if m := regexp.MustCompile(`(?i)\b(https?:|wss?:)?//[a-z0-9]`).FindString(strings.ReplaceAll(text, "\n//", "")); m != "" && strings.Contains(m, ":") {
			t.Errorf("%s names another site: %s", name, m)
		}
		if w := request(d, "GET", "/"+name, nil); w.Code != http.StatusOK || w.Body.Len() == 0 || !strings.Contains(w.Header().Get("Content-Type"), "/") {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		if lines := strings.Count(text, "\n"); lines > 400 {
			t.Errorf("%s has %d lines", name, lines)
		}
	}
	for name := range all {
		if !used[name] {
			t.Errorf("nothing uses %s", name)
		}
	}
}

// Foreign text becomes text nodes. The browser enforces it, too: see policy.
func TestNoTextBecomesMarkup(t *testing.T) {
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTML|DOMParser|createContextualFragment|\bsrcdoc\b|javascript:| on[a-z]+="| style="`)
	for name, text := range files(t) {
		if m := markup.FindString(text); m != "" {
			t.Errorf("%s has %q", name, m)
		}
	}
	if !strings.Contains(policy, "require-trusted-types-for 'script'") || strings.Contains(policy, "unsafe") {
		t.Error(policy)
	}
}

func TestThePagesFilesAreOnlyRead(t *testing.T) {
	_, d := record(t)
	for _, path := range []string{"/..%2fguard.go", "/page.go", "/page", "/index.html/", "//", "/%2e%2e/"} {
		if w := request(d, "GET", path, nil); w.Code == http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := request(d, "POST", "/main.js", nil); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Errorf("POST: %d", w.Code)
	}
}
