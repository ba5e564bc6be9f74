package client

import "net/http"

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
	return g.Transport.RoundTrip(r)
}
