package queue_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/queue"
)

// epoch is when the tests begin; they make their own time.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }

// due is the uptime so many seconds after the epoch.
func due(seconds int) time.Duration { return time.Duration(10_000+seconds) * time.Second }

// moment is what both clocks show then, if none is set.
func moment(seconds int) queue.Now { return queue.Now{Wall: at(seconds), Uptime: due(seconds)} }

type bench struct {
	t *testing.T
	q *queue.Queue[string]
	// now is in seconds.
	now   int
	items map[string]*queue.Item[string]
}

func newBench(t *testing.T, o queue.Options) *bench {
	o.Lanes = max(o.Lanes, 1)
	if o.MaxTasks == 0 {
		o.MaxTasks = 1000
	}
	return &bench{t: t, q: queue.New[string](o), items: map[string]*queue.Item[string]{}}
}

// push is one of root, who administers, unless e names another owner.
func (b *bench) push(name string, e queue.Entry) error {
	e.Whole = e.Owner == 0
	it, err := b.q.Push(moment(b.now), name, e)
	b.items[name] = it
	return err
}

func (b *bench) must(name string, e queue.Entry) {
	b.t.Helper()
	if err := b.push(name, e); err != nil {
		b.t.Fatalf("push %s: %v", name, err)
	}
}

// ends takes one for good that has been popped.
func (b *bench) ends(name string) {
	b.q.Remove(moment(b.now), b.items[name])
}

// pops takes as many as names says and holds them to it; "-" stands for none.
func (b *bench) pops(names ...string) {
	b.t.Helper()
	for i, want := range names {
		runnable := b.q.Runnable(moment(b.now), 0)
		got := "-"
		if it := b.q.Pop(moment(b.now), 0); it != nil {
			got = it.Value
		}
		if got != want || runnable != (got != "-") {
			b.t.Fatalf("pop %d of %v is %s, announced as %v", i, names, got, runnable)
		}
	}
}

func (b *bench) changes(want ...string) {
	b.t.Helper()
	places := map[queue.Place]string{queue.Blocked: "blocked", queue.Waiting: "waiting", queue.Ready: "ready", queue.Parked: "parked",
		queue.Expired: "expired", queue.Dropped: "dropped"}
	var got []string
	for _, c := range b.q.Changes() {
		got = append(got, c.Item.Value+" "+places[c.From]+" "+places[c.To])
	}
	if !slices.Equal(got, want) {
		b.t.Fatalf("changes %q, want %q", got, want)
	}
}

func TestHigherPriorityLeavesFirstAndEqualOnesInOrder(t *testing.T) {
	b := newBench(t, queue.Options{})
	for i, p := range []int{5, 0, 9, 5, 9, 0} {
		b.must(string(rune('a'+i)), queue.Entry{Priority: p})
	}
	b.pops("c", "e", "a", "d", "b", "f", "-")
}

func TestOwnersTakeTurnsAndEachHasPrioritiesOfItsOwn(t *testing.T) {
	b := newBench(t, queue.Options{})
	for _, n := range []string{"a1", "a2", "a3", "a4", "b1", "b2", "c1"} {
		b.must(n, queue.Entry{Priority: 5, Owner: uint32(n[0])})
	}
	b.must("a9", queue.Entry{Priority: 9, Owner: 'a'})
	b.must("b0", queue.Entry{Priority: 0, Owner: 'b'})
	b.pops("a9", "b1", "c1", "a1", "b2", "a2")
	b.must("b3", queue.Entry{Priority: 5, Owner: 'b'})
	b.pops("b3", "a3", "b0", "a4", "-")
}

func TestAFloodOfTheHighestPriorityIsOneOwnersOwn(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 100_000, Ageing: 10 * time.Second})
	for b.push("flood", queue.Entry{Priority: 9, Owner: 1}) == nil {
	}
	for b.now = range 1000 {
		b.must("mine", queue.Entry{Priority: 0, Owner: 2})
		for pops := 1; b.q.Pop(moment(b.now), 0) != b.items["mine"]; pops++ {
			if pops == 2 {
				t.Fatal("it waits behind more than one of another")
			}
		}
	}
}

func TestWhoIsPassedOverKeepsItsTurn(t *testing.T) {
	b := newBench(t, queue.Options{})
	for _, n := range []string{"a1", "a2", "b1", "b2", "c1", "c2"} {
		b.must(n, queue.Entry{Owner: uint32(n[0])})
	}
	for _, c := range []struct{ allowed, want string }{{"c", "c1"}, {"bc", "b1"}, {"abc", "a1"}, {"", "-"}, {"c", "c2"}, {"c", "-"}, {"abc", "b2"}, {"abc", "a2"}} {
		allow := func(owner uint32) bool { return strings.ContainsRune(c.allowed, rune(owner)) }
		runnable, got := b.q.RunnableFor(moment(0), 0, allow), "-"
		if it := b.q.PopFor(moment(0), 0, allow); it != nil {
			got = it.Value
		}
		if got != c.want || runnable != (got != "-") {
			t.Fatalf("of %q %s is popped, not %s; announced as %v", c.allowed, got, c.want, runnable)
		}
	}
}

