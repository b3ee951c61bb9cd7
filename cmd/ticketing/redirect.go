package main

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"ticketing/internal/node"
)

// serveRedirect answers plain HTTP beside the listener with TLS, until the listener closes.
func serveRedirect(ln net.Listener, n *node.Node) error {
	s := &http.Server{Handler: n.Redirect(), ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: 10 * time.Second,
		MaxHeaderBytes: 16 << 10, ErrorLog: log.New(io.Discard, "", 0)} // what it reports is caused by clients
	err := s.Serve(ln)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// onHangup calls reload for every SIGHUP, until stop.
func onHangup(reload func()) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-hangups:
				reload()
			case <-ended:
				return
			}
		}
	}()
	return func() { signal.Stop(hangups); close(ended) }
}
