package main

import (
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"ticketing/internal/node"
)

// serveAdmin answers metrics and profiles until the listener closes. It is for operators on this machine only.
func serveAdmin(ln net.Listener, n *node.Node) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", n.Metrics())
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	err := s.Serve(ln)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
