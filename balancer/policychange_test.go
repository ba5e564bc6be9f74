package balancer_test

import (
	"fmt"
	"testing"

	"cpulb/balancer"
)

func TestNothingIsFreeThatIsLeasedAfterThePolicyHasChanged(t *testing.T) {
	for _, from := range balancer.Policies() {
		for _, to := range balancer.Policies() {
			t.Run(fmt.Sprint(from, " to ", to), func(t *testing.T) {
				b := balancer.New(balancer.Options{Policy: from})
				b.Add(2)
				b.AddOn(b.NewCores(1), 1)
				b.SetPolicy(to)
				for free := 3; free >= 0; free-- {
					if b.Free() != (free > 0) || b.Fits(epoch, 0) != (free > 0) {
						t.Fatalf("with %d slots left: free %v, fits %v", free, b.Free(), b.Fits(epoch, 0))
					}
					if _, ok := b.Acquire(epoch, 0); ok != (free > 0) {
						t.Fatalf("with %d slots left a place is leased: %v", free, ok)
					}
				}
			})
		}
	}
}
