package queue

// line is items in the order in which they came. Any can be taken out.
//
// It has them by number, in chunks, rather than linked to one another: Go's collector then
// meets a million in the order in which they lie in memory, which it is built for, and not
// each by the one before it.
type line[T any] struct {
	// chunks have the items by number, of which begin is the first of the first chunk; front
	// is that of the first item, and back follows that of the last. They go round.
	chunks             []*lineChunk[T]
	begin, front, back uint32
	n                  int
	spare              *lineChunk[T] // to be used again
}

const lineItems = 64

type lineChunk[T any] [lineItems]*Item[T]

// slot is where the item with a number is.
func (l *line[T]) slot(number uint32) **Item[T] {
	i := number - l.begin
	return &l.chunks[i/lineItems][i%lineItems]
}

func (l *line[T]) first() *Item[T] {
	if l.n == 0 {
		return nil
	}
	return *l.slot(l.front)
}

func (l *line[T]) push(it *Item[T]) {
	if l.back-l.begin == uint32(len(l.chunks)*lineItems) {
		c := l.spare
		if l.spare = nil; c == nil {
			c = &lineChunk[T]{}
		}
		l.chunks = append(l.chunks, c)
	}
	*l.slot(l.back) = it
	it.at = int32(l.back)
	l.back++
	l.n++
}

func (l *line[T]) remove(it *Item[T]) {
	number := uint32(it.at)
	*l.slot(number) = nil
	it.at = -1
	switch l.n--; {
	case l.n == 0:
		if len(l.chunks) > 1 {
			l.chunks = []*lineChunk[T]{l.chunks[0]}
		}
		l.begin, l.front, l.back = 0, 0, 0
	case number == l.front:
		l.advance()
	}
	if l.n < len(l.chunks)*lineItems/4-2*lineItems {
		l.shrink()
	}
}

// advance looks for the first item behind the front, which has gone.
func (l *line[T]) advance() {
	for *l.slot(l.front) == nil {
		if l.front++; l.front-l.begin == lineItems {
			l.spare, l.chunks[0] = l.chunks[0], nil
			l.chunks, l.begin = l.chunks[1:], l.front
		}
	}
}

// shrink numbers the few anew that are left of many.
func (l *line[T]) shrink() {
	old := *l
	*l = line[T]{}
	for number := old.front; number != old.back; number++ {
		if it := *old.slot(number); it != nil {
			l.push(it)
		}
	}
}
