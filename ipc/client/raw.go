package client

import (
	"context"
	"net/http"
)

// Get returns the body of the daemon's answer to a GET of path, such as /metrics, as it was
// sent. An answer that is a problem is returned as an *api.Problem. The call is made once.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	_, text, err := c.exchange(ctx, http.MethodGet, path, nil)
	return text, err
}

// Transport returns a way to the daemon for requests that a program makes itself, or passes on
// as a proxy. They go to this Client's daemon, whatever host their URLs name, and their answers
// come back as they are. Each is made once; who connects when no daemon answers gets
// ErrNoDaemon, and who may not connect an error that matches fs.ErrPermission.
func (c *Client) Transport() http.RoundTripper { return transport{c} }

type transport struct{ client *Client }

// RoundTrip implements http.RoundTripper. What is not safe to make twice gets a connection of
// its own: on one that was kept and is dead, nobody could say whether it was carried out.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return t.client.http.Transport.RoundTrip(r)
	}
	return t.client.httpOnce.Transport.RoundTrip(r)
}