func TestNothingStarvesUnderEndlessHigherPriority(t *testing.T) {
	b := newBench(t, queue.Options{Ageing: 10 * time.Second})
	for range 2 { // so that neither ever has none, which would begin its age anew
		b.must("low", queue.Entry{Priority: 0})
		b.must("middle", queue.Entry{Priority: 4})
	}
	seen := map[string]int{}
	for i := range 200 {
		b.must("high", queue.Entry{Priority: 9})
		it := b.q.Pop(moment(b.now), 0)
		seen[it.Value]++
		if it.Value != "high" {
			if b.now < 10 {
				t.Errorf("%s left after %d s, before its age", it.Value, b.now)
			}
			b.must(it.Value, queue.Entry{Priority: map[string]int{"low": 0, "middle": 4}[it.Value]})
		}
		b.now = i / 10
	}
	// Of 100 pops after the first 10 s an eighth goes to those passed over.
	if seen["low"] < 5 || seen["middle"] < 5 || seen["low"]+seen["middle"] > 200/8 {
		t.Errorf("popped %v", seen)
	}
}

func TestWithoutAgeingPriorityIsStrict(t *testing.T) {
	b := newBench(t, queue.Options{})
	b.must("low", queue.Entry{Priority: 0})
	for range 100 {
		b.now += 1000
		b.must("high", queue.Entry{Priority: 1})
		b.pops("high")
	}
}

func TestABacklogOfLowPriorityDoesNotDelayAHighOne(t *testing.T) {
	b := newBench(t, queue.Options{Ageing: time.Second})
	for range 100 {
		b.must("low", queue.Entry{Priority: 5})
	}
	b.now = 1000
	b.pops("low", "low")
	b.must("high", queue.Entry{Priority: 9})
	b.pops("high")
}

func TestAFullQueueRefusesByCountAndByBytes(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 3, MaxBytes: 100})
	b.must("a", queue.Entry{Bytes: 60})
	if err := b.push("b", queue.Entry{Bytes: 41}); !errors.Is(err, queue.ErrFull) {
		t.Errorf("over the bytes: %v", err)
	}
	if err := b.push("b", queue.Entry{Bytes: 101}); !errors.Is(err, queue.ErrTooLarge) {
		t.Errorf("over all bytes there are: %v", err)
	}
	b.must("b", queue.Entry{Bytes: 40})
	b.must("c", queue.Entry{})
	if err := b.push("d", queue.Entry{}); !errors.Is(err, queue.ErrFull) {
		t.Errorf("over the count: %v", err)
	}
	if s := b.q.Stats(); s.Put != 3 || s.Dropped != 3 || s.Ready != 3 || s.Bytes != 100 {
		t.Errorf("%+v", s)
	}
	b.pops("a")
	if err := b.push("d", queue.Entry{Bytes: 1}); !errors.Is(err, queue.ErrFull) {
		t.Errorf("over the bytes, of which some are out: %v", err)
	}
	b.ends("a")
	b.must("d", queue.Entry{Bytes: 60})
}

func TestReturnedItemsKeepTheirPlaceAndAreNeverRefused(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 2})
	b.must("a", queue.Entry{})
	b.must("b", queue.Entry{})
	b.pops("a")
	b.must("c", queue.Entry{})
	b.q.Return(moment(0), b.items["a"], 0)
	if b.q.Len() != 3 {
		t.Errorf("%d items", b.q.Len())
	}
	b.pops("a", "b", "c", "-")
}

func TestAReturnedItemCanChangeItsLane(t *testing.T) {
	b := newBench(t, queue.Options{Lanes: 2})
	b.must("a", queue.Entry{Lane: 1, Key: "k"})
	b.must("b", queue.Entry{})
	it := b.q.Pop(moment(0), 1)
	b.q.Return(moment(0), it, 0)
	if b.q.LaneLen(0) != 2 || b.q.LaneLen(1) != 0 {
		t.Errorf("%d and %d items", b.q.LaneLen(0), b.q.LaneLen(1))
	}
	b.pops("a", "b", "-")
}

func TestAnItemCanNotBeGivenBackTwice(t *testing.T) {
	b := newBench(t, queue.Options{})
	b.must("a", queue.Entry{})
	b.pops("a")
	b.q.Return(moment(0), b.items["a"], 0)
	defer func() {
		if recover() == nil {
			t.Error("it is there twice")
		}
	}()
	b.q.Return(moment(0), b.items["a"], 0)
}

