package gateway

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"ticketing"
)

// statusOf is where the kinds of errors meet HTTP, and nowhere else. Its index is the kind.
var statusOf = [...]int{
	ticketing.OK:           http.StatusOK,
	ticketing.Internal:     http.StatusInternalServerError,
	ticketing.BadRequest:   http.StatusBadRequest,
	ticketing.Invalid:      http.StatusBadRequest,
	ticketing.NotFound:     http.StatusNotFound,
	ticketing.Unauthorized: http.StatusUnauthorized,
	ticketing.Forbidden:    http.StatusForbidden,
	ticketing.Conflict:     http.StatusConflict,
	ticketing.Precondition: http.StatusPreconditionFailed,
	ticketing.TooLarge:     http.StatusRequestEntityTooLarge,
	ticketing.Unavailable:  http.StatusServiceUnavailable,
	ticketing.Reused:       http.StatusUnprocessableEntity,
	ticketing.Limited:      http.StatusTooManyRequests,
	ticketing.Unsupported:  http.StatusUnsupportedMediaType,
	ticketing.Required:     http.StatusPreconditionRequired,
}

func statusFor(k ticketing.Kind) int {
	if int(k) < len(statusOf) {
		return statusOf[k]
	}
	return http.StatusInternalServerError
}

// details are the sentences for statuses that need no other.
var details = map[int]string{
	http.StatusBadRequest:                  "The request could not be understood.",
	http.StatusUnauthorized:                "Sign in to do this.",
	http.StatusForbidden:                   "You may not do this.",
	http.StatusNotFound:                    "There is nothing here.",
	http.StatusMethodNotAllowed:            "This method is not available here; see the Allow header.",
	http.StatusRequestTimeout:              "The request did not arrive in time.",
	http.StatusRequestEntityTooLarge:       "The request is too large.",
	http.StatusUnsupportedMediaType:        "This media type is not accepted here.",
	http.StatusExpectationFailed:           "Only the expectation 100-continue is known here.",
	http.StatusMisdirectedRequest:          "This server does not answer for that host name.",
	http.StatusRequestHeaderFieldsTooLarge: "The request's header is too large.",
	http.StatusInternalServerError:         "Something went wrong on our side.",
	http.StatusNotImplemented:              "This method is not known here.",
	http.StatusServiceUnavailable:          "The service is not available at the moment. Try again.",
	http.StatusHTTPVersionNotSupported:     "Use HTTP/1.1.",
}

// problem answers with a status of the protocol's own. An empty detail stands for the usual sentence.
func problem(ctx *fasthttp.RequestCtx, status int, detail string) {
	writeProblem(ctx, status, detail, nil)
}

// fail answers with an error of a service or a handler. What is our fault goes to the log; its text goes nowhere else.
func (g *Gateway) fail(c *call, err error) {
	var e *ticketing.Error
	if !errors.As(err, &e) {
		e = &ticketing.Error{Kind: ticketing.Internal, Err: err}
	}
	status := statusFor(e.Kind)
	if status >= 500 {
		g.log.Warn("request failed", "request", requestID(c.RequestCtx), "route", c.route.pattern, "method", c.route.method,
			"status", status, "error", err.Error())
	}
	detail, fields := e.Msg, e.Fields
	if status == http.StatusInternalServerError {
		detail, fields = "", nil
	}
	retryAfter(c, status, e)
	if status == http.StatusUnauthorized {
		if c.route.page && c.route.access > anyone && c.use != forAPI && len(c.Request.Header.Peek("Authorization")) == 0 {
			g.toSignIn(c)
			return
		}
		c.Response.Header.Set("WWW-Authenticate", `Bearer realm="ticketing"`)
	}
	if c.route.page {
		g.failPage(c, status, detail)
		return
	}
	writeProblem(c.RequestCtx, status, detail, fields)
}

// retryAfter tells when to come back.
func retryAfter(c *call, status int, e *ticketing.Error) {
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		wait := max(time.Second, e.RetryAfter+time.Second-1) // whole seconds, rounded up
		c.Response.Header.Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	}
}

// writeProblem writes the one body of every error: RFC 9457 with the member errors.
func writeProblem(ctx *fasthttp.RequestCtx, status int, detail string, fields []ticketing.FieldError) {
	path := ctx.URI().PathOriginal()
	if len(path) > 512 {
		path = nil
	}
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/problem+json")
	ctx.SetBody(problemBody(status, detail, string(path), requestID(ctx), fields))
}

func problemBody(status int, detail, path, request string, fields []ticketing.FieldError) []byte {
	if detail == "" {
		detail = details[status]
	}
	if detail == "" {
		detail = http.StatusText(status) + "."
	}
	b := append(make([]byte, 0, 512), `{"type":"about:blank","title":`...)
	b = appendString(b, http.StatusText(status))
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, `,"detail":`...)
	b = appendString(b, detail)
	if path != "" {
		b = append(b, `,"instance":`...)
		b = appendString(b, path)
	}
	b = append(b, `,"requestId":`...)
	b = appendString(b, request)
	b = append(b, `,"errors":[`...)
	if len(fields) == 0 {
		fields = []ticketing.FieldError{{Message: detail}}
	}
	for i, f := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"message":`...)
		b = appendString(b, f.Message)
		if f.Field != "" {
			b = append(b, `,"field":`...)
			b = appendString(b, f.Field)
		}
		b = append(b, '}')
	}
	return append(b, "]}\n"...)
}

// unauthorized is the one error for every missing or refused proof of who asks.
func unauthorized() error { return ticketing.Errorf(ticketing.Unauthorized, "") }

// notFound is the one error for what is not there or not for the caller's eyes.
func notFound() error { return ticketing.Errorf(ticketing.NotFound, "") }
