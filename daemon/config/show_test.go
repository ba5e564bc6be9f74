package config

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"testing"

	"cpulb/daemon/task"
)

// everything sets each key, to something else than its default where there is another.
const everything = `
socket {
  path  = "/s"
  mode  = "0600"
  group = "g"
}
queue {
  max_bytes          = 1025
  policy             = "block"
  concurrency_limits = { "a b" = 3, "$${x}" = 4 }
}
results { ttl = "36h1ms" }
journal { sync = "off" }
executor "python" {
  command    = "/bin/x"
  canary     = "12.5%"
  canary_for = "5m"
  probe      = { script_path = "/x.py", params = { a = [1, null, "b"] }, timeout = "3s" }
  venv       = "/venv"
  preload    = ["numpy", "xml.etree"]
  env        = { TZ = "UTC", Q = "a \"quote\" $${HOME} %%{x}\nÄ" }
  settings   = { text = "x", number = 7, yes = true, many = ["a", "b"], some = { k = "v" } }
}
pool "fixed" {
  executor   = "python"
  task_types = ["cpu_bound", "io_bound"]
  workers    = 3
  cores      = "0-3,8"
  pin        = false
  ionice     = "best-effort:6"
  max_rss    = "3MiB"
  max_tasks  = 1
  users      = ["a", "b"]
  isolation  = "process"
  network    = false
  cpu_time   = "5s"
  user       = "caller"
  preload    = ["json"]
}
pool "scales" {
  executor    = "python"
  task_types  = ["io_bound"]
  max_workers = 9
  ionice      = "idle"
  group       = "g"
  user        = "u"
}
schedule "nightly" {
  cron        = "0 3 * * *"
  time_zone   = "Europe/Istanbul"
  overlap     = "queue"
  catch_up    = "all"
  owner       = "o"
  script_path = "/n.py"
  params      = { deep = { a = [1.5, "x"] } }
  priority    = 9
  timeout     = "90s"
  labels      = { k = "v" }
  durable     = false
}
access {
  admin_users = ["root"]
  script_dirs = ["/srv"]
  source      = true
}
log { format = "json" }
`

func TestWhatIsShownSaysTheSame(t *testing.T) {
	def, err := os.ReadFile("../../config.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"nothing": "", "default": string(def), "everything": everything} {
		c, err := decode(name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		shown := c.Text()
		again, err := decode(name, shown)
		if err != nil {
			t.Errorf("%s: what is shown is wrong: %v\n%s", name, err, shown)
			continue
		}
		for _, all := range [][]Executor{c.Executors, again.Executors} {
			for _, x := range all {
				if x.Probe != nil {
					x.Probe.ID = task.ID{} // of its own each time
				}
			}
		}
		if !reflect.DeepEqual(placeless(again), placeless(c)) {
			t.Errorf("%s: what is shown says something else:\n%s\n%+v\n%+v", name, shown, again, c)
		}
		if text, err := c.JSON(); err != nil || !json.Valid(text) {
			t.Errorf("%s: as JSON: %s %v", name, text, err)
		}
	}
}

// A key that is new in the decoder's tables has to be shown, too.
func TestEveryKeyIsShown(t *testing.T) {
	c, err := decode("everything", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string][]string{}
	for _, b := range c.shown() {
		for _, k := range b.keys {
			shown[b.name] = append(shown[b.name], k.name)
		}
	}
	for _, b := range newDecoder("").blocks() {
		for _, k := range b.keys("x") {
			optional := b.name == "schedule" // a field of the task that is as in any task
			if !optional && !slices.Contains(shown[b.name], k.name) {
				t.Errorf("%s.%s is not shown", b.name, k.name)
			}
		}
	}
}
