package ledger

// shared holds values that many have in common, once each and by number, for as long as
// somebody uses them.
type shared[T comparable] struct {
	numbers map[T]uint32
	values  []counted[T]
	free    []uint32
	last    uint32 // that was used; most use it again
}

type counted[T comparable] struct {
	value T
	users int
}

// use returns the number of v, until it is dropped as often as it was used.
func (x *shared[T]) use(v T) uint32 {
	if int(x.last) < len(x.values) && x.values[x.last].users > 0 && x.values[x.last].value == v {
		x.values[x.last].users++
		return x.last
	}
	n, ok := x.numbers[v]
	if !ok {
		n = x.number()
		if x.numbers == nil {
			x.numbers = map[T]uint32{}
		}
		x.numbers[v] = n
		x.values[n].value = v
	}
	x.values[n].users++
	x.last = n
	return n
}

// number returns one that is not used.
func (x *shared[T]) number() uint32 {
	if last := len(x.free) - 1; last >= 0 {
		n := x.free[last]
		x.free = x.free[:last]
		return n
	}
	x.values = append(x.values, counted[T]{})
	return uint32(len(x.values) - 1)
}

func (x *shared[T]) value(n uint32) T { return x.values[n].value }

func (x *shared[T]) drop(n uint32) {
	v := &x.values[n]
	if v.users--; v.users > 0 {
		return
	}
	delete(x.numbers, v.value)
	*v = counted[T]{}
	if x.free = append(x.free, n); len(x.numbers) == 0 {
		*x = shared[T]{} // what it had grown to
	}
}
