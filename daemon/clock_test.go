package daemon_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Nothing reads a clock beside the two of clock.go; timers are tests' own in a bubble.
func TestThereAreTwoClocksAndNoOther(t *testing.T) {
	readers := 0
	for _, pattern := range []string{"*.go", "ledger/*.go", "queue/*.go", "schedule/*.go", "access/*.go", "effects/*.go", "fleet/*.go", "fleet/lifecycle/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				x, _ := s.X.(*ast.Ident)
				if x == nil || x.Name != "time" || !slices.Contains([]string{"Now", "Since", "Until"}, s.Sel.Name) {
					return true
				}
				if readers++; name != "clock.go" && s.Sel.Name != "Now" || name != "clock.go" && name != "engine.go" {
					t.Errorf("%s reads a clock of its own by time.%s", name, s.Sel.Name)
				}
				return true
			})
		}
	}
	if readers < 2 {
		t.Error("nobody reads a clock: this test can't see what it looks for")
	}
}
