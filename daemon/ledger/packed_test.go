package ledger_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"testing"
	"time"

	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"

	"pgregory.net/rapid"
)

// set gives every field behind v another value, and each time another one.
func set(t *testing.T, v reflect.Value, n *int) {
	*n++
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = now.Add(time.Duration(*n) * time.Second)
		return
	case *json.RawMessage:
		*x = fmt.Appendf(nil, "[%d]", *n)
		return
	case *task.ID:
		*x = task.NewID()
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Int, reflect.Int64, reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.Set(reflect.ValueOf(*n).Convert(v.Type()))
	case reflect.Float64:
		v.SetFloat(1 / float64(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		set(t, v.Elem(), n)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{fmt.Sprint("name ", *n): fmt.Sprint("value ", *n), "": ""}))
	case reflect.Struct:
		for i := range v.NumField() {
			set(t, v.Field(i), n)
		}
	default:
		t.Fatalf("a field is %s: can it be packed?", v.Type())
	}
}

// packedAgain has r, which is Ending, end with res and be packed, and returns it as it is
// found then.
func packedAgain(t failer, s *ledger.Store, r *ledger.Record, res *task.Result) *ledger.Record {
	t.Helper()
	s.KeepWhole(1)
	r.EndCursor()
	r.EndCursor()
	s.NumberEnd(r)
	if _, err := s.End(r, res, uptime); err != nil {
		t.Fatal(err)
	}
	ended(t, s, plain())
	again := s.Get(r.Task.ID)
	if again == nil || again == r {
		t.Fatal("it has not been packed")
	}
	return again
}

func TestATaskIsTheSameWhenItIsPacked(t *testing.T) {
	for name, change := range map[string]func(k *task.Task, res *task.Result){
		"with everything": func(*task.Task, *task.Result) {},
		"with nothing": func(k *task.Task, res *task.Result) {
			*k, *res = task.Task{ID: k.ID}, task.Result{ID: k.ID, SubmittedAt: now, FinishedAt: now}
		},
		"as plain as most": func(k *task.Task, res *task.Result) {
			k.Params, k.Labels, k.Extra, res.Data = []byte("{}"), nil, nil, []byte("null")
		},
		"with empty texts": func(k *task.Task, res *task.Result) {
			k.Params, k.Labels, res.Data = []byte{}, map[string]string{}, []byte{}
		},
		"that is not durable": func(k *task.Task, _ *task.Result) { *k.Extra.Durable = false },
		"in UTC":              func(_ *task.Task, res *task.Result) { res.FinishedAt = now.UTC().Add(-time.Hour) },
		"that began never":    func(_ *task.Task, res *task.Result) { res.StartedAt = nil },
		"with odd durations":  func(_ *task.Task, res *task.Result) { res.RunSeconds, res.QueueSeconds = 1e-12, -3 },
	} {
		s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1 << 20})
		k, res, n := &task.Task{}, &task.Result{}, 0
		set(t, reflect.ValueOf(k).Elem(), &n)
		set(t, reflect.ValueOf(res).Elem(), &n)
		change(k, res)
		res.ID, res.Status = k.ID, task.Failed
		r := add(s, k)
		r.Volatile, r.Attempts, r.Worker = true, 7, res.Worker
		s.Join(r, task.NewID())
		move(t, s, r, ledger.Ready, ledger.Ending)
		again := packedAgain(t, s, r, res)
		if !reflect.DeepEqual(again.Task, k) {
			t.Errorf("the task %s is %+v, and was %+v", name, again.Task, k)
		}
		if !reflect.DeepEqual(again.Result(), res) {
			t.Errorf("the result of one %s is %+v, and was %+v", name, again.Result(), res)
		}
		if !reflect.DeepEqual(again.View(), r.View()) || again.Cursor() != r.Cursor() || again.Phase() != ledger.Ended ||
			again.Submitted() != r.Submitted() || again.SubmittedAt().Wall != r.SubmittedAt().Wall || !again.Volatile {
			t.Errorf("one %s is seen as %+v, and was as %+v", name, again.View(), r.View())
		}
		if !reflect.DeepEqual(again.ResultEvent(), r.ResultEvent()) || !s.Has(again) {
			t.Errorf("one %s ends with %+v, and did with %+v", name, again.ResultEvent(), r.ResultEvent())
		}
	}
}

// What others may hold, has events or is large is not packed.
func TestATaskStaysWholeAsLongAsSomebodyMayHoldIt(t *testing.T) {
	for name, change := range map[string]func(r *ledger.Record, res *task.Result){
		"runs on":       func(r *ledger.Record, _ *task.Result) { r.Item = item(r) },
		"has events":    func(r *ledger.Record, _ *task.Result) { r.Log() },
		"is a schedule": func(r *ledger.Record, _ *task.Result) { r.Schedule = "nightly" },
		"is large":      func(_ *ledger.Record, res *task.Result) { res.Stdout = string(make([]byte, 10_000)) },
		"ended in 1677": func(_ *ledger.Record, res *task.Result) { res.FinishedAt = time.Time{} },
	} {
		s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1 << 20})
		s.KeepWhole(1)
		r := add(s, plain())
		move(t, s, r, ledger.Ready, ledger.Ending)
		res := result(r, task.Completed)
		change(r, res)
		if _, err := s.End(r, res, uptime); err != nil {
			t.Fatal(err)
		}
		ended(t, s, plain())
		if s.Get(r.Task.ID) != r {
			t.Errorf("one that %s is another Record now", name)
		}
	}
}

