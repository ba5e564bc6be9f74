package proto_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	wire "cpulb/plugins/proto"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

func anyOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

func anyText(r *rand.Rand) string {
	return anyOf(r, "", "", "main", "çok güzel", "\x00", strings.Repeat("x", 127), strings.Repeat("y", 128), strings.Repeat("z", 40_000), "not\xffUTF-8")
}

func anyNumber(r *rand.Rand) uint64 { return anyOf(r, 0, 0, 1, 127, 128, 1<<14, 1<<32, r.Uint64()) }

func anyTask(r *rand.Rand) *wire.Task {
	return &wire.Task{Seq: anyNumber(r), TaskId: anyText(r), ScriptPath: anyText(r), Function: anyText(r), TaskType: anyText(r),
		Attempt: uint32(anyNumber(r)), Labels: anyOf(r, nil, nil, nil, map[string]string{"a": "b"}), Traceparent: anyText(r), Source: anyText(r),
		TimeoutNs: int64(anyNumber(r)), Probe: anyOf(r, true, false), Slot: uint32(anyNumber(r)), PayloadLength: anyNumber(r),
		RunAs: anyOf(r, nil, nil, new(uint32), proto.Uint32(uint32(anyNumber(r))))}
}

func anyEvent(r *rand.Rand) *wire.Event {
	m := &wire.Event{Seq: anyNumber(r), Slot: uint32(anyNumber(r)), PayloadLength: anyNumber(r)}
	result := &wire.Result{Outcome: wire.Outcome(anyNumber(r)), Stdout: anyText(r), Stderr: anyText(r), Truncated: anyOf(r, true, false),
		RunNs: anyNumber(r), CpuNs: anyNumber(r), LockWaitNs: anyNumber(r), Fault: wire.Fault(anyNumber(r)), Spent: anyOf(r, true, false)}
	switch r.IntN(8) {
	case 0:
		m.Kind = &wire.Event_Started{Started: &wire.Started{}}
	case 1:
		m.Kind = &wire.Event_Skipped{Skipped: &wire.Skipped{NeedsThread: true}}
	case 2:
		result.Error = &wire.Error{Type: "ValueError", Message: anyText(r)}
		m.Kind = &wire.Event_Result{Result: result}
	case 3:
		m.Kind = &wire.Event_Result{}
	case 4:
	default:
		m.Kind = &wire.Event_Result{Result: result}
	}
	return m
}

const rounds = 3_000

// codec is the pair of functions for one message.
type codec[M proto.Message] struct {
	appendTo func([]byte, M) ([]byte, bool)
	read     func(M, []byte) bool
	empty    func() M
}

var (
	tasks  = codec[*wire.Task]{wire.AppendTask, wire.ReadTask, func() *wire.Task { return new(wire.Task) }}
	events = codec[*wire.Event]{wire.AppendEvent, wire.ReadEvent, func() *wire.Event { return new(wire.Event) }}
)

// appended holds what is appended to what the generated codec makes of m.
func (c codec[M]) appended(t *testing.T, m M) (done bool) {
	t.Helper()
	before := []byte("before")
	got, ok := c.appendTo(before, m)
	if !ok {
		if string(got) != "before" {
			t.Fatalf("it has left %q of %v", got, m)
		}
		return false
	}
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil || !bytes.Equal(got[len(before):], want) {
		t.Fatalf("%v became\n%x, want\n%x %v", m, got[len(before):], want, err)
	}
	return true
}

// readInto holds what is read into m, whatever that was, to what the generated codec makes of b.
func (c codec[M]) readInto(t *testing.T, m M, b []byte) (done bool) {
	t.Helper()
	if !c.read(m, b) {
		return false
	}
	want := c.empty()
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, want); err != nil || !proto.Equal(m, want) {
		t.Fatalf("%x became\n%v, want\n%v %v", b, m, want, err)
	}
	return true
}

func compare[M proto.Message](t *testing.T, c codec[M], anyOne func(*rand.Rand) M) {
	r, used := rand.New(rand.NewPCG(1, 2)), c.empty()
	appended, read := 0, 0
	for range rounds {
		m := anyOne(r)
		if c.appended(t, m) {
			appended++
		}
		text, err := proto.Marshal(m)
		if err != nil {
			continue
		}
		if c.readInto(t, used, shuffled(r, text)) {
			read++
		}
	}
	if appended < rounds/20 || read < rounds/20 {
		t.Fatalf("of %d only %d were written and %d read without the generated codec", rounds, appended, read)
	}
}

