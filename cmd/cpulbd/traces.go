package main

import (
	"context"
	"time"

	"cpulb/cmd/version"
	"cpulb/daemon/config"
	"cpulb/daemon/tracing"
	"cpulb/daemon/tracing/otlp"

	"github.com/hashicorp/go-hclog"
)

// lastSpans is for how long the daemon's end waits for a collector.
const lastSpans = 2 * time.Second

// sendSpans returns who takes the spans of tasks, nil without an endpoint, and what sends the
// last of them.
func sendSpans(c config.Tracing, log hclog.Logger) (tracing.Sink, func(), error) {
	if c.Endpoint == "" {
		return nil, func() {}, nil
	}
	x, err := otlp.New(context.Background(), otlp.Options{Endpoint: c.Endpoint, Protocol: c.Protocol, Version: version.Text(), Log: log.Named("tracing")})
	if err != nil {
		return nil, nil, err
	}
	return x, func() {
		ctx, cancel := context.WithTimeout(context.Background(), lastSpans)
		defer cancel()
		if err := x.Shutdown(ctx); err != nil {
			log.Warn("the last spans were not sent", "error", err)
		}
	}, nil
}