// Whatever comes, ends and goes, what is found, listed, counted and in batches is as in a
// model that keeps everything, whether it is packed or not.
func TestPackedTasksAreFoundListedAndEvictedLikeOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: rapid.IntRange(1, 200).Draw(t, "max"), MaxBytes: 1 << 20})
		s.KeepWhole(rapid.IntRange(1, 5).Draw(t, "whole"))
		type known struct {
			r    *ledger.Record
			data string
		}
		at, model, open, batches := uptime, map[task.ID]*known{}, []*known(nil), []task.ID{{}, task.NewID(), task.NewID()}
		forget := func(gone ledger.Evicted) {
			for _, g := range gone.Tasks {
				for id, k := range model {
					if k.r.Stamp() == g.Stamp {
						delete(model, id)
					}
				}
			}
		}
		for i := range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0, 1:
				k := plain()
				k.Labels = map[string]string{"n": fmt.Sprint(i % 3)}
				if rapid.Bool().Draw(t, "keyed") {
					k.Extra = &task.Extras{IdempotencyKey: fmt.Sprint(i), ResultTTL: task.Duration(time.Duration(rapid.IntRange(1, 90).Draw(t, "ttl")) * time.Minute)}
				}
				r := &ledger.Record{Task: k, Pool: pool("p"), Owner: uint32(i % 2)}
				s.Stamp(r, queue.Now{Wall: now, Uptime: at})
				s.Add(r)
				s.Join(r, rapid.SampledFrom(batches).Draw(t, "batch"))
				move(t, s, r, ledger.Ready, ledger.Ending)
				x := &known{r: r}
				model[k.ID], open = x, append(open, x)
			case 2, 3:
				if len(open) == 0 {
					continue
				}
				n := rapid.IntRange(0, len(open)-1).Draw(t, "one")
				x := open[n]
				open = append(open[:n:n], open[n+1:]...)
				x.data = fmt.Sprintf(`"%0*d"`, rapid.IntRange(1, 3000).Draw(t, "size"), i)
				res := result(x.r, task.Completed)
				res.Data = []byte(x.data)
				s.NumberEnd(x.r)
				gone, err := s.End(x.r, res, at)
				if err != nil {
					t.Fatal(err)
				}
				forget(gone)
			case 4:
				at += time.Duration(rapid.IntRange(0, 20).Draw(t, "minutes")) * time.Minute
				forget(s.Evict(at))
			}
		}
		counted := map[task.ID]int{}
		for id, k := range model {
			r := s.Get(id)
			if r == nil || r.Stamp() != k.r.Stamp() || r.Task.Labels["n"] != k.r.Task.Labels["n"] || !s.Has(k.r) {
				t.Fatalf("%s is found as %+v", id, r)
			}
			if key := k.r.Task.Extras().IdempotencyKey; key != "" && s.Keyed(k.r.Owner, key).Stamp() != r.Stamp() {
				t.Fatalf("%s is not found by its key", id)
			}
			if k.data != "" && string(r.Result().Data) != k.data {
				t.Fatalf("%s has the result %s instead of %s", id, r.Result().Data, k.data)
			}
			for _, b := range batches {
				if s.Member(r, b) && k.data != "" {
					counted[b]++
				}
			}
		}
		listed := 0
		s.After(0, 1<<20, func(owner uint32, _ task.Status) bool { return owner == 1 }, func(r *ledger.Record) bool {
			if listed++; model[r.Task.ID] == nil || r.Owner != 1 {
				t.Fatalf("%s is listed", r.Task.ID)
			}
			return true
		})
		for _, k := range model {
			listed -= int(k.r.Owner)
		}
		if listed != 0 {
			t.Fatalf("%d more are listed than there are", listed)
		}
		for _, id := range batches[1:] {
			if b := s.Batch(id); b != nil {
				results, _, _, _ := b.Results(0, ledger.Portion{Items: 1000, Bytes: 1 << 30})
				if len(results) != counted[id] {
					t.Fatalf("a batch has %d results, not %d", len(results), counted[id])
				}
			}
		}
	})
}

// heapBytes is what is in memory now.
func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestASmallResultThatIsKeptTakesLittleMemory(t *testing.T) {
	const most = 250
	n := 50_000
	if testing.Short() {
		n = 10_000
	}
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: n, MaxBytes: 1 << 30})
	before := heapBytes()
	runs(t, s, n)
	each := (heapBytes() - before) / int64(n)
	t.Logf("%d bytes for each result", each)
	if each > most {
		t.Errorf("a small result takes %d bytes; %d were thought enough", each, most)
	}
	runs(t, s, 4*n) // evicting
	each = (heapBytes() - before) / int64(n)
	t.Logf("%d bytes for each result, with as many tombstones", each)
	runtime.KeepAlive(s)
}

// What is made of a packed task outlives it: a slow reader has its result, and who runs it
// again its params. It must not keep the texts of the tasks beside it.
func TestWhatIsMadeOfAPackedTaskHoldsNothingOfOthers(t *testing.T) {
	const n, each = 64 * 100, 1500
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: n, MaxBytes: 1 << 30})
	s.KeepWhole(1)
	before := heapBytes()
	var made []*ledger.Record
	for i := range n {
		k := plain()
		k.Params = []byte(`"` + fmt.Sprintf("%0*d", each/2, i) + `"`)
		r := add(s, k)
		move(t, s, r, ledger.Ready, ledger.Ending)
		res := result(r, task.Completed)
		res.Data = k.Params
		s.NumberEnd(r)
		if _, err := s.End(r, res, uptime); err != nil {
			t.Fatal(err)
		}
		if i%64 == 0 {
			ended(t, s, plain())
			made = append(made, s.Get(k.ID))
		}
	}
	s.Evict(uptime + 2*time.Hour)
	if held := heapBytes() - before; held > 2<<20 { // tombstones are most of that
		t.Errorf("%d tasks of %d bytes hold %d", len(made), each, held)
	}
	runtime.KeepAlive(made)
	runtime.KeepAlive(s)
}
