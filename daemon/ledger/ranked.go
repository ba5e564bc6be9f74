package ledger

import "container/heap"

// ranked has the least of its members first, by less. Each member knows its place in it,
// so that any can be taken out or moved in O(log n).
type ranked[T any] struct {
	all   []T
	less  func(a, b T) bool
	place func(T) *int
}

func (h *ranked[T]) add(x T)      { heap.Push((*ranking[T])(h), x) }
func (h *ranked[T]) take(x T)     { heap.Remove((*ranking[T])(h), *h.place(x)) }
func (h *ranked[T]) moved(x T)    { heap.Fix((*ranking[T])(h), *h.place(x)) }
func (h *ranked[T]) len() int     { return len(h.all) }
func (h *ranked[T]) first() (x T) { return h.all[0] }

// ranking implements heap.Interface for a ranked.
type ranking[T any] ranked[T]

func (h *ranking[T]) Len() int           { return len(h.all) }
func (h *ranking[T]) Less(i, j int) bool { return h.less(h.all[i], h.all[j]) }
func (h *ranking[T]) Swap(i, j int) {
	h.all[i], h.all[j] = h.all[j], h.all[i]
	*h.place(h.all[i]), *h.place(h.all[j]) = i, j
}

func (h *ranking[T]) Push(x any) {
	*h.place(x.(T)) = len(h.all)
	h.all = append(h.all, x.(T))
}

func (h *ranking[T]) Pop() any {
	last := len(h.all) - 1
	x := h.all[last]
	var none T
	h.all[last] = none
	h.all = h.all[:last]
	return x
}
