package client_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"

	"golang.org/x/sys/unix"
)

// These measure the client alone: who answers is another process, which knows nothing
// but where the ids are. cpu-ns/op is what the client's process takes of the processors.

// asPeer makes the test binary that peer.
const asPeer = "CPULB_CLIENT_BENCH_PEER"

func TestMain(m *testing.M) {
	if os.Getenv(asPeer) != "" {
		if err := answerAll(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	end, err := serveExamples()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	end()
	os.Exit(code)
}

// serveExamples serves a daemon for the examples, which find it as programs do.
func serveExamples() (end func(), err error) {
	dir, err := os.MkdirTemp("", "ipc")
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "s")
	l, err := ipc.Listen(ipc.ListenConfig{Path: socket, Mode: 0o600})
	if err != nil {
		return nil, err
	}
	server := ipc.NewServer(ipctest.New(), ipc.Options{BodyBytes: ipctest.BodyBytes})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	return func() {
		_ = server.Shutdown(context.Background()) // nothing is under way
		<-ended
		os.RemoveAll(dir)
	}, os.Setenv("CPULB_SOCKET", socket)
}

func BenchmarkClientRoundTrip(b *testing.B) {
	s := benchPeerStream(b)
	for b.Loop() {
		if _, err := s.Do(context.Background(), newTask("/noop.py")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClientRoundTripWithDeadline(b *testing.B) {
	s := benchPeerStream(b)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for b.Loop() {
		if _, err := s.Do(ctx, newTask("/noop.py")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClient64Deep(b *testing.B) {
	s := benchPeerStream(b)
	left := make(chan struct{}, 64)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range left {
				if _, err := s.Do(context.Background(), newTask("/noop.py")); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for b.Loop() {
		left <- struct{}{}
	}
	close(left)
	all.Wait()
}

func BenchmarkClientSubmissions(b *testing.B) {
	s := benchPeerStream(b)
	pending := make([]*client.Pending, 0, 1000)
	settle := func() {
		for _, p := range pending {
			if _, err := p.Result(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
		pending = pending[:0]
	}
	for b.Loop() {
		p, err := s.Submit(context.Background(), newTask("/noop.py"))
		if err != nil {
			b.Fatal(err)
		}
		if pending = append(pending, p); len(pending) == cap(pending) {
			settle()
		}
	}
	settle()
}

// One operation is one task of a batch of a thousand, with its result.
func BenchmarkClientBatch(b *testing.B) {
	c := client.New(benchPeer(b))
	b.Cleanup(c.Close)
	var tasks []*task.Task
	run := func() {
		batch, err := c.SubmitBatch(context.Background(), tasks)
		if err != nil || len(batch.TaskIDs) != len(tasks) {
			b.Fatal(batch, err)
		}
		n := 0
		for _, err := range c.BatchResults(context.Background(), batch.ID) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != len(tasks) {
			b.Fatalf("%d results of %d", n, len(tasks))
		}
		tasks = tasks[:0]
	}
	for b.Loop() {
		if tasks = append(tasks, newTask("/noop.py")); len(tasks) == 1000 {
			run()
		}
	}
	run()
}

// benchPeer starts the other process and returns its socket.
func benchPeer(b *testing.B) string {
	b.Helper()
	socket := filepath.Join(ipctest.Folder(b), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	l.SetUnlinkOnClose(false)
	f, err := l.File()
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asPeer+"=1")
	cmd.ExtraFiles = []*os.File{f}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	before := cpuTime(b)
	b.Cleanup(func() {
		b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	b.ReportAllocs()
	return socket
}

func benchPeerStream(b *testing.B) *client.Stream {
	b.Helper()
	s, err := client.New(benchPeer(b)).OpenStream(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// cpuTime is what this process has taken, in nanoseconds.
func cpuTime(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// The answers, less what differs.
const (
	peerResult = `"status":"completed","data":{"n":1},"error":null,"stdout":"","stderr":"","truncated":false,"attempts":1,` +
		`"worker":{"id":"cpu-0","executor":"python","pool":"cpu","pid":2177,"core":1,"slot":0},` +
		`"submitted_at":"2026-01-02T03:04:05.663873505Z","started_at":"2026-01-02T03:04:05.666208009Z","finished_at":"2026-01-02T03:04:05.667981152Z",` +
		`"queue_seconds":0.002334305,"run_seconds":0.001773143,"cpu_seconds":0.001773143,"lock_seconds":0.000006149}`
	peerID = len("01a21ae3-a2af-7c99-b030-f795ba2f681e")
)

func answerAll() error {
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	var batch []byte // of the tasks that came last
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/stream", func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: cpulb\r\n\r\n")
		answerLines(conn, bufio.NewReaderSize(rw, 64<<10))
	})
	mux.HandleFunc("POST /v1/batches", func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		var ids []string
		batch = batch[:0]
		for id := range idsIn(body.Bytes()) {
			ids = append(ids, `"`+id+`"`)
			batch = append(batch, `{"task_id":"`+id+`",`+peerResult+"\n"...)
		}
		fmt.Fprintf(w, `{"batch_id":"%s","task_ids":[%s],"errors":[]}`, task.NewID(), strings.Join(ids, ","))
	})
	mux.HandleFunc("GET /v1/batches/{id}/results", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(batch) })
	return http.Serve(l, mux)
}

// answerLines answers all that has come with one write.
func answerLines(conn net.Conn, r *bufio.Reader) {
	var out []byte
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		for id := range idsIn(line) {
			out = append(out, `{"event":"result","task_id":"`+id+`","cursor":"1.2","result":{"task_id":"`+id+`",`+peerResult+"}\n"...)
		}
		if r.Buffered() == 0 {
			if _, err := conn.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
	}
}

func idsIn(text []byte) func(yield func(string) bool) {
	name := []byte(`"task_id":"`)
	return func(yield func(string) bool) {
		for {
			_, rest, found := bytes.Cut(text, name)
			if !found || !yield(string(rest[:peerID])) {
				return
			}
			text = rest[peerID:]
		}
	}
}
