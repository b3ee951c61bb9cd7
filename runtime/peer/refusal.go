package peer

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// refusal is why a connection was refused. kind is the same for all refusals that need to be reported only once.
type refusal struct {
	kind string
	err  error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refusef(kind, format string, args ...any) error {
	return &refusal{kind, fmt.Errorf(format, args...)}
}

// explain makes a refusal out of what failed while a connection was accepted. It is nil if the other side just left.
func explain(err error) *refusal {
	var r *refusal
	var record tls.RecordHeaderError
	var timeout net.Error
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return nil
	case errors.As(err, &record):
		return &refusal{"plaintext", errors.New("it does not speak TLS")}
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &refusal{"slow", errors.New("it did not say in time who it is and what it wants")}
	}
	return &refusal{"handshake", fmt.Errorf("the handshake failed: %w", err)}
}

// Bounds of the log of refusals.
const (
	refusalEvery = time.Minute
	refusalHosts = 1024 // remembered pairs of reason and host
)

// refusals reports every reason once per host and minute.
type refusals struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	last map[refusalKey]time.Time
}

type refusalKey struct{ kind, host string }

func (r *refusals) report(kind string, from net.Addr, err error) {
	host := "?"
	if from != nil {
		host = from.String()
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
	}
	if r.first(refusalKey{kind, host}) {
		r.log.Warn("a connection was refused", "host", host, "reason", err.Error())
	}
}

// first reports whether a key was not reported within the last minute. Past the bound of remembered keys all others share one.
func (r *refusals) first(k refusalKey) bool {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.last[k]; !known && len(r.last) >= refusalHosts {
		for old, at := range r.last {
			if now.Sub(at) >= refusalEvery {
				delete(r.last, old)
			}
		}
		if len(r.last) >= refusalHosts {
			k = refusalKey{}
		}
	}
	if at, known := r.last[k]; known && now.Sub(at) < refusalEvery {
		return false
	}
	r.last[k] = now
	return true
}
