package python

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
)

// BenchmarkCall is a no-op script's call in the worker, from the params' bytes to
// the result's. bare-ns/op is what json.loads, the call and json.dumps cost in a
// bare loop on the same thread in the same run; x-bare is their ratio.
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
}
