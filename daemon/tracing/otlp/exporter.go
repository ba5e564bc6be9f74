// Package otlp sends the spans of package tracing to a collector, over OTLP, by OpenTelemetry's
// official SDK.
//
// Guarantees: Span never waits. What the collector does not take, because it is slow, is not there
// or refuses it, is dropped and counted, and the log says so once until it is well again.
// Spans that have not been sent yet are bounded in number.
package otlp

import (
	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	"cpulb/daemon/tracing"

	"github.com/hashicorp/go-hclog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	// batch is how many spans go together, and pause how long the first of them waits for others.
	batch = 512
	pause = time.Second
	// sendTimeout is for one request, and patience for a batch with all its attempts.
	sendTimeout = 5 * time.Second
	patience    = 10 * time.Second
)

// Options is what New needs.
type Options struct {
	// Endpoint is the collector's URL. Its scheme is http or https.
	Endpoint string
	// Protocol is "grpc" or "http/protobuf".
	Protocol string
	// Version is the daemon's.
	Version string
	Log     hclog.Logger
}

// Exporter is a tracing.Sink.
type Exporter struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	log      hclog.Logger

	waiting, sent, dropped atomic.Int64
	// failing: the last batch was not taken, and the log says so.
	failing atomic.Bool
}

// New returns an Exporter; an error is one of the options. It does not connect yet: whether
// anybody is there is seen with the first spans. What the options do not say is as the
// environment has it: OTEL_EXPORTER_OTLP_HEADERS and the other variables of the exporters,
// OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME.
func New(ctx context.Context, o Options) (*Exporter, error) {
	client, err := client(o)
	if err != nil {
		return nil, err
	}
	out, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithAttributes(attribute.String("service.name", "cpulbd"), attribute.String("service.version", o.Version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("tracing: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	// What the SDK has to say would go to stderr, past the log. There is one such place for the process.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { o.Log.Warn("OpenTelemetry", "error", err) }))
	x := &Exporter{log: o.Log}
	x.provider = sdk.NewTracerProvider(sdk.WithSampler(sdk.AlwaysSample()), sdk.WithIDGenerator(given{}), sdk.WithResource(about),
		sdk.WithBatcher(&counted{out, x}, sdk.WithMaxQueueSize(tracing.MostWaiting), sdk.WithMaxExportBatchSize(batch), sdk.WithBatchTimeout(pause), sdk.WithExportTimeout(patience)))
	x.tracer = x.provider.Tracer("cpulbd", trace.WithInstrumentationVersion(o.Version))
	return x, nil
}

func client(o Options) (otlptrace.Client, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("tracing: endpoint: %w", err)
	}
	if o.Protocol == "grpc" {
		return otlptracegrpc.NewClient(otlptracegrpc.WithEndpointURL(u.String()), otlptracegrpc.WithTimeout(sendTimeout),
			otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: time.Second, MaxElapsedTime: sendTimeout})), nil
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	return otlptracehttp.NewClient(otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithTimeout(sendTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: time.Second, MaxElapsedTime: sendTimeout})), nil
}

// Span implements tracing.Sink.
func (x *Exporter) Span(s tracing.Span) {
	if x.waiting.Add(1) > tracing.MostWaiting {
		x.waiting.Add(-1)
		x.dropped.Add(1)
		return
	}
	x.end(s)
}

// Counts implements tracing.Sink.
func (x *Exporter) Counts() (sent, dropped uint64) {
	return uint64(x.sent.Load()), uint64(x.dropped.Load())
}

// Shutdown sends what waits, as long as ctx allows. Spans that come later are lost.
func (x *Exporter) Shutdown(ctx context.Context) error { return x.provider.Shutdown(ctx) }

// counted is an exporter whose spans are counted. Its errors end here.
type counted struct {
	sdk.SpanExporter
	exporter *Exporter
}

// ExportSpans implements sdk.SpanExporter.
func (c *counted) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	c.exporter.answered(len(spans), err)
	return nil
}

// answered counts n spans that the collector has taken, or not.
func (x *Exporter) answered(n int, err error) {
	x.waiting.Add(-int64(n))
	lost := int64(0)
	if err != nil {
		lost = int64(n)
		if some, part := rejected(err); part {
			lost = min(max(some, 0), int64(n)) // 0: it has only something to say
		}
	}
	x.dropped.Add(lost)
	x.sent.Add(int64(n) - lost)
	switch {
	case lost > 0 && !x.failing.Swap(true):
		x.log.Warn("spans can't be sent, or are refused, and are dropped, until this works again", "error", err)
	case lost == 0 && err != nil:
		x.log.Debug("the collector has taken all spans", "warning", err)
	}
	if lost == 0 && x.failing.Swap(false) {
		x.log.Info("spans are sent again", "dropped", x.dropped.Load())
	}
}
