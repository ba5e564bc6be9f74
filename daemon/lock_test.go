package daemon_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const effectsList = "*cpulb/daemon/effects.List"

// lockers are the functions that call a function that they are given under the lock.
var lockers = []string{"do", "aside", "Do", "with", "each", "follow"}

// blocking are the packages of which nothing may be called under the lock, as it may
// block or looks at what only time or the machine decides.
var blocking = []string{"os", "os/exec", "os/user", "io", "log", "net", "net/http", "path/filepath", "syscall", "golang.org/x/sys/unix",
	"github.com/prometheus/client_golang/prometheus", "cpulb/internal/procfs", "cpulb/plugins/reaper", "cpulb/plugins/supervisor", "cpulb/plugins/cgroup"}

// forbidden are single functions of other packages.
var forbidden = regexp.MustCompile(`^(hclog\.(Inter)?(ceptLogger|Logger)\..*|time\.Sleep|sync\.(RW)?Mutex\.R?Lock|sync\.WaitGroup\.Wait|sync\.Cond\.Wait|sync\.Once\.Do|` +
	`journal\.Journal\..*|task\.Watcher\.PassOn|plugins\.Conn\..*|fleet\.Process\..*|fleet\.(Conn|Launcher)\..*|fleet\.Fleet\.(Start|Stop|Restart|Stacks|Reports|NewRollout)|fleet\.Rollout\.(Prove|Roll|Discard)|fleet\.NewLayout)$`)

// harmless are functions of blocking packages, or forbidden ones, that may be called all
// the same, and why.
var harmless = map[string]string{
	"os.Getpid":                "reads a number",
	"journal.Journal.Waiting":  "reads a number",
	"journal.Journal.Troubled": "reads a flag",

	"fleet.Conn.Shares": "is kept since the start",
	"fleet.Conn.Recall": "is a compare-and-swap",
	"fleet.Conn.Fate":   "reads a word",

	"fleet.Process.PID":         "is kept since the start",
	"fleet.Process.Runtime":     "is kept since the start",
	"fleet.Process.CPUsAllowed": "is kept since the start",
	"fleet.Process.MemoryLimit": "is kept since the start",
	"fleet.Process.Slot":        "is kept since the start",

	// A figure that is counted after the lock would come after the Result that clients
	// see. These wait for nothing but each other, and a scrape that reads them does not
	// wait for the engine meanwhile.
	"prometheus.Counter.Inc":                  "is atomic",
	"prometheus.Observer.Observe":             "is atomic",
	"prometheus.CounterVec.WithLabelValues":   "finds a figure, under a lock of its own",
	"prometheus.HistogramVec.WithLabelValues": "finds a figure, under a lock of its own",
	"prometheus.NewDesc":                      "makes a value",
	"prometheus.MustNewConstMetric":           "makes a value",
}

// Nothing that can block happens under the engine's lock: no log line, no file, no
// channel, no process, no other lock.
func TestNothingBlocksUnderTheLock(t *testing.T) {
	for _, problem := range underLock(t, "cpulb/daemon", "*.go", "owner") {
		t.Error(problem)
	}
	for _, problem := range underLock(t, "cpulb/daemon/fleet", "fleet/*.go", "Pool", "Seat", "Worker", "Slot", "Place", "Lane", "isolation") {
		t.Error(problem)
	}
}

func TestWhatBlocksUnderTheLockIsFound(t *testing.T) {
	found := underLock(t, "cpulb/daemon", "testdata/lock/*.go")
	text, err := os.ReadFile("testdata/lock/lock.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i, line := range strings.Split(string(text), "\n") {
		if what := regexp.MustCompile(`// (\w+\.[\w.]+|send|receive|select|go|do)$`).FindStringSubmatch(line); what != nil {
			want = append(want, fmt.Sprintf("testdata/lock/lock.go:%d: %s", i+1, what[1]))
		}
	}
	slices.Sort(want)
	slices.Sort(found)
	if len(want) < 12 || !slices.Equal(found, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(found, "\n"), strings.Join(want, "\n"))
	}
}

// underLock returns what of a package's files, read from a pattern, breaks the rule. All
// methods of core are called under the lock.
func underLock(t *testing.T, path, pattern string, core ...string) []string {
	t.Helper()
	s := &search{fset: token.NewFileSet(), core: core, seen: map[ast.Node]bool{}, bodies: map[types.Object]*ast.BlockStmt{}}
	s.info = types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(s.fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	check := types.Config{Importer: importer.ForCompiler(s.fset, "gc", exports(t))}
	if s.pkg, err = check.Check(path, s.fset, files, &s.info); err != nil {
		t.Fatal(err)
	}
	s.functions(files)
	for _, f := range files {
		ast.Inspect(f, s.roots)
	}
	return s.found
}

// exported are the compiled forms of all that the engine, and so its fleet, import.
var exported = sync.OnceValues(func() (map[string]string, error) {
	// As make build compiles them: so they are there already.
	c := exec.Command("go", "list", "-trimpath", "-export", "-deps", "-json=ImportPath,Export", "cpulb/daemon")
	c.Env = append(os.Environ(), "GOEXPERIMENT=", "CGO_ENABLED=0")
	c.Stderr = os.Stderr
	text, err := c.Output()
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(text))); ; {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return files, nil
		} else if err != nil {
			return nil, err
		}
		files[p.ImportPath] = p.Export
	}
})

