package dashboard

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"cpulb/ipc"
	"cpulb/ipc/ipctest"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// between returns what of text is between two others.
func between(text, before, after string) string {
	_, text, _ = strings.Cut(text, before)
	text, _, _ = strings.Cut(text, after)
	return text
}

// find enters text where tasks are found, as a person does.
func (b *browser) find(t *testing.T, text string) {
	t.Helper()
	b.key(t, "/")
	b.until(t, `document.activeElement.id === "find-text"`)
	js[any](t, b, `document.getElementById("find-text").select()`)
	b.key(t, text+kb.Enter)
}

// One browser and one daemon serve all of these, in their order.
func TestThePageInABrowser(t *testing.T) {
	if os.Getenv("CPULB_BROWSER") == "" {
		t.Skip("make test-dashboard runs it: it takes a browser, and about half a minute")
	}
	b, r := openBrowser(t), startReal(t)
	done := r.submit("double.py", `,"params":{"value":21},"labels":{"customer":"7"}`)
	b.open(t, r.socket)
	b.until(t, `document.querySelectorAll("#worker-rows tr").length === 2 && document.querySelectorAll("#task-rows tr").length === 1`)
	t.Run("ShowsTheDaemonAndCallsNobodyElse", func(t *testing.T) { showsTheDaemon(t, b) })
	t.Run("ForeignTextIsText", func(t *testing.T) { foreignTextIsText(t, b, r) })
	t.Run("WorksByKeyboard", func(t *testing.T) { worksByKeyboard(t, b, done) })
	t.Run("FollowsATaskCancelsItAndRunsItAgain", func(t *testing.T) { followsATask(t, b, r) })
	t.Run("IsLightOrDarkAndLegible", func(t *testing.T) { isLegible(t, b) })
	t.Run("FitsANarrowScreen", func(t *testing.T) { fitsNarrow(t, b) })
	t.Run("StaysQuickWithTenThousandTasks", func(t *testing.T) { staysQuick(t, b, r) })
	t.Run("OutlivesTheDaemon", func(t *testing.T) { outlivesTheDaemon(t, b, r) })
	t.Run("SaysWhatTheUserMayNot", func(t *testing.T) { saysRights(t, b) })
	t.Run("SaysThatItHasNoToken", func(t *testing.T) { saysNoToken(t, b, r) })
}

func showsTheDaemon(t *testing.T, b *browser) {
	b.until(t, `document.getElementById("daemon-text").textContent === "running"`)
	for _, text := range map[string]string{
		"a worker":          `document.getElementById("worker-rows").innerText.includes("cpu-0")`,
		"its CPU":           `/CPU \d/.test(document.getElementById("worker-rows").innerText)`,
		"the task":          `document.getElementById("task-rows").innerText.includes("double.py")`,
		"the queue":         `document.getElementById("tiles").innerText.includes("of 100,000")`,
		"charts":            `document.querySelectorAll(".chart svg path").length >= 3`,
		"no token":          `location.hash === "" && location.search === ""`,
		"no right to eval":  `(() => { try { document.body.innerHTML = "<b>x</b>"; return false } catch (e) { return e instanceof TypeError } })()`,
		"labelled controls": `[...document.querySelectorAll("button, input, [role]")].every((e) => e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length || ["notice", "said", "theme"].includes(e.id) || e.closest("[hidden]"))`,
	} {
		b.until(t, text)
	}
	b.until(t, `document.getElementById("script-rows").innerText.includes("double.py")`)
	origin := js[string](t, b, "location.origin")
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, url := range b.asked {
		if !strings.HasPrefix(url, origin+"/") && !strings.HasPrefix(url, "about:") || strings.Contains(strings.SplitN(url, "#", 2)[0], "token") {
			t.Errorf("the page has asked for %s", url)
		}
	}
	if len(b.asked) < 10 {
		t.Errorf("of the requests %d were seen", len(b.asked))
	}
	b.said = nil // of the innerHTML above, which the browser reports
}

