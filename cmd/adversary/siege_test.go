package adversary_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// settings are those of the daemons here: bounds that an attack reaches in a moment.
const settings = `
socket { mode = "0666" }
access {
  users  = ["12001", "12002"]
  source = true
}
executor "python" { command = "cpulb-python" }
pool "cpu" {
  executor     = "python"
  task_types   = ["cpu_bound"]
  workers      = 2
  threads      = 1
  idle_timeout = "1s"
}
pool "io" {
  executor     = "python"
  task_types   = ["io_bound"]
  workers      = 1
  threads      = 8
  idle_timeout = "1s"
}
queue {
  max_tasks = 20000
  max_bytes = "64MiB"
  policy    = "reject"
}
results {
  max       = 20000
  max_bytes = "64MiB"
}
journal { sync = "interval" }
limits {
  body_size   = "16MiB"
  result_size = "16MiB"
  connections = 2400
  in_flight   = "64MiB"
}
`

// hung is how long an answer may take before somebody would take the daemon for hung, on
// however slow a machine.
const hung = 5 * time.Minute

// lengthVariable says for how long each attack runs.
const lengthVariable = "CPULB_ADVERSARY"

// quick are the attacks of the short form, of each kind those that took most.
func quick() []string {
	return []string{
		"all connections", "refused connections that send nothing", "requests on new connections at full speed",
		"unfinished bodies", "unfinished bodies of one who may not submit", "batches of lines of two bytes", "streams of bad lines, unread",
		"unread lists", "unread results", "1500 readers of the events of a chatty task", "resends of one watched task",
		"a flood of tasks", "large labels", "hour-long tasks in all slots", "a concurrency key that is held",
		blocking + "submissions of clients that have gone",
		"results that are kept for long", "results of 16 MB in all slots", "yields of 15 MB in all slots", "error messages of 100 MB", "a flood of events that nobody reads",
	}
}

// NoCallerTakesTheServiceFromOthers: whatever one user does, another has its tasks run,
// its results are kept, health and administrators are answered, the watchdog is fed, the
// daemon takes no more memory than the configuration allows, and afterwards all is as
// before. `make test-adversary` runs every attack, for longer and each on a daemon of its
// own.
func TestNoCallerTakesTheServiceFromOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can connect as several users")
	}
	length, long := 700*time.Millisecond, os.Getenv(lengthVariable)
	if testing.Short() {
		length = 300 * time.Millisecond
	}
	if long != "" {
		var err error
		if length, err = time.ParseDuration(long); err != nil {
			t.Fatal(err)
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-62s %9s %9s %6s %9s %9s %9s %9s %9s\n", "attack", "p50", "p99", "ratio", "worst", "health", "status", "peak RSS", "recovers")
	defer func() { t.Log("\n" + table.String()) }()
	sieges, whole := map[bool]*siege{}, t
	for _, a := range attacks() {
		if long == "" && !slices.Contains(quick(), a.name) {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			blocked := strings.HasPrefix(a.name, blocking)
			s := sieges[blocked]
			switch {
			case long != "":
				s = besiege(t, &table, length, blocked)
			case s == nil: // one for all
				s = besiege(whole, &table, length, blocked)
				sieges[blocked] = s
			}
			s.withstand(t, a)
		})
	}
}

// siege is one daemon under one attack after the other.
type siege struct {
	*daemon
	table  *strings.Builder
	length time.Duration
	idle   []time.Duration // round trips without an attack
	// before any attack.
	goroutines float64
	open       int
}

// results has some of the victim's results kept, and returns their ids.
func (s *siege) results(t *testing.T) (ids []string) {
	t.Helper()
	for range 5 {
		code, text, err := ask(t.Context(), s.victim, "POST", "/v1/tasks?wait=5m", s.task(`,"result_ttl":"1h"`))
		if err != nil || code != http.StatusOK {
			t.Fatalf("%d %s %v\n%s", code, text, err, s.log)
		}
		ids = append(ids, idIn(string(text), "task_id"))
	}
	return ids
}

// besiege starts a daemon, and measures how the victim fares when it is alone. The daemon
// ends with the test t.
func besiege(t *testing.T, table *strings.Builder, length time.Duration, blocked bool) *siege {
	t.Helper()
	text := settings
	if blocked {
		text = strings.Replace(text, `"reject"`, `"block"`, 1)
	}
	s := &siege{daemon: start(t, text), table: table, length: length}
	s.results(t) // and the workers are warm
	s.idle = s.trips(t, max(length, time.Second))
	s.goroutines, s.open = s.metrics()["go_goroutines"], s.descriptors()
	return s
}

// task is the victim's.
func (s *siege) task(more string) string {
	return fmt.Sprintf(`{"script_path":%q,"concurrency_key":"shared"%s}`, filepath.Join(s.folder, "echo.py"), more)
}

