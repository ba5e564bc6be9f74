package ledger

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"time"

	"cpulb/daemon/task"
)

// packer appends values to b, unpacker takes them from its front. What is packed never
// leaves the process, so an unpacker expects what a packer has written.
type (
	packer   struct{ b []byte }
	unpacker struct{ b []byte }
)

func (w *packer) uint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *packer) int(v int64)   { w.b = binary.AppendVarint(w.b, v) }

func (u *unpacker) uint() uint64 {
	v, n := binary.Uvarint(u.b)
	u.b = u.b[n:]
	return v
}

func (u *unpacker) int() int64 {
	v, n := binary.Varint(u.b)
	u.b = u.b[n:]
	return v
}

// bytes returns the next n bytes, which are part of what is unpacked and must not be kept.
func (u *unpacker) bytes(n int) []byte {
	some := u.b[:n:n]
	u.b = u.b[n:]
	return some
}

// textLen returns how long a text is that has its length in front and that something may
// follow.
func textLen(text []byte) int {
	n, size := binary.Uvarint(text)
	return size + int(n)
}

func (w *packer) text(v string) {
	w.uint(uint64(len(v)))
	w.b = append(w.b, v...)
}

func (u *unpacker) text() string { return string(u.bytes(int(u.uint()))) }

// json is a text that may be nil.
func (w *packer) json(v []byte) {
	if v == nil {
		w.uint(0)
		return
	}
	w.uint(uint64(len(v)) + 1)
	w.b = append(w.b, v...)
}

// json returns a copy: whoever keeps it keeps nothing of the tasks beside it.
func (u *unpacker) json() []byte {
	n := u.uint()
	if n == 0 {
		return nil
	}
	return bytes.Clone(u.bytes(int(n - 1)))
}

// texts are a map that may be nil.
func (w *packer) texts(all map[string]string) {
	if all == nil {
		w.uint(0)
		return
	}
	w.uint(uint64(len(all)) + 1)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		w.text(name)
		w.text(all[name])
	}
}

func (u *unpacker) texts() map[string]string {
	n := u.uint()
	if n == 0 {
		return nil
	}
	all := make(map[string]string, n-1)
	for range n - 1 {
		name := u.text()
		all[name] = u.text()
	}
	return all
}

// exact reports whether t is the same after when.
func exact(t time.Time) bool {
	return (t.Location() == time.Local || t.Location() == time.UTC) && time.Unix(0, t.UnixNano()).Equal(t)
}

// when is an instant, of which the clock on the wall showed about base.
func (w *packer) when(t time.Time, base int64) {
	d := uint64(t.UnixNano()-base) << 1
	if t.Location() == time.UTC {
		d |= 1
	}
	w.int(int64(d))
}

func (u *unpacker) when(base int64) time.Time {
	d := u.int()
	t := time.Unix(0, d>>1+base)
	if d&1 != 0 {
		return t.UTC()
	}
	return t
}

// seconds are nearly always those of a Duration, or else the number itself follows a 1.
func (w *packer) seconds(v float64) {
	if d := time.Duration(math.Round(v * 1e9)); v >= 0 && v < 1e9 && d.Seconds() == v && !math.Signbit(v) {
		w.uint(uint64(d) << 1)
		return
	}
	w.uint(1)
	w.b = binary.LittleEndian.AppendUint64(w.b, math.Float64bits(v))
}

func (u *unpacker) seconds() float64 {
	d := u.uint()
	if d&1 != 0 {
		return math.Float64frombits(binary.LittleEndian.Uint64(u.bytes(8)))
	}
	return time.Duration(d >> 1).Seconds()
}

// extras may be nil. The idempotency key is not among them.
func (w *packer) extras(x *task.Extras) {
	if x == nil {
		w.uint(0)
		return
	}
	w.uint(1)
	w.text(x.Source)
	w.text(x.Executor)
	w.text(x.Traceparent)
	w.instant(x.ExpiresAt)
	w.int(int64(x.MaxRetries))
	w.int(int64(x.RetryBackoff))
	w.instant(x.RunAt)
	w.int(int64(x.Delay))
	w.text(x.ConcurrencyKey)
	w.text(string(x.OnWorkerLost))
	switch {
	case x.Durable == nil:
		w.uint(0)
	case *x.Durable:
		w.uint(1)
	default:
		w.uint(2)
	}
	w.int(int64(x.ResultTTL))
	w.texts(x.Env)
	w.text(x.Cwd)
}

func (u *unpacker) extras() *task.Extras {
	if u.uint() == 0 {
		return nil
	}
	x := &task.Extras{Source: u.text(), Executor: u.text(), Traceparent: u.text(), ExpiresAt: u.instant(), MaxRetries: int(u.int()), RetryBackoff: task.Duration(u.int()),
		RunAt: u.instant(), Delay: task.Duration(u.int()), ConcurrencyKey: u.text(), OnWorkerLost: task.LostPolicy(u.text())}
	if durable := u.uint(); durable != 0 {
		yes := durable == 1
		x.Durable = &yes
	}
	x.ResultTTL, x.Env, x.Cwd = task.Duration(u.int()), u.texts(), u.text()
	return x
}

// instant is any time of a caller's.
func (w *packer) instant(t time.Time) {
	text, _ := t.MarshalBinary() // it was read from RFC 3339, whose zones have no seconds
	w.text(string(text))
}

func (u *unpacker) instant() (t time.Time) {
	_ = t.UnmarshalBinary([]byte(u.text()))
	return t
}
