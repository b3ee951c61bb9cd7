// Package trace follows a request through the node with OpenTelemetry: the gateway's span, what it asked of shards, the
// commit of the entry, the delivery of its events to their consumers, and the rules that judged them. Where the parts meet
// only by an event, the context is found by the item that the event is about, in a small memory of this node: nothing travels in commands
// or events, and nothing is stored.
package trace

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"ticketing"
)

// remembered is how many items are known at a time.
const remembered = 4096

// Tracer makes the spans. A nil Tracer makes none, and its methods cost nothing.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer

	mu        sync.Mutex
	asked     memory // the question about an item, or what the rules answered: parents of its events' deliveries
	delivered memory // the delivery of an item to its judges: the parent of the rules
}

// memory keeps the last contexts of items.
type memory struct {
	at   map[ticketing.ID]trace.SpanContext
	ring [remembered]ticketing.ID
	next int
}

func (m *memory) put(k ticketing.ID, c trace.SpanContext) {
	if _, known := m.at[k]; !known {
		delete(m.at, m.ring[m.next])
		m.ring[m.next] = k
		m.next = (m.next + 1) % remembered
	}
	m.at[k] = c
}

// New exports spans by OTLP over HTTP to an endpoint (URL). The ratio of requests that are traced is between 0 and 1; a client's
// traceparent only names the trace that a request belongs to, it does not force more to be kept.
func New(ctx context.Context, endpoint string, ratio float64, log *slog.Logger) (*Tracer, error) {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	log.Info("traces are exported", "endpoint", endpoint, "ratio", ratio)
	return With(sdk.NewBatchSpanProcessor(exporter), ratio), nil
}

// With makes a tracer whose spans go to a processor.
func With(p sdk.SpanProcessor, ratio float64) *Tracer {
	some := sdk.TraceIDRatioBased(ratio)
	t := &Tracer{provider: sdk.NewTracerProvider(sdk.WithSpanProcessor(p), sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "ticketing"))),
		sdk.WithSampler(sdk.ParentBased(some, sdk.WithRemoteParentSampled(some))))}
	t.tracer = t.provider.Tracer("ticketing")
	t.asked.at = make(map[ticketing.ID]trace.SpanContext)
	t.delivered.at = make(map[ticketing.ID]trace.SpanContext)
	return t
}

// Tracer is the source of the gateway's spans; nil if there are none.
func (t *Tracer) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.tracer
}

// Close sends what is left.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Ask begins the span of a question to a shard, and returns what ends it: nil if the request is not traced.
func (t *Tracer) Ask(ctx context.Context, service string, shard int, cmd any) (done func(error)) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return nil
	}
	_, span := t.tracer.Start(ctx, "ask "+service, trace.WithAttributes(attribute.Int("ticketing.shard", shard)))
	if id := subject(cmd); !id.IsZero() {
		// Before it is asked: the event may be delivered before the answer is here.
		t.mu.Lock()
		t.asked.put(id, span.SpanContext())
		t.mu.Unlock()
	}
	return func(err error) {
		if err != nil {
			span.SetAttributes(attribute.String("ticketing.error", ticketing.KindOf(err).String()))
		}
		span.End()
	}
}

// subject is the item that a command's events are about.
func subject(cmd any) ticketing.ID {
	switch c := cmd.(type) {
	case *ticketing.CreatePost:
		return c.ID
	case *ticketing.CreateComment:
		return c.ID
	case *ticketing.EditPost:
		return c.ID
	case *ticketing.EditComment:
		return c.ID
	}
	return ticketing.ID{}
}

// Delivered begins spans for the events that a consumer has pulled, as far as their requests are traced, and returns what ends them: the
// consumer has committed their effects when it asks for more. Nil if there are none.
func (t *Tracer) Delivered(producer, consumer string, judges bool, evs []ticketing.Event) (done func()) {
	if t == nil || len(evs) == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var spans []trace.Span
	for i := range evs {
		parent, ok := t.asked.at[evs[i].Subject]
		if !ok {
			continue
		}
		_, span := t.tracer.Start(trace.ContextWithSpanContext(context.Background(), parent), "deliver "+producer+" to "+consumer,
			trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attribute.String("ticketing.event", evs[i].Type.String())))
		if judges {
			t.delivered.put(evs[i].Subject, span.SpanContext())
		}
		spans = append(spans, span)
	}
	if spans == nil {
		return nil
	}
	return func() {
		for _, s := range spans {
			s.End()
		}
	}
}

// Commits returns what makes spans for a service's entries: from the proposal until they are committed and applied, in the trace of each
// event's cause. Nil if there are no traces.
func (t *Tracer) Commits(service string) func(proposed time.Time, evs []ticketing.Event) {
	if t == nil {
		return nil
	}
	name := "commit " + service
	return func(proposed time.Time, evs []ticketing.Event) {
		t.mu.Lock()
		defer t.mu.Unlock()
		for i := range evs {
			if parent, ok := t.asked.at[evs[i].Subject]; ok {
				_, span := t.tracer.Start(trace.ContextWithSpanContext(context.Background(), parent), name, trace.WithTimestamp(proposed),
					trace.WithAttributes(attribute.Int("ticketing.entry.events", len(evs))))
				span.End()
			}
		}
	}
}

// Engine makes spans for the rules' judgements of items that came by a traced event.
func (t *Tracer) Engine(e ticketing.RuleEngine) ticketing.RuleEngine {
	if t == nil {
		return e
	}
	return engine{e, t}
}

type engine struct {
	ticketing.RuleEngine
	t *Tracer
}

// Open implements ticketing.RuleEngine.
func (e engine) Open(ctx context.Context, set ticketing.RuleSet) (ticketing.Judge, error) {
	return e.t.judge(e.RuleEngine.Open(ctx, set))
}

// judge makes spans of what a judge does.
func (t *Tracer) judge(j ticketing.Judge, err error) (ticketing.Judge, error) {
	if err != nil {
		return nil, err
	}
	return judge{inner: j, t: t}, nil
}

type judge struct {
	inner ticketing.Judge
	t     *Tracer
}

// Next implements ticketing.Judge.
func (j judge) Next(ctx context.Context, set ticketing.RuleSet) (ticketing.Judge, error) {
	return j.t.judge(j.inner.Next(ctx, set))
}

// Close implements ticketing.Judge.
func (j judge) Close() { j.inner.Close() }

// Judge implements ticketing.Judge.
func (j judge) Judge(item *ticketing.Item, state ticketing.RuleState) ticketing.Judgement {
	j.t.mu.Lock()
	parent, ok := j.t.delivered.at[item.ID]
	j.t.mu.Unlock()
	if !ok {
		return j.inner.Judge(item, state)
	}
	_, span := j.t.tracer.Start(trace.ContextWithSpanContext(context.Background(), parent), "rules")
	defer span.End()
	j.t.mu.Lock()
	j.t.asked.put(item.ID, span.SpanContext()) // the decision's delivery belongs here
	j.t.mu.Unlock()
	out := j.inner.Judge(item, state)
	span.SetAttributes(attribute.Int("ticketing.rules", len(out.Outcomes)))
	return out
}