func TestItemsWaitForTheirTimeAndThenComeInOrder(t *testing.T) {
	b := newBench(t, queue.Options{})
	b.must("ten", queue.Entry{Times: queue.Times{RunAt: at(10)}})
	b.must("five", queue.Entry{Times: queue.Times{RunAt: at(5)}})
	b.must("now", queue.Entry{Times: queue.Times{RunAt: at(-5)}})
	b.pops("now", "-")
	if when, due := b.q.Next(); !when.Equal(at(5)) || due != 0 {
		t.Errorf("next is %v, or due at %v", when, due)
	}
	b.now = 20
	b.must("new", queue.Entry{})
	b.pops("five", "ten", "new", "-")
	b.changes("five waiting ready", "ten waiting ready")
	if when, due := b.q.Next(); !when.IsZero() || due != 0 {
		t.Error("nothing is left to come")
	}
}

func TestAnExpiryLongAgoIsOne(t *testing.T) {
	for _, long := range []time.Time{time.Unix(0, 0), time.Unix(0, 1), time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(1500, 1, 1, 0, 0, 0, 0, time.UTC)} {
		b := newBench(t, queue.Options{})
		b.must("past", queue.Entry{Times: queue.Times{ExpiresAt: long}})
		b.pops("-")
		if b.items["past"].Place() != queue.Expired {
			t.Errorf("it does not expire at %s", long)
		}
	}
}

func TestWhatIsNotPoppedInTimeExpires(t *testing.T) {
	b := newBench(t, queue.Options{})
	b.must("ready", queue.Entry{Times: queue.Times{ExpiresAt: at(5)}})
	b.must("waiting", queue.Entry{Times: queue.Times{RunAt: at(6), ExpiresAt: at(7)}})
	b.must("popped", queue.Entry{Priority: 9, Times: queue.Times{ExpiresAt: at(5)}})
	b.must("stays", queue.Entry{Priority: 0})
	b.pops("popped")
	b.now = 5
	b.pops("stays", "-")
	b.changes("ready ready expired")
	b.now = 7 // past its time and its expiry at once
	b.pops("-")
	b.changes("waiting waiting expired")
	if b.q.Len() != 0 || b.q.Stats().Expired != 2 {
		t.Errorf("%+v", b.q.Stats())
	}
	b.q.Return(moment(7), b.items["popped"], 0) // it was not started after all
	b.q.Advance(moment(7))
	b.changes("popped ready expired")
}

func TestARetryWaitsAndNoLongerExpires(t *testing.T) {
	b := newBench(t, queue.Options{})
	b.must("a", queue.Entry{Times: queue.Times{ExpiresAt: at(5)}})
	b.must("b", queue.Entry{})
	b.pops("a")
	b.q.Retry(moment(1), b.items["a"], 0, due(20))
	b.now = 19
	b.pops("b", "-")
	b.now = 20
	b.must("c", queue.Entry{})
	b.pops("a", "c") // it came first
	b.q.Retry(moment(20), b.items["a"], 0, 0)
	b.pops("a", "-")
}

func TestRestoredItemsAreNeitherRefusedNorCounted(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 1})
	for _, n := range []string{"a", "b"} {
		b.q.Restore(moment(0), n, queue.Entry{})
	}
	if s := b.q.Stats(); s.Ready != 2 || s.Put != 0 {
		t.Errorf("%+v", s)
	}
	b.pops("a", "b", "-")
}

func TestAHeldItemHasRoomAndWaitsUntilItIsSettled(t *testing.T) {
	q := queue.New[string](queue.Options{Lanes: 1, MaxTasks: 2})
	held, err := q.Push(moment(0), "held", queue.Entry{Held: true, Whole: true, Times: queue.Times{ExpiresAt: epoch.Add(time.Second)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Push(moment(0), "next", queue.Entry{Whole: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Push(moment(0), "third", queue.Entry{Whole: true}); !errors.Is(err, queue.ErrFull) {
		t.Errorf("what is held leaves room: %v", err)
	}
	if it := q.Pop(moment(3600), 0); it == nil || it.Value != "next" || q.Runnable(moment(3600), 0) {
		t.Errorf("%v left, or more", it)
	}
	q.Settle(moment(7200), held, queue.Times{RunAt: at(7201), ExpiresAt: at(7260)})
	if q.Runnable(moment(7200), 0) {
		t.Error("it left before its time")
	}
	if it := q.Pop(moment(7201), 0); it != held {
		t.Errorf("%v left when the time of what was held had come", it)
	}
}
