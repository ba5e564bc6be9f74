package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cpulb/internal/owndaemon"
	"cpulb/internal/programs"
	"cpulb/ipc/ipctest"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// soon is how long the page has for anything. A busy machine is slow, not wrong.
const soon = 60 * time.Second

// browser is a Chromium with one tab.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu sync.Mutex
	// said is what the console and dialogs have said, asked which addresses were.
	said, asked []string
}

// chromium finds it, or skips the test.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("there is no Chromium: make test-dashboard installs it")
	return ""
}

func openBrowser(t *testing.T) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.WSURLReadTimeout(soon))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root can't have
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1400, 1000)); err != nil { // the browser lives as long as the first context
		t.Fatalf("the browser: %v", err)
	}
	go hear(b, page.JavascriptDialogOpening, func(e page.EventJavascriptDialogOpening) { b.say("a dialog: " + e.Message) })
	go hear(b, network.RequestWillBeSent, func(e network.EventRequestWillBeSent) { b.ask(e.Request.URL) })
	go func() {
		for m, err := range chromedp.Console(ctx) {
			if err != nil {
				return
			}
			if m.Source != "network" { // that a daemon is gone is meant to be seen there
				b.say(m.String())
			}
		}
	}()
	return b
}

func (b *browser) say(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = append(b.said, text)
}

func (b *browser) ask(url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, url)
}

// hear calls take with each event of a kind.
func hear[E any](b *browser, kind cdp.Event[E], take func(E)) {
	for e, err := range chromedp.Events(b.ctx, kind) {
		if err != nil {
			return
		}
		take(e)
	}
}

// quiet fails the test if the console or a dialog has said anything.
func (b *browser) quiet(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.said) > 0 {
		t.Errorf("the browser says %q", b.said)
	}
	b.said = nil
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, soon)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("the browser: %v", err)
	}
}

// js returns what a piece of JavaScript is.
func js[T any](t *testing.T, b *browser, text string) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// until waits for a piece of JavaScript to be true.
func (b *browser) until(t *testing.T, text string) {
	t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Poll[bool]("Boolean("+text+")", chromedp.WithPollingTimeout(soon), chromedp.WithPollingInterval(50*time.Millisecond)))
	if err != nil {
		t.Fatalf("%s never comes: %v; the page shows\n%s", text, err, js[string](t, b, "document.body.innerText.slice(0, 2000)"))
	}
}

func (b *browser) key(t *testing.T, key string) {
	t.Helper()
	b.do(chromedp.KeyEvent(key))
}

// width sets how wide the page is, scheme what the system prefers.
func (b *browser) width(px int64) { b.do(chromedp.EmulateViewport(px, 900)) }

func (b *browser) scheme(t *testing.T, name string) {
	t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
	if err != nil {
		t.Fatal(err)
	}
}

// real is a daemon with workers, in a folder of its own.
type real struct {
	t           *testing.T
	dir, socket string
	own         *owndaemon.Daemon
}

func startReal(t *testing.T) *real {
	t.Helper()
	r := &real{t: t, dir: ipctest.Folder(t)}
	r.socket = filepath.Join(r.dir, "s")
	if err := programs.Into(r.dir, "cpulbd", "cpulb-python"); err != nil {
		t.Fatal(err)
	}
	for name, text := range realScripts() {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	config := "pool \"cpu\" {\n  executor = \"python\"\n  task_types = [\"cpu_bound\"]\n  workers = 1\n}\n" +
		"pool \"io\" {\n  executor = \"python\"\n  task_types = [\"io_bound\"]\n  workers = 1\n  threads = 20\n}\n"
	if err := os.WriteFile(filepath.Join(r.dir, "config.hcl"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	r.start()
	t.Cleanup(func() { r.own.Kill() })
	return r
}

func (r *real) start() {
	r.t.Helper()
	cmd := exec.Command(filepath.Join(r.dir, "cpulbd"), "-private", "-config", filepath.Join(r.dir, "config.hcl"), "-socket", r.socket,
		"-state-dir", filepath.Join(r.dir, "state"))
	var err error
	if r.own, err = owndaemon.Start(r.t.Context(), cmd, &owndaemon.Log{}); err != nil {
		r.t.Fatal(err)
	}
}

// hostile is a name that would do harm as markup.
const hostile = `<img src=x onerror=alert(1)>.py`

func realScripts() map[string]string {
	return map[string]string{
		"double.py": "def main(params, context):\n    return {'value': params['value'] * 2, 'exact': 12345678901234567890}\n",
		"steps.py": `import time
def main(params, context):
    for i in range(params["n"]):
        context.progress((i + 1) / params["n"], f"step {i + 1}")
        context.log.info(f"at {i}")
        print("<b>printed</b>", i)
        yield i
        time.sleep(0.05)
`,
		"flood.py": "def main(params, context):\n    for i in range(20000):\n        context.log.info('at %d' % i)\n    return 'x' * 3000000\n",
		hostile: `import sys
def main(params, context):
    print("<script>alert(2)</script><img src=x onerror=alert(3)> \u202eturned")
    print("<style>body{display:none}</style>", file=sys.stderr)
    context.log.warning("<img src=x onerror=alert(4)>")
    context.progress(0.5, "<iframe src=javascript:alert(5)>")
    raise type("<svg onload=alert(6)>", (Exception,), {})("<a href=javascript:alert(7)>x</a>")
`,
	}
}

// post makes a call to the daemon itself.
func (r *real) post(path, kind, body string) string {
	r.t.Helper()
	resp, err := owndaemon.Client(r.socket).Post("http://cpulb"+path, kind, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text := readAll(r.t, resp)
	if resp.StatusCode >= http.StatusBadRequest {
		r.t.Fatalf("%s: %s %s", path, resp.Status, text)
	}
	return text
}

// submit submits a task and returns its id.
func (r *real) submit(script, fields string) string {
	r.t.Helper()
	answer := r.post("/v1/tasks", "application/json", fmt.Sprintf(`{"script_path":%q%s}`, filepath.Join(r.dir, script), fields))
	return between(answer, `"task_id":"`, `"`)
}

// open serves a dashboard of the daemon on a socket and shows it.
func (b *browser) open(t *testing.T, socket string) *Dashboard {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := New(socket)
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx, l) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	b.do(chromedp.Navigate(d.Address(l)))
	return d
}