func foreignTextIsText(t *testing.T, b *browser, r *real) {
	id := r.submit(hostile, `,"labels":{"<b>name</b>":"<i>value</i>"}`)
	b.find(t, id)
	b.until(t, `document.getElementById("story").innerText.includes("Traceback")`)
	for _, text := range []string{hostile, "<svg onload=alert(6)>", "<a href=javascript:alert(7)>x</a>", "<img src=x onerror=alert(4)>", "<script>alert(2)</script>",
		"<style>body{display:none}</style>", `\u{202e}turned`, "<b>name</b>=<i>value</i>"} {
		if !js[bool](t, b, fmt.Sprintf("document.getElementById('story').innerText.includes(%q)", text)) {
			t.Errorf("%s is not shown", text)
		}
	}
	b.key(t, kb.Escape)
	b.until(t, `document.getElementById("script-rows").innerText.includes("<img src=x")`)
	js[any](t, b, `document.querySelector("#script-orders button:nth-child(2)").click()`) // failing
	b.until(t, `document.getElementById("script-rows").innerText.includes("<svg onload=alert(6)>: <a href=javascript:alert(7)>x</a>")`)
	js[any](t, b, `[...document.querySelectorAll("#script-rows button")].find((e) => e.textContent.includes("<img")).click()`)
	b.until(t, `document.getElementById("script").innerText.includes("<svg onload=alert(6)>")`)
	if n := js[int](t, b, `document.querySelectorAll("img, iframe, body style, body script, main a, dialog a").length`); n != 0 {
		t.Errorf("%d elements were made of foreign text", n)
	}
	b.key(t, kb.Escape)
	js[any](t, b, `document.querySelector("#script-orders button").click()`)
	b.quiet(t)
}

func worksByKeyboard(t *testing.T, b *browser, id string) {
	js[any](t, b, `document.querySelector(".skip").focus()`)
	var met []string
	for range 16 { // through the header and the choices, in the order of the page
		b.key(t, kb.Tab)
		met = append(met, js[string](t, b, `document.activeElement.getAttribute("aria-label") || document.activeElement.textContent.trim() || document.activeElement.id`))
		if style := js[string](t, b, `getComputedStyle(document.activeElement).outlineStyle + " " + getComputedStyle(document.activeElement).outlineWidth`); style != "solid 2px" {
			t.Errorf("%q has the focus and shows it by %s", met[len(met)-1], style)
		}
	}
	all := strings.Join(met, "|")
	for _, part := range []string{"Theme", "Keys", "5 min|15 min|1 h|Tasks|Tasks a second|Wait for a slot", "cpu-0"} {
		if !strings.Contains(all, part) {
			t.Errorf("by Tab one meets %s, not %s", all, part)
		}
	}
	b.find(t, "customer=7")
	b.until(t, `document.querySelectorAll("#task-rows tr").length === 1 && document.getElementById("tasks-note").textContent.includes("customer=7")`)
	js[any](t, b, `document.activeElement.blur()`)
	b.key(t, "j")
	b.until(t, `document.activeElement.textContent === "double.py"`)
	b.key(t, kb.Enter)
	b.until(t, `document.getElementById("story").open && document.getElementById("story").innerText.includes("12345678901234567890")`)
	if !js[bool](t, b, fmt.Sprintf(`document.getElementById("story").innerText.includes(%q) && document.getElementById("story").contains(document.activeElement)`, id)) {
		t.Error("the dialog has another task, or not the focus")
	}
	b.key(t, kb.Escape)
	b.until(t, `!document.getElementById("story").open && document.activeElement.textContent === "double.py"`)
	b.key(t, "?")
	b.until(t, `document.getElementById("help").open && document.getElementById("help").innerText.includes("cancel the task")`)
	b.key(t, kb.Escape)
	b.find(t, kb.Backspace)
	js[any](t, b, `(() => { const e = document.getElementById("find-text"); e.value = ""; e.dispatchEvent(new Event("input")); e.blur() })()`)
	js[any](t, b, `document.querySelector(".frame").focus()`)
	b.key(t, kb.ArrowLeft)
	b.until(t, `document.querySelector(".frame").getAttribute("aria-valuetext").includes(" ago: waiting ")`)
	b.quiet(t)
}

