package adversary_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// foe is who attacks. What it opens stays open until its process ends, unless it closes
// it; errors are what it is there for, and are ignored.
type foe struct {
	ctx            context.Context
	socket, folder string

	mu   sync.Mutex
	held []net.Conn // or they would be collected
}

func isFull(err error) bool { return errors.Is(err, syscall.EAGAIN) }

// over reports whether the attack is to end.
func (f *foe) over() bool { return f.ctx.Err() != nil }

// rest waits a little, for attacks that are of patience.
func (f *foe) rest(d time.Duration) {
	select {
	case <-f.ctx.Done():
	case <-time.After(d):
	}
}

// each runs n of work at a time, again and again.
func (f *foe) each(n int, work func()) {
	for range n {
		go func() {
			for !f.over() {
				work()
			}
		}()
	}
}

// dial returns a connection; nil: there is none to be had.
func (f *foe) dial() net.Conn {
	c, err := (&net.Dialer{}).DialContext(f.ctx, "unix", f.socket)
	if err != nil {
		return nil
	}
	return c
}

// hold keeps a connection open.
func (f *foe) hold(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = append(f.held, c)
}

// request is the head of a request, and what of its body is given.
func request(method, path, headers, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: cpulb\r\n%s\r\n%s", method, path, headers, body)
}

// sized is a request with a whole body.
func sized(method, path, body string) string {
	return request(method, path, fmt.Sprintf("Content-Length: %d\r\n", len(body)), body)
}

// say sends text on a connection of its own, which stays open, and reads nothing.
func (f *foe) say(text string) net.Conn {
	c := f.dial()
	if c == nil {
		f.rest(time.Millisecond)
		return nil
	}
	f.hold(c)
	_, _ = io.WriteString(c, text)
	return c
}

// ask sends a request and returns the answer's status and text; it closes the connection.
func (f *foe) ask(text string) (int, string) {
	c := f.dial()
	if c == nil {
		f.rest(time.Millisecond)
		return 0, ""
	}
	defer c.Close()
	go func() { _, _ = io.WriteString(c, text) }()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, string(answer)
}

const upgrade = "POST /v1/stream HTTP/1.1\r\nHost: cpulb\r\nConnection: Upgrade\r\nUpgrade: cpulb\r\n\r\n"

// stream returns an upgraded connection that stays open; nil: there is none to be had.
func (f *foe) stream() net.Conn {
	c := f.say(upgrade)
	if c == nil {
		return nil
	}
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		c.Close()
		f.rest(time.Millisecond)
		return nil
	}
	return c
}

// task is a task's JSON with these fields more, such as `,"priority":9`.
func (f *foe) task(script, more string) string {
	return fmt.Sprintf(`{"script_path":%q%s}`, filepath.Join(f.folder, script), more)
}

// submitted sends a task as stream lines do.
func (f *foe) submitted(script, more string) string {
	return fmt.Sprintf(`{"op":"submit","task":%s}`, f.task(script, more)) + "\n"
}

// idIn returns the value of a field in an answer.
func idIn(answer, field string) string {
	_, rest, _ := strings.Cut(answer, `"`+field+`":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}
