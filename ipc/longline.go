package ipc

import (
	"bufio"
	"bytes"
	"context"
	"io"
)

const (
	// firstBlock is the room for a line that is just too long for the buffer of the
	// connection; each further block is twice as large, up to lastBlock.
	firstBlock = 2 * lineBuffer
	lastBlock  = 8 << 20
)

// longLine is a line that is longer than the buffer of its connection. Its length is not
// known before its end: it comes in blocks, and is joined when it is complete, so that it is
// moved once. What it takes is hold's, before it is taken.
type longLine struct {
	hold *hold
	// most is how much of it is kept, which shows that it is too long.
	most   int64
	blocks [][]byte
	size   int64 // of the text in them
}

// last returns the block that is not full, after it has made one if there is none. The
// error is for the client.
func (b *longLine) last(ctx context.Context) (*[]byte, error) {
	n := len(b.blocks)
	if n > 0 && cap(b.blocks[n-1])-len(b.blocks[n-1]) >= lineBuffer {
		return &b.blocks[n-1], nil
	}
	size := int64(firstBlock)
	if n > 0 {
		size = min(2*int64(cap(b.blocks[n-1])), lastBlock)
	}
	size = max(min(size, b.most-b.size), lineBuffer)
	if err := b.hold.wait(ctx, size); err != nil {
		return nil, err
	}
	b.blocks = append(b.blocks, make([]byte, 0, size))
	return &b.blocks[n], nil
}

// write adds p, of at most lineBuffer bytes, and keeps no more of it than shows that the
// line is too long. The error is for the client.
func (b *longLine) write(ctx context.Context, p []byte) error {
	p = p[:min(int64(len(p)), b.most-b.size)]
	if len(p) == 0 {
		return nil
	}
	to, err := b.last(ctx)
	if err != nil {
		return err
	}
	*to = append(*to, p...)
	b.size += int64(len(p))
	return nil
}

// readFrom makes one read of r, whose buffer is empty, without a copy. What comes behind the
// line goes back to ahead, from which r reads. err is as ReadSlice's, refused for the client.
func (b *longLine) readFrom(ctx context.Context, r *bufio.Reader, ahead *ahead) (err, refused error) {
	to, refused := b.last(ctx)
	if refused != nil {
		return bufio.ErrBufferFull, refused
	}
	have := len(*to)
	n, err := r.Read((*to)[have:min(cap(*to), have+aheadBytes)])
	got := (*to)[have : have+n]
	if end := bytes.IndexByte(got, '\n') + 1; end > 0 {
		ahead.text = bytes.Clone(got[end:])
		n, err = end, nil
	} else if err == nil {
		err = bufio.ErrBufferFull
	}
	*to = (*to)[:have+n]
	b.size += int64(n)
	return err, nil
}

// text returns all of it, which stays as it is also when the line is let go. The error is
// for the client.
func (b *longLine) text(ctx context.Context) ([]byte, error) {
	if len(b.blocks) == 1 {
		return b.blocks[0], nil
	}
	if err := b.hold.wait(ctx, b.size); err != nil {
		return nil, err
	}
	whole := make([]byte, 0, b.size)
	for _, block := range b.blocks {
		whole = append(whole, block...)
	}
	b.free()
	b.blocks, b.size = [][]byte{whole}, int64(len(whole))
	return whole, nil
}

// free lets it go, but for the text.
func (b *longLine) free() {
	var size int64
	for _, block := range b.blocks {
		size += int64(cap(block))
	}
	if size > 0 {
		b.hold.give(size)
	}
	b.blocks, b.size = nil, 0
}

// aheadBytes is how much is read at a time of a long line, and so how much of what comes
// behind it at the most.
const aheadBytes = 64 << 10

// ahead is a reader to which something can be given back.
type ahead struct {
	io.Reader
	text []byte
}

// Read implements io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	if len(a.text) == 0 {
		return a.Reader.Read(p)
	}
	n := copy(p, a.text)
	if a.text = a.text[n:]; len(a.text) == 0 {
		a.text = nil
	}
	return n, nil
}
