package gateway

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// metrics counts requests by route, method and class of status, on a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refused  prometheus.Counter
	panics   prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ticketing_http_requests_total", Help: "Requests by matched route, method and class of the reply's status.",
		}, []string{"route", "method", "class"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ticketing_http_request_seconds", Help: "Time from the request's last byte to the reply being ready.",
			Buckets: []float64{.0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "method"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ticketing_http_refused_total", Help: "Requests refused before they were routed.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ticketing_http_panics_total", Help: "Panics in handlers.",
		}),
	}
	m.registry.MustRegister(m.requests, m.duration, m.refused, m.panics)
	return m
}

// watch adds what the server knows about its connections.
func (m *metrics) watch(s *fasthttp.Server) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ticketing_http_connections", Help: "Open connections.",
	}, func() float64 { return float64(s.GetOpenConnectionsCount()) }))
}

// watchStreams adds how many clients listen.
func (m *metrics) watchStreams(s *streams) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ticketing_http_streams", Help: "Open streams of server-sent events.",
	}, func() float64 { return float64(s.number()) }))
}

// series is a route's metrics, looked up once.
type series struct {
	class    [6]prometheus.Counter // 1xx at 1 … 5xx at 5
	duration prometheus.Observer
}

func (m *metrics) series(method, pattern string) *series {
	s := &series{duration: m.duration.WithLabelValues(pattern, method)}
	for i := range s.class {
		s.class[i] = m.requests.WithLabelValues(pattern, method, strconv.Itoa(i)+"xx")
	}
	return s
}

func (s *series) observe(status int, took time.Duration) {
	if i := status / 100; i >= 0 && i < len(s.class) {
		s.class[i].Inc()
	}
	s.duration.Observe(took.Seconds())
}

// Registry holds the gateway's metrics, for the admin listener.
func (g *Gateway) Registry() prometheus.Gatherer { return g.metrics.registry }

// accessLevel is the level of the access log.
const accessLevel = slog.LevelDebug

// logAccess writes one line about a request: never a query string, a header that proves something, or a body.
func (g *Gateway) logAccess(c *call, status int, took time.Duration) {
	attrs := []slog.Attr{
		slog.String("request", requestID(c.RequestCtx)), slog.String("method", string(c.Method())),
		slog.String("route", c.route.pattern), slog.String("path", string(c.URI().PathOriginal())),
		slog.Int("status", status), slog.Duration("took", took), slog.String("from", c.RemoteIP().String()),
	}
	if c.who != nil {
		attrs = append(attrs, slog.String("user", c.who.user.String()))
	}
	g.log.LogAttrs(context.Background(), accessLevel, "request", attrs...)
}