func followsATask(t *testing.T, b *browser, r *real) {
	id := r.submit("steps.py", `,"params":{"n":100000}`)
	js[any](t, b, `document.activeElement.blur()`)
	b.find(t, id)
	b.until(t, `document.querySelector("#story .state").dataset.state === "running"`)
	b.until(t, `document.querySelectorAll("#story .events li").length > 12`)
	b.until(t, `document.querySelector("#story .progress").innerText.includes("step")`)
	b.until(t, `document.getElementById("worker-rows").innerText.includes("steps.py")`)
	b.until(t, `/^<b>printed<.b> 0\n<b>printed<.b> 1\n/.test(document.querySelector("#story pre.output").innerText)`) // while it runs
	if js[int](t, b, `document.querySelectorAll("#story pre.output").length`) != 1 {
		t.Error("a stream to which nothing was printed is shown")
	}
	b.key(t, "c")
	b.until(t, `document.activeElement.textContent === "Cancel the task"`)
	b.key(t, kb.Enter)
	b.until(t, `document.querySelector("#story .state").dataset.state === "cancelled"`)
	b.until(t, `document.activeElement.closest("#story") && document.querySelector("#story .failure")`)
	b.until(t, `[...document.querySelectorAll("#story pre.output")].filter((pre) => pre.innerText.startsWith("<b>printed</b> 0\n")).length === 1`) // the result's alone
	b.key(t, "r")
	b.until(t, fmt.Sprintf(`document.querySelector("#story code").textContent !== %q && document.querySelector("#story .state").dataset.state === "running"`, id))
	again := js[string](t, b, `document.querySelector("#story code").textContent`)
	b.key(t, "c")
	b.until(t, `document.activeElement.textContent === "Cancel the task"`)
	js[any](t, b, `document.querySelector("#story .question button:last-child").click()`)
	b.until(t, `document.querySelector("#story .question").hidden`)
	if state := js[string](t, b, `document.querySelector("#story .state").dataset.state`); state != "running" {
		t.Errorf("a task that is kept is %s", state)
	}
	b.key(t, "c"+kb.Enter)
	b.until(t, `document.querySelector("#story .state").dataset.state === "cancelled"`)
	b.key(t, kb.Escape)
	id = r.submit("flood.py", "")
	b.find(t, id)
	b.until(t, `document.querySelector("#story .state").dataset.state === "completed" && document.querySelectorAll("#story .events li").length === 500`)
	b.until(t, `document.querySelector("#story .events li:last-child").innerText.includes("result") && document.querySelector("#story").innerText.includes("earlier ones are not shown")`)
	b.key(t, kb.Escape)
	if again == id {
		t.Error("the task itself was run again")
	}
	b.quiet(t)
}

// contrast returns the worst contrast of any text that is shown to what is behind it, by
// WCAG, and whose it is.
const contrast = `(() => {
  const channel = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const mix = (colors) => { canvas.clearRect(0, 0, 1, 1); for (const c of colors) { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); } return canvas.getImageData(0, 0, 1, 1).data; };
  const light = (d) => 0.2126 * channel(d[0] / 255) + 0.7152 * channel(d[1] / 255) + 0.0722 * channel(d[2] / 255);
  let worst = [99, ""];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n = walk.nextNode(); n; n = walk.nextNode()) {
    const e = n.parentElement;
    if (!n.data.trim() || !e.checkVisibility() || e.closest(".unseen, :disabled, noscript")) continue;
    const behind = [];
    for (let a = e; a; a = a.parentElement) behind.unshift(getComputedStyle(a).backgroundColor);
    const own = e instanceof SVGElement ? getComputedStyle(e).fill : getComputedStyle(e).color;
    const [a, b] = [light(mix(behind)), light(mix([...behind, own]))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst[0]) worst = [ratio, e.tagName + " " + n.data.trim() + " " + own];
  }
  return worst[0].toFixed(2) + " " + worst[1];
})()`

func isLegible(t *testing.T, b *browser) {
	background := func() string { return js[string](t, b, `getComputedStyle(document.documentElement).backgroundColor`) }
	seen := map[string]bool{}
	check := func(why string) {
		t.Helper()
		seen[background()] = true
		var ratio float64
		worst := js[string](t, b, contrast)
		if _, err := fmt.Sscan(worst, &ratio); err != nil || ratio < 4.5 {
			t.Errorf("%s: the contrast of %s", why, worst)
		}
	}
	b.scheme(t, "light")
	check("a light system")
	light := background()
	b.scheme(t, "dark")
	check("a dark system")
	dark := background()
	if len(seen) != 2 {
		t.Errorf("light and dark are %v", seen)
	}
	js[any](t, b, `document.activeElement.blur()`)
	for _, want := range []string{light, dark, dark} { // light, dark, and as the system
		b.key(t, "t")
		if got := background(); got != want {
			t.Errorf("%s is %s, not %s", js[string](t, b, `document.getElementById("theme").textContent`), got, want)
		}
	}
	b.find(t, "customer=7")
	b.until(t, `document.querySelectorAll("#task-rows tr").length === 1`)
	js[any](t, b, `document.querySelector("#task-rows button").click()`)
	b.until(t, `document.getElementById("story").innerText.includes("Returned")`)
	check("a task, dark")
	b.scheme(t, "light")
	check("a task, light")
	b.key(t, kb.Escape)
	js[any](t, b, `(() => { const e = document.getElementById("find-text"); e.value = ""; e.dispatchEvent(new Event("input")); e.blur() })()`)
	b.quiet(t)
}

func fitsNarrow(t *testing.T, b *browser) {
	defer b.width(1400)
	for _, px := range []int64{320, 390, 800, 1400, 2560} {
		b.width(px)
		b.until(t, fmt.Sprintf("innerWidth === %d && document.documentElement.scrollWidth <= innerWidth", px))
	}
	b.quiet(t)
}