// exports finds them for the type checker.
func exports(t *testing.T) importer.Lookup {
	t.Helper()
	files, err := exported()
	if err != nil {
		t.Fatal(err)
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(files[path]) }
}

// search follows what is called under the lock.
type search struct {
	fset   *token.FileSet
	core   []string
	pkg    *types.Package
	info   types.Info
	bodies map[types.Object]*ast.BlockStmt
	seen   map[ast.Node]bool
	found  []string
}

func (s *search) functions(files []*ast.File) {
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				s.bodies[s.info.Defs[fn.Name]] = fn.Body
			}
		}
	}
}

// roots begins where the lock is held: in functions that say so, and in those that
// are given to a locker.
func (s *search) roots(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		signature := s.info.Defs[n.Name].Type().(*types.Signature)
		if strings.HasSuffix(n.Name.Name, "Locked") || hasList(signature) || s.isCore(signature, n.Name.Name) {
			s.walk(n.Body)
		}
	case *ast.CallExpr:
		if callee := s.callee(n); callee != nil && callee.Pkg() == s.pkg && slices.Contains(lockers, callee.Name()) {
			for _, arg := range n.Args {
				if f, ok := arg.(*ast.FuncLit); ok {
					s.walk(f.Body)
				}
			}
		}
	}
	return true
}

// isCore reports whether a method belongs to what is called under the lock. A slot is an
// effects.Sender besides, which is called after it.
func (s *search) isCore(f *types.Signature, name string) bool {
	if f.Recv() == nil || name == "Send" || name == "Do" {
		return false
	}
	receiver := types.TypeString(f.Recv().Type(), func(*types.Package) string { return "" })
	return slices.Contains(s.core, strings.TrimPrefix(receiver, "*"))
}

func hasList(f *types.Signature) bool {
	for v := range f.Params().Variables() {
		if v.Type().String() == effectsList {
			return true
		}
	}
	return false
}

func (s *search) callee(call *ast.CallExpr) *types.Func {
	var id *ast.Ident
	switch f := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		id = f
	case *ast.SelectorExpr:
		id = f.Sel
	case *ast.IndexExpr:
		id, _ = f.X.(*ast.Ident)
	}
	if id == nil {
		return nil
	}
	f, _ := s.info.Uses[id].(*types.Func)
	if f != nil {
		f = f.Origin()
	}
	return f
}

func (s *search) report(at ast.Node, what string) {
	p := s.fset.Position(at.Pos())
	s.found = append(s.found, fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, what))
}

// walk looks at code that runs under the lock.
func (s *search) walk(body ast.Node) {
	if body == nil || s.seen[body] {
		return
	}
	s.seen[body] = true
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			s.report(n, "go")
			return false
		case *ast.SendStmt:
			s.report(n, "send")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				s.report(n, "receive")
			}
		case *ast.RangeStmt:
			if _, ok := s.info.TypeOf(n.X).Underlying().(*types.Chan); ok {
				s.report(n, "receive")
			}
		case *ast.SelectStmt:
			s.selects(n)
			return false
		case *ast.CallExpr:
			return s.call(n)
		}
		return true
	})
}

// selects allows what a default keeps from blocking.
func (s *search) selects(n *ast.SelectStmt) {
	blocks := true
	for _, c := range n.Body.List {
		c := c.(*ast.CommClause)
		blocks = blocks && c.Comm != nil
		for _, statement := range c.Body {
			s.walk(statement)
		}
	}
	if blocks {
		s.report(n, "select")
	}
}

// call judges one call, and reports whether its arguments are evaluated under the
// lock, too.
func (s *search) call(n *ast.CallExpr) bool {
	f := s.callee(n)
	if f == nil || f.Pkg() == nil {
		return true
	}
	if f.Pkg() == s.pkg && (f.Name() == "do" || f.Name() == "Do" || f.Name() == "aside") {
		s.report(n, "do")
		return true
	}
	if body, ok := s.bodies[f]; ok {
		s.walk(body)
		if f.Name() == "start" || f.Name() == "ask" { // has a goroutine begin after the lock, or is called back then
			return s.later(n)
		}
		return true
	}
	name := f.Pkg().Name() + "." + f.Name()
	if r := f.Signature().Recv(); r != nil {
		receiver := strings.TrimPrefix(types.TypeString(r.Type(), (*types.Package).Name), "*")
		if receiver == "effects.List" || receiver == "sync.WaitGroup" && f.Name() == "Go" {
			return s.later(n)
		}
		name = receiver + "." + f.Name()
	}
	switch {
	case name == "time.AfterFunc":
		return s.later(n)
	case name == "journal.Journal.Append", name == "journal.Journal.Add": // they take what they are given without waiting, and call back later
		return s.later(n)
	case harmless[name] != "":
	case forbidden.MatchString(name), slices.Contains(blocking, f.Pkg().Path()):
		s.report(n, name)
	}
	return true
}

// later looks at a call of what runs a function after the lock: the function is not
// looked at, but all other arguments are evaluated at once.
func (s *search) later(n *ast.CallExpr) bool {
	for _, arg := range n.Args {
		if _, ok := ast.Unparen(arg).(*ast.FuncLit); !ok {
			s.walk(arg)
		}
	}
	return false
}
