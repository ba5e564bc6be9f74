package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named is every name that the sources declare: functions and types alone and with
// their package, methods and fields with their type.
type named map[string]bool

func (n named) add(parts ...string) { n[strings.Join(parts, ".")] = true }

func (n named) declared(f *ast.File) {
	pkg := f.Name.Name
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			n.add(d.Name.Name)
			if d.Recv == nil {
				n.add(pkg, d.Name.Name)
			} else {
				n.add(receiver(d.Recv.List[0].Type), d.Name.Name)
				n.add(pkg, receiver(d.Recv.List[0].Type), d.Name.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					for _, name := range s.Names {
						n.add(name.Name)
						n.add(pkg, name.Name)
					}
				case *ast.TypeSpec:
					n.add(s.Name.Name)
					n.add(pkg, s.Name.Name)
					n.members(pkg, s)
				}
			}
		}
	}
}

func (n named) members(pkg string, s *ast.TypeSpec) {
	var fields *ast.FieldList
	switch t := s.Type.(type) {
	case *ast.StructType:
		fields = t.Fields
	case *ast.InterfaceType:
		fields = t.Methods
	default:
		return
	}
	for _, f := range fields.List {
		for _, name := range f.Names {
			n.add(s.Name.Name, name.Name)
			n.add(pkg, s.Name.Name, name.Name)
		}
	}
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// python adds the classes and functions of a Python file.
func (n named) python(text string) {
	class := ""
	for _, m := range regexp.MustCompile(`(?m)^(\s*)(class|def|async def) (\w+)`).FindAllStringSubmatch(text, -1) {
		n.add(m[3])
		if m[2] == "class" {
			class = m[3]
		} else if m[1] != "" {
			n.add(class, m[3])
		}
	}
}

// rpcs adds the calls of a service.
func (n named) rpcs(text string) {
	for _, m := range regexp.MustCompile(`(?m)^\s*(?:rpc|message) (\w+)`).FindAllStringSubmatch(text, -1) {
		n.add(m[1])
	}
}

// everyName reads all sources. Test files are among them: pages name tests, too.
func everyName(t *testing.T) named {
	t.Helper()
	names := named{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".go":
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err == nil {
				names.declared(f)
			}
			return err
		case ".py", ".proto":
			text, err := os.ReadFile(path)
			names.python(string(text))
			names.rpcs(string(text))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A backticked name in the pages that describe the code is there: a file or folder, a
// function, a method, a type. In the tables of the data flow, everything in the
// column that says where is such a name.
func TestThePagesNameWhatIsThere(t *testing.T) {
	names := everyName(t)
	path := regexp.MustCompile(`^[a-z][\w-]*(/[\w.*-]+)+$|^\w+\.(go|c|py|proto|json)$`)
	dotted := regexp.MustCompile(`^[A-Za-z]\w*(\.[A-Za-z]\w*)+$`)
	camel := regexp.MustCompile(`^[a-z]+[A-Z]\w*$`)
	settings, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"architecture", "data_flow", "workers", "journal"} {
		text, err := os.ReadFile("../../docs/" + page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		for number, line := range strings.Split(string(text), "\n") {
			where := ""
			if cells := strings.Split(line, "|"); page == "data_flow" && len(cells) == 5 && regexp.MustCompile(`^ \d+\w? $`).MatchString(cells[1]) {
				where = cells[2]
			}
			for _, token := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
				name := token[1]
				switch {
				case name == "slots.sock", name == "journal/log": // which are made at run time
				case path.MatchString(name) && !strings.Contains(name, "/v1"):
					if !fileNamed(name) {
						t.Errorf("docs/%s.md:%d: there is no file %s", page, number+1, name)
					}
				case strings.Contains(string(settings), "`"+name+"`") || strings.HasPrefix(name, "context."):
				case dotted.MatchString(name), camel.MatchString(name), strings.Contains(where, token[0]):
					if !names[name] {
						t.Errorf("docs/%s.md:%d: nothing is called %s", page, number+1, name)
					}
				}
			}
		}
	}
}

// fileNamed reports whether there is a file or folder with this path, or with this end of
// one.
func fileNamed(name string) bool {
	for _, pattern := range []string{name, "*/" + name, "*/*/" + name, "*/*/*/" + name} {
		if found, _ := filepath.Glob("../../" + pattern); len(found) > 0 {
			return true
		}
	}
	return false
}
