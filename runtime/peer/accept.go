package peer

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
	"unicode/utf8"
)

// linger is how long a refused peer may take to read why.
const linger = time.Second

// enter takes a place among the handshakes; leave gives it back.
func (p *Peers) enter() (leave func(), err error) {
	select {
	case p.waiting <- struct{}{}:
	default:
		return nil, refusef("too many", "too many connections are being made at once")
	}
	t := time.NewTimer(p.cfg.Handshake)
	defer t.Stop()
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots; <-p.waiting }, nil
	case <-t.C:
		<-p.waiting
		return nil, refusef("too many", "too many connections are being made at once")
	}
}

// movable is a connection whose socket can be moved to another file descriptor below TLS.
type movable struct{ net.Conn }

// detach moves the socket, so that nobody who knows the old connection has a hold on it: gRPC clears the deadlines of connections that
// it has given away. Where that is not possible, the connection stays.
func (m *movable) detach() {
	tcp, ok := m.Conn.(*net.TCPConn)
	if !ok {
		return
	}
	f, err := tcp.File()
	if err != nil {
		return
	}
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return
	}
	_ = tcp.Close()
	m.Conn = c
	m.keepAlive()
}

func (m *movable) keepAlive() {
	if tcp, ok := m.Conn.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive)
	}
}

// accepted is a connection whose other side has shown a valid certificate.
type accepted struct {
	*tls.Conn
	raw  *movable
	node string
}

// shake makes a TLS connection out of an accepted one, within the time of a handshake.
func (p *Peers) shake(raw net.Conn, config func(*material) *tls.Config) (*accepted, error) {
	a := &accepted{raw: &movable{raw}}
	a.raw.keepAlive()
	if err := raw.SetDeadline(time.Now().Add(p.cfg.Handshake)); err != nil {
		return nil, err
	}
	a.Conn = tls.Server(a.raw, config(p.keeper.get()))
	if err := a.Handshake(); err != nil {
		var bad *tls.CertificateVerificationError
		if errors.As(err, &bad) && len(bad.UnverifiedCertificates) > 0 {
			err = explainVerify(bad.Err, bad.UnverifiedCertificates[0], p.cfg.Now())
		}
		return nil, err
	}
	_, a.node, _ = identity(a.ConnectionState().PeerCertificates[0]) // it was verified
	return a, nil
}

// receive reads what a stream is for, and starts its handler or says why not. It owns the connection.
func (p *Peers) receive(a *accepted) error {
	err := p.start(a)
	if err != nil {
		var r *refusal
		if errors.As(err, &r) && err != errClosed { // that this node stops says nothing about the other
			a.refuse(r.Error())
		}
		_ = a.raw.Close()
	}
	return err
}

func (p *Peers) start(a *accepted) error {
	purpose, arg, err := readHeader(a)
	if err != nil {
		return err
	}
	h, err := p.admit(a.node, purpose, arg)
	if err != nil {
		return err
	}
	s := &stream{a.Conn, p, a.node, purpose}
	if err := p.keep(s, 1); err != nil {
		return err
	}
	_ = a.raw.SetDeadline(time.Now().Add(p.cfg.Handshake))
	if _, err := a.Write([]byte{0}); err != nil {
		p.forget(s)
		p.running.Done()
		return err
	}
	_ = a.raw.SetDeadline(time.Time{})
	p.run(s, purpose, h, arg)
	return nil
}

// admit finds the handler of a stream.
func (p *Peers) admit(node, purpose string, arg []byte) (handler, error) {
	p.mu.Lock()
	h, ok := p.handlers[purpose]
	p.mu.Unlock()
	if err := p.cfg.Admit(node, purpose); err != nil {
		return h, refusef("not admitted: "+node+" "+purpose, "%w", err)
	}
	if !ok {
		return h, refusef("unknown purpose", "node %s does not know streams for %q", p.cfg.Node, purpose)
	}
	if h.admit != nil {
		if err := h.admit(arg); err != nil {
			return h, refusef("argument of "+purpose, "%w", err)
		}
	}
	return h, nil
}

// refuse tells an authenticated peer why, and waits a moment until it has read that: closing over unread data would take it away.
func (a *accepted) refuse(reason string) {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
		for !utf8.ValidString(reason) {
			reason = reason[:len(reason)-1]
		}
	}
	_ = a.raw.SetDeadline(time.Now().Add(linger))
	if _, err := a.Write(append([]byte{byte(len(reason))}, reason...)); err != nil {
		return
	}
	if a.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, a.raw.Conn, 64<<10)
	}
}

// Serve accepts streams alone, on nodes without gRPC, until the listener or Peers is closed.
func (p *Peers) Serve(ln net.Listener) error {
	p.mu.Lock()
	if p.stopping() {
		p.mu.Unlock()
		return errors.Join(errClosed, ln.Close())
	}
	p.listeners[ln] = struct{}{}
	p.mu.Unlock()
	for delay := time.Duration(0); ; {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // such as too many open files: others must be closed first
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			p.refusals.report("accept", nil, fmt.Errorf("accepting failed: %w", err))
			time.Sleep(delay)
			continue
		}
		delay = 0
		go p.accept(conn)
	}
}

func (p *Peers) accept(conn net.Conn) {
	err := p.serve(conn)
	if err != nil {
		p.refused(conn.RemoteAddr(), err)
		_ = conn.Close()
	}
}

func (p *Peers) serve(conn net.Conn) error {
	leave, err := p.enter()
	if err != nil {
		return err
	}
	defer leave()
	a, err := p.shake(conn, func(m *material) *tls.Config { return m.stream })
	if err != nil {
		return err
	}
	if a.ConnectionState().NegotiatedProtocol != protoStream {
		return refusef("protocol", "it names no protocol that this node speaks")
	}
	return p.receive(a)
}

// refused reports a refusal.
func (p *Peers) refused(from net.Addr, err error) {
	if r := explain(err); r != nil && !p.stopping() {
		p.refusals.report(r.kind, from, r)
	}
}
