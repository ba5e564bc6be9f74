package balancer

import (
	"math"
	"math/bits"
)

// key orders items by first, then second, then third; absent never wins.
type key struct{ first, second, third uint64 }

var absent = key{first: math.MaxUint64}

// less compares keys as numbers of three words. All of it is one subtraction, as a
// branch for each word would be mistaken by the processor half of the time.
func (k key) less(l key) bool {
	_, borrow := bits.Sub64(k.third, l.third, 0)
	_, borrow = bits.Sub64(k.second, l.second, borrow)
	_, borrow = bits.Sub64(k.first, l.first, borrow)
	return borrow != 0
}

// tournament knows the item with the least key. Each item has a leaf of a complete
// binary tree; each inner node knows the winner below it. Unlike a heap's, its items
// never move, so its keys lie side by side and an item need not know its place; a
// change costs one walk up, which mostly ends early.
type tournament[T any] struct {
	keys   []key // by leaf
	items  []T
	winner []int32 // by node; 1 is the root, 2n and 2n+1 are below n
	unused []int   // leaves
}

// add enters an item, absent at first, and returns its leaf.
func (t *tournament[T]) add(item T) int {
	if len(t.unused) == 0 {
		t.grow(max(2, 2*len(t.keys)))
	}
	leaf := t.unused[len(t.unused)-1]
	t.unused = t.unused[:len(t.unused)-1]
	t.items[leaf] = item
	return leaf
}

// addAt enters an item at the leaf that another tournament, to which all items are
// added at the same time, has for it. Such a one is never asked for a leaf itself.
func (t *tournament[T]) addAt(leaf int, item T) {
	for leaf >= len(t.keys) {
		t.grow(max(2, 2*len(t.keys)))
	}
	t.items[leaf] = item
}

// remove frees a leaf.
func (t *tournament[T]) remove(leaf int) {
	t.set(leaf, absent)
	var none T
	t.items[leaf] = none
	t.unused = append(t.unused, leaf)
}

// best returns the item with the least key; the zero T: all are absent.
func (t *tournament[T]) best() (T, key) {
	if len(t.keys) == 0 || t.keys[t.winner[1]] == absent {
		var none T
		return none, absent
	}
	return t.items[t.winner[1]], t.keys[t.winner[1]]
}

// set changes the key of a leaf.
func (t *tournament[T]) set(leaf int, k key) {
	if t.keys[leaf] == k {
		return
	}
	t.keys[leaf] = k
	won := int32(leaf)
	for node := leaf + len(t.keys); node > 1; node /= 2 {
		// Keys differ, but for absent ones, so it is the same whoever is asked first.
		if rival := t.below(node ^ 1); t.keys[rival].less(t.keys[won]) {
			won = rival
		}
		above := node / 2
		if t.winner[above] == won && int(won) != leaf {
			return // the same with the same key, so nothing changes further up
		}
		t.winner[above] = won
	}
}

// play returns which leaf wins at a node.
func (t *tournament[T]) play(node int) int32 {
	left, right := t.below(2*node), t.below(2*node+1)
	if t.keys[right].less(t.keys[left]) {
		return right
	}
	return left
}

func (t *tournament[T]) below(node int) int32 {
	if node >= len(t.keys) {
		return int32(node - len(t.keys))
	}
	return t.winner[node]
}

// grow makes room for size leaves, a power of two.
func (t *tournament[T]) grow(size int) {
	keys, items := t.keys, t.items
	t.keys, t.items, t.winner = make([]key, size), make([]T, size), make([]int32, size)
	copy(t.keys, keys)
	copy(t.items, items)
	for leaf := size - 1; leaf >= len(keys); leaf-- {
		t.keys[leaf] = absent
		t.unused = append(t.unused, leaf)
	}
	for node := size - 1; node > 0; node-- {
		t.winner[node] = t.play(node)
	}
}
