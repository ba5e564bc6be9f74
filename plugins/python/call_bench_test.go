package python

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkCall is a no-op script's call in the worker, from the params' bytes to
// the result's. bare-ns/op is what json.loads, the call and json.dumps cost in a
// bare Python loop on the same thread in the same run, c-ns/op what they cost in a
// loop in C that does nothing else; x-bare and x-c are the ratios.
func BenchmarkCall(b *testing.B) {
	s := openTestSlot(b)
	const params = `{"value": 21, "name": "ada"}`
	path := script("returns_params.py")
	done := make(chan struct{})
	s.work <- func() {
		defer close(done)
		k, emit := s.task(path, params), newEvents()
		for b.Loop() {
			k.Seq++
			if o := s.Run(k, emit); o.Error != nil {
				b.Error(o.Error)
				return
			}
		}
		s.seq = k.Seq
	}
	<-done
	if b.Failed() {
		return
	}
	o := s.run(script("compares_with_bare_json.py"), fmt.Sprintf(`{"params": %s, "rounds": 100000}`, params))
	bare, err := strconv.ParseFloat(string(json.RawMessage(o.Data)), 64)
	if err != nil {
		b.Fatal(err, o.Error)
	}
	perCall := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	b.ReportMetric(bare, "bare-ns/op")
	b.ReportMetric(perCall/bare, "x-bare")
	c := bareC(b, path, params)
	b.ReportMetric(c, "c-ns/op")
	b.ReportMetric(perCall/c, "x-c")
}

// bareC is the cost of a call in the loop in C.
func bareC(b *testing.B, path, params string) float64 {
	b.Helper()
	flags, err := exec.Command("pkg-config", "--cflags", "--libs", "python3-embed").Output()
	if err != nil {
		b.Fatal(err)
	}
	program := filepath.Join(b.TempDir(), "bare")
	args := append([]string{"-O2", "-o", program, "testdata/bare/bare.c"}, strings.Fields(string(flags))...)
	if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(program, path, params, "300000").Output()
	if err != nil {
		b.Fatal(err)
	}
	cost, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		b.Fatal(err)
	}
	return cost
}