// trips has the victim's tasks run one after the other for that long, and returns how long
// each took. All of them complete.
func (s *siege) trips(t *testing.T, length time.Duration) (took []time.Duration) {
	t.Helper()
	types := []string{"cpu_bound", "io_bound"}
	for end := time.Now().Add(length); time.Now().Before(end) || len(took) < 10; {
		ctx, cancel := context.WithTimeout(t.Context(), hung)
		began := time.Now()
		code, text, err := ask(ctx, s.victim, "POST", "/v1/tasks?wait=5m", s.task(fmt.Sprintf(`,"task_type":%q`, types[len(took)%2])))
		cancel()
		took = append(took, time.Since(began))
		if err != nil || code != http.StatusOK || !strings.Contains(string(text), `"status":"completed"`) {
			t.Errorf("the victim's task after %s: %d %.300s %v", took[len(took)-1], code, text, err)
			break
		}
	}
	return took
}

// looks asks for health, readiness and, as root, for the status, again and again until end
// is closed, each time on a new connection, and returns the longest that it took.
func (s *siege) looks(t *testing.T, end <-chan struct{}) (health, status time.Duration) {
	look := func(uid int, path string) time.Duration {
		c := s.client(uid)
		defer c.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(t.Context(), hung)
		defer cancel()
		began := time.Now()
		if code, text, err := ask(ctx, c, "GET", path, ""); err != nil || code != http.StatusOK {
			if path != "/readyz" || code != http.StatusServiceUnavailable || !strings.Contains(string(text), `"not_ready"`) { // which is an answer
				t.Errorf("GET %s as %d after %s: %d %.300s %v", path, uid, time.Since(began), code, text, err)
			}
		}
		return time.Since(began)
	}
	for {
		health = max(health, look(victim, "/healthz"), look(0, "/readyz"))
		status = max(status, look(0, "/v1/status"))
		select {
		case <-end:
			return health, status
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// withstand measures one attack, and that nothing of it stays.
func (s *siege) withstand(t *testing.T, a attack) {
	defer func(whole *testing.T) { s.t = whole }(s.t)
	s.t = t
	kept := s.results(t)
	deaths := s.metrics()["cpulb_worker_deaths_total"]
	logged := s.log.Written()
	s.forgetPeak()
	s.hungry.Store(0)
	end := s.begin(a)
	var health, status time.Duration
	enough := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() { health, status = s.looks(t, enough) })
	trips := s.trips(t, s.length)
	close(enough)
	looking.Wait()
	peak := s.daemon.status("VmHWM")
	end()
	began := time.Now()
	s.recovers(t)
	fmt.Fprintf(s.table, "%-62s %9s %9s %6.1f %9s %9s %9s %5d MiB %9s\n", a.name, short(at(trips, 50)), short(at(trips, 99)),
		float64(at(trips, 99))/float64(at(s.idle, 99)), short(slices.Max(trips)), short(health), short(status), peak>>20, short(time.Since(began)))
	if most := s.config.MostMemory(); peak > most {
		t.Errorf("the daemon took %d MiB, and may take %d", peak>>20, most>>20)
	}
	if more := s.log.Written() - logged; more > 8<<20 {
		t.Errorf("the log grew by %d MiB", more>>20)
	}
	s.keeps(t, kept)
	if now := s.metrics()["cpulb_worker_deaths_total"]; now != deaths && !a.deaths {
		t.Errorf("%v workers died\n%s", now-deaths, s.log)
	}
	if hungry := time.Duration(s.hungry.Load()); hungry > time.Minute {
		t.Errorf("the watchdog was not fed for %s", hungry)
	}
}

// recovers has root end what the attack has left, and returns once all is as before.
func (s *siege) recovers(t *testing.T) {
	t.Helper()
	s.until("everything is as before", func() bool {
		// More may come, from what the daemon had read already.
		if code, text, err := ask(t.Context(), s.root, "DELETE", "/v1/tasks?all=true", ""); err != nil || code/100 != 2 {
			t.Fatalf("root cancels all: %d %s %v", code, text, err)
		}
		m := s.metrics()
		return m["go_goroutines"] < s.goroutines+30 && s.descriptors() < s.open+30 && m["cpulb_queue_tasks"] == 0 && m["cpulb_queue_blocked"] == 0 &&
			m["cpulb_slots_busy"] == 0
	})
}

// keeps reports whether these results of the victim's are still there.
func (s *siege) keeps(t *testing.T, ids []string) {
	t.Helper()
	for _, id := range ids {
		if code, text, err := ask(t.Context(), s.victim, "GET", "/v1/tasks/"+id+"/result", ""); err != nil || code != http.StatusOK {
			t.Errorf("a result of the victim's: %d %s %v", code, text, err)
			return
		}
	}
}

// at returns a percentile.
func at(took []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

func short(d time.Duration) string {
	return d.Round(cmp.Or(min(d/100, time.Millisecond), 10*time.Microsecond)).Round(10 * time.Microsecond).String()
}
