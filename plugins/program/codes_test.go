package program

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/api.md lists the codes of a result's error: also all that programs and modules end with.
func TestTheCodesOfErrorsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(page), "The codes of a result's `error`:")
	list, _, _ = strings.Cut(list, "\n### ")
	seen := 0
	for _, folder := range []string{".", "../exec", "../wasm"} {
		files, err := filepath.Glob(folder + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			for _, m := range regexp.MustCompile(`(?:[rR]efuse\(|Failed\(|Code: )"(\w+)"`).FindAllSubmatch(text, -1) {
				seen++
				if code := string(m[1]); !strings.Contains(list, "`"+code+"`") {
					t.Errorf("%s: docs/api.md does not list %s", path, code)
				}
			}
		}
	}
	if !found || seen < 20 {
		t.Errorf("%d codes were looked for", seen)
	}
}
