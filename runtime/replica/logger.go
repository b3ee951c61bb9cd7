package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// newLogger passes on raft's warnings and errors, but for those of which drop (may be nil) is true.
func newLogger(to *slog.Logger, group string, drop func(args []any) bool) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Level: hclog.Warn, Output: io.Discard})
	l.RegisterSink(&logSink{to.With("group", group), drop})
	return l
}

// dropsConnection reports whether a message is about a connection that ended: nodes stop, and raft says itself whom it cannot reach.
func dropsConnection(args []any) bool {
	for _, a := range args {
		err, ok := a.(error)
		var op net.Error
		if ok && (errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, raft.ErrTransportShutdown) || errors.As(err, &op)) {
			return true
		}
	}
	return false
}

// routine are beginnings of what raft warns of in the course of things: nodes that stop and come back, new replicas that have nothing yet,
// elections. They are logged as debug; a node that does not answer is reported once, by whoever leads the cluster.
var routine = []string{"failed to heartbeat to", "failed to appendEntries to", "failed to contact", "failed to make request", "failed to get previous log",
	"appendEntries rejected", "rejecting pre-vote request", "rejecting vote request", "rejecting appendEntries", "no known peers", "not part of stable configuration",
	"peer has newer term", "failed to pipeline appendEntries", "heartbeat timeout reached", "Election timeout reached", "pre-vote campaign", "aborting pipeline",
	"unable to get address for server", "skipping application of old log", "failed to start pipeline"}

func isRoutine(msg string) bool {
	for _, r := range routine {
		if strings.HasPrefix(msg, r) {
			return true
		}
	}
	return false
}

type logSink struct {
	to   *slog.Logger
	drop func(args []any) bool
}

// Accept implements hclog.SinkAdapter.
func (s *logSink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelWarn
	switch {
	case level < hclog.Warn:
		return
	case level > hclog.Warn:
		to = slog.LevelError
	}
	if isRoutine(msg) {
		to = slog.LevelDebug
	}
	if !s.to.Enabled(context.Background(), to) || s.drop != nil && s.drop(args) {
		return
	}
	for i, a := range args {
		if f, ok := a.(hclog.Format); ok && len(f) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	s.to.Log(context.Background(), to, "raft: "+msg, args...)
}
