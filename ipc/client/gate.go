package client

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// gate lets no request pass once its Client is closed, also not on a connection that was in
// use then and has been kept.
type gate struct {
	shared *shared
	*http.Transport
}

// RoundTrip implements http.RoundTripper.
func (g gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.shared.open(); err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	resp, err := g.Transport.RoundTrip(r)
	if err != nil && r.Context().Err() == nil && endedUnasked(err) {
		return nil, fmt.Errorf("the daemon ended the connection before it was asked: %w", io.EOF)
	}
	return resp, err
}

// endedUnasked reports whether err says that a connection ended before a request was on it, for
// which net/http has an error of its own that only its text tells, or one of the connection that it has
// closed then.
func endedUnasked(err error) bool {
	return err.Error() == "http: server closed idle connection" || errors.Is(err, net.ErrClosed)
}