func staysQuick(t *testing.T, b *browser, r *real) {
	r.post("/v1/batches", "application/x-ndjson", strings.Repeat(fmt.Sprintf("{\"script_path\":%q,\"params\":{\"value\":1}}\n", r.dir+"/double.py"), 10_000))
	b.until(t, `document.getElementById("scripts").innerText.includes("200")`)
	b.until(t, `document.querySelectorAll("#task-rows tr").length === 50 && !document.getElementById("tasks-more").hidden`)
	for js[bool](t, b, `!document.getElementById("tasks-more").hidden`) {
		rows := js[int](t, b, `document.querySelectorAll("#task-rows tr").length`)
		js[any](t, b, `document.getElementById("tasks-more").click()`)
		b.until(t, fmt.Sprintf(`document.querySelectorAll("#task-rows tr").length > %d`, rows))
	}
	if rows := js[int](t, b, `document.querySelectorAll("#task-rows tr").length`); rows != 1000 {
		t.Errorf("%d tasks are shown", rows)
	}
	b.until(t, `document.getElementById("tasks-note").textContent.includes("there are more")`)
	js[any](t, b, `document.querySelector("#states button:nth-child(5)").click()`) // failed
	b.until(t, `document.querySelectorAll("#task-rows tr").length === 1 && document.getElementById("task-rows").innerText.includes("<img")`)
	js[any](t, b, `document.querySelector("#states button").click()`)
	b.until(t, `document.querySelectorAll("#task-rows tr").length === 50`)
	b.quiet(t)
}

func outlivesTheDaemon(t *testing.T, b *browser, r *real) {
	id := r.submit("steps.py", `,"params":{"n":100000}`)
	b.find(t, id)
	b.until(t, `document.querySelectorAll("#story .events li").length > 3`)
	r.own.Kill()
	b.until(t, `document.getElementById("daemon-text").textContent.includes("no daemon") && document.getElementById("notice").innerText.includes("is cpulbd running?")`)
	b.until(t, `document.querySelector("#story").innerText.includes("cut off")`)
	r.start()
	b.until(t, `document.getElementById("daemon-text").textContent === "running" && document.getElementById("notice").hidden`)
	b.until(t, `document.getElementById("said").textContent.includes("again") || document.getElementById("said").textContent.includes("restarted")`)
	b.until(t, `document.querySelector("#story").innerText.includes("restarted") || document.querySelector("#story .state").dataset.state === "running"`)
	before := js[int](t, b, `document.querySelectorAll("#story .events li").length`)
	b.until(t, fmt.Sprintf(`document.querySelectorAll("#story .events li").length > %d`, before+3)) // the next attempt
	b.key(t, "c"+kb.Enter)
	b.until(t, `document.querySelector("#story .state").dataset.state === "cancelled"`)
	b.key(t, kb.Escape)
	b.quiet(t)
}

// saysRights looks at a daemon as somebody who is no administrator.
func saysRights(t *testing.T, b *browser) {
	engine := ipctest.New()
	engine.Rules.DaemonUID = 1 << 30
	if os.Getuid() == 0 {
		t.Log("root may do everything: its call fails for another reason")
	}
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	b.open(t, socket)
	b.until(t, `document.getElementById("daemon-more").textContent.includes("your tasks only")`)
	b.until(t, `document.getElementById("notice").innerText.includes("worker cpu-1 is starting") || document.getElementById("notice").innerText.includes("administrators see why")`)
	b.until(t, `document.getElementById("tasks-empty").innerText.includes("No tasks yet")`)
	js[any](t, b, `[...document.querySelectorAll("#worker-rows button")].find((e) => e.textContent === "io-0").click()`)
	js[any](t, b, `document.querySelector("#worker .buttons button").click()`)
	b.until(t, `document.querySelector("#worker .alert")?.textContent.length > 5`)
	b.key(t, kb.Escape)
	b.find(t, "01890000-0000-7000-8000-000000000000")
	b.until(t, `document.querySelector("#story .alert").textContent.includes("No task of yours has this id")`)
	b.key(t, kb.Escape)
	b.quiet(t)
}

func saysNoToken(t *testing.T, b *browser, r *real) {
	d := b.open(t, r.socket)
	b.until(t, `document.getElementById("daemon-text").textContent === "running"`)
	address := js[string](t, b, "location.href")
	b.do(chromedp.Reload())
	b.until(t, `document.getElementById("daemon-text").textContent === "running"`) // this tab has it still
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(address+"#token=wrong"))
	b.until(t, `document.getElementById("notice").innerText.includes("Open the address that it has printed")`)
	if text := js[string](t, b, `document.documentElement.innerText`); strings.Contains(text, "cpu-0") || strings.Contains(text, d.token) {
		t.Error("without the token the page shows the daemon")
	}
	b.quiet(t)
}