// shuffled has the fields in any order, which other libraries may choose, and some twice.
func shuffled(r *rand.Rand, b []byte) []byte {
	var fields [][]byte
	for len(b) > 0 {
		_, _, n := protowire.ConsumeField(b)
		fields = append(fields, b[:n])
		b = b[n:]
	}
	if len(fields) > 0 && r.IntN(4) == 0 {
		fields = append(fields, fields[r.IntN(len(fields))])
	}
	r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return bytes.Join(fields, nil)
}

func TestTasksAreOnTheWireAsTheGeneratedCodecHasThem(t *testing.T)  { compare(t, tasks, anyTask) }
func TestEventsAreOnTheWireAsTheGeneratedCodecHasThem(t *testing.T) { compare(t, events, anyEvent) }

func TestTheMessagesOfAnOrdinaryTaskDoNotNeedTheGeneratedCodec(t *testing.T) {
	task := &wire.Task{Seq: 300, TaskId: "0190-1", ScriptPath: "/srv/a.py", Function: "main", TaskType: "cpu_bound", Attempt: 1, PayloadLength: 12}
	b, ok := wire.AppendTask(nil, task)
	if !ok || !tasks.readInto(t, new(wire.Task), b) {
		t.Errorf("%v: %v", task, ok)
	}
	for _, ev := range []*wire.Event{
		{Seq: 300, Kind: &wire.Event_Started{Started: &wire.Started{}}},
		{Seq: 300, PayloadLength: 4, Kind: &wire.Event_Result{Result: &wire.Result{Outcome: 1, Stdout: "said", RunNs: 2000, CpuNs: 2000}}},
	} {
		b, ok := wire.AppendEvent(nil, ev)
		if !ok || !events.readInto(t, new(wire.Event), b) {
			t.Errorf("%v: %v", ev, ok)
		}
	}
}

func TestALengthStandsBeforeWhatItIsOf(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, 1 << 21} {
		b := append([]byte("before\x00"), bytes.Repeat([]byte("x"), n)...)
		b = wire.AppendLength(b, len("before"))
		got, size := protowire.ConsumeBytes(b[len("before"):])
		if size != len(b)-len("before") || len(got) != n || bytes.Count(got, []byte("x")) != n {
			t.Errorf("%d bytes: %d, %d", n, len(got), size)
		}
	}
}

func seeds(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		for _, m := range []proto.Message{anyTask(r), anyEvent(r)} {
			if b, err := proto.Marshal(m); err == nil {
				f.Add(b)
			}
		}
	}
}

func FuzzForeignBytesMeanTheSameToBoth(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		tasks.readInto(t, new(wire.Task), b)
		events.readInto(t, new(wire.Event), b)
	})
}

func BenchmarkTask(b *testing.B) {
	m := &wire.Task{Seq: 300, TaskId: "01234567-89ab-cdef-0123-456789abcdef", ScriptPath: "/srv/scripts/noop.py", Function: "main", TaskType: "cpu_bound", Attempt: 1,
		PayloadLength: 12}
	benchmark(b, tasks, m)
}

func BenchmarkResult(b *testing.B) {
	benchmark(b, events, &wire.Event{Seq: 300, PayloadLength: 4,
		Kind: &wire.Event_Result{Result: &wire.Result{Outcome: 1, RunNs: 2000, CpuNs: 2000, LockWaitNs: 40}}})
}

func benchmark[M proto.Message](b *testing.B, c codec[M], m M) {
	text, _ := proto.Marshal(m)
	room := make([]byte, 0, 1024)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.appendTo(room, m)
		}
	})
	b.Run("append generated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			size := proto.Size(m)
			room, _ := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(protowire.AppendVarint(room, uint64(size)), m)
			_ = room
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		into := c.empty()
		for b.Loop() {
			c.read(into, text)
		}
	})
	b.Run("read generated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			into := c.empty()
			_ = proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, into)
		}
	})
}
