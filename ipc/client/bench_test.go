package client_test

import (
	"context"
	"testing"

	"cpulb/ipc"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

// The socket API's own share of a round trip: the engine ends tasks at once.
func BenchmarkRoundTrip(b *testing.B) {
	s := benchStream(b)
	for b.Loop() {
		if _, err := s.Do(context.Background(), newTask(ipctest.Echo)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPipelined(b *testing.B) {
	s := benchStream(b)
	const window = 256
	pending := make(chan *client.Pending, window)
	go func() {
		defer close(pending)
		for b.Loop() {
			p, err := s.Submit(context.Background(), newTask(ipctest.Echo))
			if err != nil {
				b.Error(err)
				return
			}
			pending <- p
		}
	}()
	for p := range pending {
		if _, err := p.Result(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func benchStream(b *testing.B) *client.Stream {
	socket, _ := ipctest.Serve(b, ipctest.New(), ipc.Options{})
	s, err := client.New(socket).OpenStream(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}
