package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
)

// The log is a folder of segments, numbered without a gap. Records go to the end of the
// last one; a new one is begun when it is large enough, and at every start.

// format is the version of the log. Formats 1 and 2 were databases (bolt.go).
const format = 4

// oldestFormat is that of the oldest log that is read; what is written to it is of format.
const oldestFormat = 3

const (
	segmentBytes  = 32 << 20 // from which on a new segment is begun
	segmentSuffix = ".segment"
)

func segmentName(number uint64) string { return fmt.Sprintf("%016d%s", number, segmentSuffix) }

// segmentNumber returns the number of the segment with a name.
func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, ok && err == nil && n > 0 && name == segmentName(n)
}

// head is how each segment begins.
type head struct {
	number uint64
	// before is the length of the segment before it; 0: there was none.
	before int64
	// mark is what was known when it was made.
	mark
	// start numbers the starts of the daemon; boot names the machine's, firstOfBoot is
	// the first start in that.
	start, firstOfBoot uint64
	boot               string
}

// The places in a head. All before formatCheck stay the same in all formats.
const (
	headFormat      = 8
	headFormatCheck = 12
	headNumber      = 16
	headBefore      = 24
	headMark        = 32
	headStart       = headMark + markBytes
	headFirstOfBoot = headStart + 8
	headBoot        = headFirstOfBoot + 8
	bootBytes       = 40
	headCheck       = headBoot + bootBytes
	headBytes       = headCheck + 4
)

const magic = "cpulbjnl"

var (
	errNotOurs  = errors.New("it does not begin as a journal's segment does")
	errBadHead  = errors.New("the head of the segment does not match its checksum")
	errNoHead   = errors.New("the segment ends within its head")
	errMisnamed = errors.New("the segment has the name of another one")
)

func (h *head) encode() []byte {
	b := append(make([]byte, 0, headBytes), magic...)
	b = binary.LittleEndian.AppendUint32(b, format)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	b = binary.LittleEndian.AppendUint64(b, h.number)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.before))
	b = h.mark.append(b)
	b = binary.LittleEndian.AppendUint64(b, h.start)
	b = binary.LittleEndian.AppendUint64(b, h.firstOfBoot)
	b = append(b, h.boot[:min(len(h.boot), bootBytes)]...)
	b = append(b, make([]byte, headCheck-len(b))...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// parseHead reads the head of the segment with this number.
func parseHead(b []byte, number uint64) (h head, err error) {
	switch {
	case len(b) < headBytes && (strings.HasPrefix(magic, string(b[:min(len(b), len(magic))])) || bytes.HasPrefix(b, []byte(magic))),
		len(b) >= headBytes && zeros(b[:headBytes]):
		return h, errNoHead
	case !bytes.HasPrefix(b, []byte(magic)):
		return h, errNotOurs
	case crc32.Checksum(b[:headFormatCheck], castagnoli) != binary.LittleEndian.Uint32(b[headFormatCheck:]):
		return h, errBadHead
	}
	if n := binary.LittleEndian.Uint32(b[headFormat:]); n < oldestFormat {
		return h, errBadHead
	} else if n > format {
		return h, fmt.Errorf("%w: it has format %d, and this daemon knows up to %d", ErrNewer, n, format)
	}
	if crc32.Checksum(b[:headCheck], castagnoli) != binary.LittleEndian.Uint32(b[headCheck:]) {
		return h, errBadHead
	}
	h.number = binary.LittleEndian.Uint64(b[headNumber:])
	h.before = int64(binary.LittleEndian.Uint64(b[headBefore:]))
	h.mark, _ = parseMark(b[headMark:])
	h.start = binary.LittleEndian.Uint64(b[headStart:])
	h.firstOfBoot = binary.LittleEndian.Uint64(b[headFirstOfBoot:])
	h.boot = string(bytes.TrimRight(b[headBoot:headBoot+bootBytes], "\x00"))
	if h.number != number {
		return h, errMisnamed
	}
	return h, nil
}

func zeros(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// segment is one segment of an open log.
type segment struct {
	number uint64
	file   file
	size   int64
}

func (s *segment) at(offset int64) position { return position{s.number, offset} }

func (s *segment) end() position { return s.at(s.size) }

// read reads the record at offset, and returns its payload too.
func (s *segment) read(offset int64) (record, []byte, error) {
	header := make([]byte, headerBytes)
	if _, err := s.file.ReadAt(header, offset); err != nil && !errors.Is(err, io.EOF) {
		return record{}, nil, err
	}
	n, err := lengthAt(header, s.at(offset))
	if err != nil {
		return record{}, nil, err
	}
	data := make([]byte, headerBytes+n)
	if _, err := s.file.ReadAt(data, offset); err != nil && !errors.Is(err, io.EOF) {
		return record{}, nil, err
	}
	return payloadOf(data, s.at(offset))
}

// payloadOf is readRecord, and returns the payload too.
func payloadOf(data []byte, p position) (record, []byte, error) {
	r, err := readRecord(data, p)
	if err != nil {
		return r, nil, err
	}
	return r, data[headerBytes:r.size], nil
}

// content reads all of a segment's file, or what is in it up to limit.
func content(f file, limit int64) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	data := make([]byte, min(size, limit))
	n, err := f.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data[:n], nil
}
