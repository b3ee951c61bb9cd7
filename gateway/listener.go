package gateway

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// listener survives running out of files: fasthttp ends Serve on any error of Accept that is not a timeout.
// With tls set its connections speak TLS.
type listener struct {
	net.Listener
	tls     *tls.Config
	full    func() bool // whether there are connections enough; may be nil
	refusal []byte      // what is said to one too many, without TLS
}

// Accept retries what is temporary, such as EMFILE and ECONNABORTED, with growing pauses.
func (l *listener) Accept() (net.Conn, error) {
	pause := 5 * time.Millisecond
	for {
		nc, err := l.Listener.Accept()
		if err == nil {
			if l.full != nil && l.full() {
				l.refuse(nc)
				continue
			}
			c := &conn{Conn: nc}
			if l.tls != nil {
				return &secureConn{tls.Server(c, l.tls), c}, nil
			}
			return c, nil
		}
		var temporary interface{ Temporary() bool }
		if !errors.As(err, &temporary) || !temporary.Temporary() {
			return nil, err
		}
		time.Sleep(pause)
		pause = min(2*pause, time.Second)
	}
}

// refuse tells a client that it is one too many. The few bytes fit into an empty socket's buffer, so that nobody is waited for.
func (l *listener) refuse(nc net.Conn) {
	if l.tls == nil {
		_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = nc.Write(l.refusal)
	}
	nc.Close()
}

// conn is a connection that knows whether it ever carried a request.
type conn struct {
	net.Conn
	used atomic.Bool
}

// secureConn is a conn under TLS. The handshake waits for the worker: Accept must not be held up by silent clients.
type secureConn struct {
	*tls.Conn
	plain *conn
}

// connSet holds the connections that never carried a request: fasthttp's shutdown would wait five seconds for them.
type connSet struct {
	mu      sync.Mutex
	fresh   map[*conn]struct{}
	closing bool // what is accepted from now on is closed at once
}

func (s *connSet) state(nc net.Conn, state fasthttp.ConnState) {
	var c *conn
	switch nc := nc.(type) {
	case *conn:
		c = nc
	case *secureConn:
		c = nc.plain
	default:
		return
	}
	switch state {
	case fasthttp.StateNew:
		s.mu.Lock()
		s.fresh[c] = struct{}{}
		closing := s.closing
		s.mu.Unlock()
		if closing {
			c.Close()
		}
	case fasthttp.StateActive, fasthttp.StateClosed:
		if !c.used.Swap(true) {
			s.mu.Lock()
			delete(s.fresh, c)
			s.mu.Unlock()
		}
	}
}

func (s *connSet) closeFresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for c := range s.fresh {
		c.Close()
	}
}
