package otlp

import (
	"cmp"
	"context"
	"fmt"

	"cpulb/daemon/task"
	"cpulb/daemon/tracing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// idKey is for the Context of a span that is being made.
type idKey struct{}

// given takes the ids from there. It implements the SDK's IDGenerator.
type given struct{}

// NewIDs implements sdk.IDGenerator.
func (given) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	c, _ := ctx.Value(idKey{}).(tracing.Context)
	return trace.TraceID(c.Trace), trace.SpanID(c.Span)
}

// NewSpanID implements sdk.IDGenerator.
func (g given) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	_, id := g.NewIDs(ctx)
	return id
}

// spanContext is a Context as the SDK has it.
func spanContext(c tracing.Context) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(c.Trace), SpanID: trace.SpanID(c.Span), TraceFlags: trace.TraceFlags(c.Flags), Remote: true})
}

// end has the SDK make the span and end it.
func (x *Exporter) end(s tracing.Span) {
	ctx := context.WithValue(context.Background(), idKey{}, s.Context)
	if s.Parent.Valid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, spanContext(s.Parent))
	}
	options := []trace.SpanStartOption{trace.WithTimestamp(s.Start), trace.WithSpanKind(kind(s.Name)), trace.WithAttributes(attributes(&s)...)}
	if s.Before.Valid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: spanContext(s.Before)}))
	}
	_, span := x.tracer.Start(ctx, s.Name, options...)
	if s.Error != nil {
		span.SetAttributes(attribute.String("error.type", cmp.Or(s.Error.Code, s.Error.Type)))
		span.SetStatus(codes.Error, fmt.Sprintf("%s: %s", s.Error.Type, task.Clip(s.Error.Message, mostMessage)))
	}
	span.End(trace.WithTimestamp(s.End))
}

// mostMessage bounds what of an error's message stands in a span.
const mostMessage = 1 << 10

func kind(name string) trace.SpanKind {
	switch name {
	case tracing.Submit:
		return trace.SpanKindServer
	case tracing.Run:
		return trace.SpanKindConsumer
	}
	return trace.SpanKindInternal
}

func attributes(s *tracing.Span) []attribute.KeyValue {
	t := s.Task
	all := []attribute.KeyValue{attribute.String("cpulb.task_id", t.ID.String()), attribute.String("cpulb.function", t.Function), attribute.String("cpulb.task_type", string(t.Type)),
		attribute.String("cpulb.pool", s.Pool), attribute.Int("cpulb.priority", t.Priority), attribute.Int64("cpulb.uid", int64(s.Owner))}
	if t.ScriptPath != "" {
		all = append(all, attribute.String("cpulb.script_path", t.ScriptPath))
	}
	if s.Attempt > 0 {
		all = append(all, attribute.Int("cpulb.attempt", int(s.Attempt)))
	}
	if s.Status != task.Pending {
		all = append(all, attribute.String("cpulb.status", s.Status.String()))
	}
	if w := s.Worker; w != nil {
		all = append(all, attribute.String("cpulb.worker", w.ID), attribute.String("cpulb.executor", w.Executor), attribute.Int("cpulb.worker_pid", w.PID),
			attribute.Int("cpulb.core", w.Core), attribute.Int("cpulb.slot", w.Slot))
	}
	return all
}
