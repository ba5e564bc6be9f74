package rawio_test

import (
	"testing"
)

// One operation is one message that is there when it is read.
func BenchmarkWriteRead(b *testing.B) {
	near, far := pair(b)
	message, got := make([]byte, 300), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := near.TryWrite([][]byte{message}); n != len(message) || err != nil {
			b.Fatal(n, err)
		}
		if _, err := far.Read(got); err != nil {
			b.Fatal(err)
		}
	}
}

// One operation is 64 messages in one write.
func BenchmarkWriteMany(b *testing.B) {
	near, far := pair(b)
	messages, got := make([][]byte, 64), make([]byte, 64<<10)
	for i := range messages {
		messages[i] = make([]byte, 300)
	}
	b.ReportAllocs()
	for b.Loop() {
		if n, err := near.TryWrite(messages); n != 64*300 || err != nil {
			b.Fatal(n, err)
		}
		for n := 0; n < 64*300; {
			some, err := far.Read(got)
			if n += some; err != nil {
				b.Fatal(err)
			}
		}
	}
}

// One operation is a message that is waited for and one back.
func BenchmarkReadWaits(b *testing.B) {
	near, far := pair(b)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			if _, err := far.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	message, got := make([]byte, 300), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := near.TryWrite([][]byte{message}); n != len(message) || err != nil {
			b.Fatal(n, err)
		}
		if _, err := near.Read(got); err != nil {
			b.Fatal(err)
		}
	}
}
