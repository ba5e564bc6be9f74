package share_test

import (
	"fmt"
	"testing"

	"cpulb/internal/share"
)

// One operation is what a caller takes and gives back, beside so many others who have some.
func BenchmarkTakeGive(b *testing.B) {
	for _, callers := range []int{1, 1000} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			p := share.NewPool(1 << 30)
			for uid := range uint32(callers) {
				p.Force(share.Caller{UID: uid}, 100)
			}
			b.ReportAllocs()
			for i := uint32(0); b.Loop(); i++ {
				c := share.Caller{UID: i % uint32(callers)}
				if !p.Take(c, 100) {
					b.Fatal("no room")
				}
				p.Give(c.UID, 100)
			}
		})
	}
}

func BenchmarkTakeGiveParallel(b *testing.B) {
	p := share.NewPool(1 << 30)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for c := (share.Caller{UID: 1}); pb.Next(); p.Give(c.UID, 100) {
			p.Take(c, 100)
		}
	})
}
