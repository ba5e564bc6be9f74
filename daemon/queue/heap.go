package queue

// heap is a binary heap of items that know their index in it, so that any of
// them can be taken out.
type heap[T any] struct {
	less  func(a, b *Item[T]) bool
	index func(*Item[T]) *int32
	items []*Item[T]
}

func timerIndex[T any](it *Item[T]) *int32 { return &it.rare.timer }
func placeIndex[T any](it *Item[T]) *int32 { return &it.at }
func ageIndex[T any](it *Item[T]) *int32   { return &it.rare.age }
func strayIndex[T any](it *Item[T]) *int32 { return &it.rare.stray }

func older[T any](a, b *Item[T]) bool { return a.seq < b.seq }

// earlier orders the instants; many have the same full second.
func earlier[T any](a, b *Item[T]) bool {
	if x, y := a.when(), b.when(); x != y {
		return x < y
	}
	return a.seq < b.seq
}

// sooner orders the dues.
func sooner[T any](a, b *Item[T]) bool {
	if x, y := a.rare.start, b.rare.start; x != y {
		return x < y
	}
	return a.seq < b.seq
}

// better orders those who wait for one key.
func better[T any](a, b *Item[T]) bool {
	if a.priority != b.priority {
		return a.priority > b.priority
	}
	return a.seq < b.seq
}

func (h *heap[T]) first() *Item[T] {
	if len(h.items) == 0 {
		return nil
	}
	return h.items[0]
}

func (h *heap[T]) push(it *Item[T]) {
	h.items = append(h.items, it)
	h.up(len(h.items) - 1)
}

func (h *heap[T]) remove(it *Item[T]) {
	i := int(*h.index(it))
	last := len(h.items) - 1
	h.items[i] = h.items[last]
	h.items[last] = nil
	h.items = h.items[:last]
	*h.index(it) = -1
	if i < last {
		h.up(h.down(i))
	}
	if cap(h.items) > 64 && len(h.items) < cap(h.items)/4 {
		h.items = append(make([]*Item[T], 0, cap(h.items)/2), h.items...)
	}
}

func (h *heap[T]) up(i int) {
	it := h.items[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(it, h.items[parent]) {
			break
		}
		h.set(i, h.items[parent])
		i = parent
	}
	h.set(i, it)
}

// down moves the item at i below its lesser children and returns where it is.
func (h *heap[T]) down(i int) int {
	it := h.items[i]
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			break
		}
		if child+1 < len(h.items) && h.less(h.items[child+1], h.items[child]) {
			child++
		}
		if !h.less(h.items[child], it) {
			break
		}
		h.set(i, h.items[child])
		i = child
	}
	h.set(i, it)
	return i
}

func (h *heap[T]) set(i int, it *Item[T]) {
	h.items[i] = it
	*h.index(it) = int32(i)
}
