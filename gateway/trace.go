package gateway

import (
	"context"

	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// carrier lets OpenTelemetry read a request's headers. It is never written to.
type carrier struct{ h *fasthttp.RequestHeader }

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string { return string(c.h.Peek(key)) }

// Set implements propagation.TextMapCarrier.
func (c carrier) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string { return nil }

// beginSpan opens the span of a request, in the trace that the client's traceparent names. Baggage is not read: it is the client's, and unbounded.
func (c *call) beginSpan() {
	ctx := propagation.TraceContext{}.Extract(context.Background(), carrier{&c.Request.Header})
	_, c.span = c.g.config.Tracer.Start(ctx, c.route.method+" "+c.route.pattern, trace.WithSpanKind(trace.SpanKindServer))
	if !c.span.IsRecording() {
		c.span = nil
		return
	}
	c.span.SetAttributes(attribute.String("http.request.method", c.route.method), attribute.String("http.route", c.route.pattern),
		attribute.String("ticketing.request", requestID(c.RequestCtx)))
}

func (c *call) endSpan(status int) {
	c.span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= 500 {
		c.span.SetStatus(codes.Error, "")
	}
	c.span.End()
}
