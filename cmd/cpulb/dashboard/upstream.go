package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"cpulb/daemon/api"
)

// ErrNoDaemon is matched when nobody answers on the socket, ErrNoRight when this user may not
// connect to it.
var (
	ErrNoDaemon = errors.New("no daemon answers")
	ErrNoRight  = errors.New("you may not use the daemon's socket")
)

// mostBytes bounds an answer of the daemon that the dashboard itself reads.
const mostBytes = 16 << 20

// upstream is the daemon as the dashboard sees it.
type upstream struct {
	socket    string
	transport *http.Transport
}

func newUpstream(socket string) *upstream {
	u := &upstream{socket: socket}
	u.transport = &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
			return nil, fmt.Errorf("%w on %s: is cpulbd running?", ErrNoDaemon, socket)
		case errors.Is(err, fs.ErrPermission):
			return nil, fmt.Errorf("%w %s: is your user in its group?", ErrNoRight, socket)
		}
		return conn, err
	}}
	return u
}

// get returns the body of an answer, or the *api.Problem that it is.
func (u *upstream) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://cpulb"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := u.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the daemon's answer: %w", err)
	case len(text) > mostBytes:
		return nil, fmt.Errorf("the daemon's answer to %s has more than %d bytes", path, mostBytes)
	case resp.StatusCode >= http.StatusBadRequest:
		p := &api.Problem{Status: resp.StatusCode, Detail: "the answer is " + resp.Status}
		_ = json.Unmarshal(text, p) // what is no problem is reported by its status line
		return nil, p
	}
	return text, nil
}

// decode is get for an answer that is JSON.
func (u *upstream) decode(ctx context.Context, path string, into any) error {
	text, err := u.get(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("the daemon's answer to %s: %w", path, err)
	}
	return nil
}
