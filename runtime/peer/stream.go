package peer

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	maxHeader = 4096 // bytes behind the length
	maxReason = 255  // bytes
)

// stream is an open connection: of "ticketing/1" for a purpose, or one that gRPC accepted. Close ends it and forgets it.
type stream struct {
	*tls.Conn
	p       *Peers
	node    string
	purpose string
}

// Close implements net.Conn.
func (s *stream) Close() error {
	s.p.forget(s)
	return s.Conn.Close()
}

func (p *Peers) forget(s *stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, s)
}

// keep remembers a stream, so that Close ends it. For an accepted one, the caller starts a handler.
func (p *Peers) keep(s *stream, accepted int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping() {
		return errClosed
	}
	p.conns[s] = struct{}{}
	p.running.Add(accepted)
	return nil
}

func encodeHeader(purpose string, arg []byte) ([]byte, error) {
	n := 1 + len(purpose) + len(arg)
	if len(purpose) > 255 || n > maxHeader {
		return nil, fmt.Errorf("the header of a stream has %d bytes; at most %d are allowed", n, maxHeader)
	}
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 2+n), uint16(n))
	b = append(append(b, byte(len(purpose))), purpose...)
	return append(b, arg...), nil
}

func readHeader(r io.Reader) (purpose string, arg []byte, err error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return "", nil, err
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	if n < 1 || n > maxHeader {
		return "", nil, refusef("header", "it sent a header of %d bytes; 1 to %d are allowed", n, maxHeader)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", nil, err
	}
	if 1+int(b[0]) > n {
		return "", nil, refusef("header", "it sent a header that makes no sense")
	}
	return string(b[1 : 1+b[0]]), b[1+b[0]:], nil
}

// readStatus reads the answer to a header.
func readStatus(r io.Reader) error {
	var n [1]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return err
	}
	if n[0] == 0 {
		return nil
	}
	reason := make([]byte, n[0])
	if _, err := io.ReadFull(r, reason); err != nil {
		return err
	}
	return &Refused{Reason: string(reason)}
}

// Refused says that the other node accepted the connection, and refused what it was for.
type Refused struct {
	Node   string // who refused
	Reason string // the other node's sentence
}

func (r *Refused) Error() string { return "node " + r.Node + " refuses: " + r.Reason }

var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}

// DialContext makes a bare TCP connection to a node. It is for gRPC, whose credentials then check who answers.
func (p *Peers) DialContext(ctx context.Context, node string) (net.Conn, error) {
	address, ok := p.cfg.Resolve(node)
	if !ok {
		return nil, fmt.Errorf("node %s is not a member of this cluster", node)
	}
	return p.dial(ctx, address)
}

func (p *Peers) dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive}
	return d.DialContext(ctx, "tcp", address)
}

// Open opens a stream to a member, whose certificate must name it. The error is a [*Refused] if the other node does not want it. ctx
// bounds only the opening.
func (p *Peers) Open(ctx context.Context, node, purpose string, arg []byte) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Handshake)
	defer cancel()
	raw, err := p.DialContext(ctx, node)
	if err != nil {
		return nil, err
	}
	s, err := p.open(ctx, raw, node, purpose, arg)
	if err != nil {
		return nil, fmt.Errorf("connecting to node %s at %s: %w", node, raw.RemoteAddr(), err)
	}
	return s, nil
}

// OpenAt opens a stream to an address whose node is not known, and returns the node's name.
func (p *Peers) OpenAt(ctx context.Context, address, purpose string, arg []byte) (net.Conn, string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Handshake)
	defer cancel()
	raw, err := p.dial(ctx, address)
	if err != nil {
		return nil, "", err
	}
	s, err := p.open(ctx, raw, "", purpose, arg)
	if err != nil {
		return nil, "", fmt.Errorf("connecting to %s: %w", address, err)
	}
	return s, s.node, nil
}

// open makes a stream out of a connection, which it closes on an error.
func (p *Peers) open(ctx context.Context, raw net.Conn, node, purpose string, arg []byte) (_ *stream, err error) {
	header, err := encodeHeader(purpose, arg)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	m := p.keeper.get()
	s := &stream{tls.Client(raw, p.client(m, node, protoStream)), p, node, purpose}
	err = s.request(ctx, header)
	if err == nil && !stop() {
		err = ctx.Err()
	}
	if err == nil {
		err = p.keep(s, 0)
	}
	if err != nil {
		_ = raw.Close()
		return nil, p.explainDial(s, err)
	}
	return s, nil
}

func (s *stream) request(ctx context.Context, header []byte) error {
	if err := s.HandshakeContext(ctx); err != nil {
		return err
	}
	state := s.ConnectionState()
	if state.NegotiatedProtocol != protoStream {
		return errors.New("the other side does not know streams")
	}
	_, s.node, _ = identity(state.PeerCertificates[0]) // it was verified
	if _, err := s.Write(header); err != nil {
		return err
	}
	return readStatus(s)
}

// ErrCertificate says that one side does not accept the other's certificate: it is of another cluster or node, or its time is over. Trying
// again does not help.
var ErrCertificate = errors.New("a certificate is not accepted")

// explainDial says what went wrong while a stream was opened.
func (p *Peers) explainDial(s *stream, err error) error {
	var refused *Refused
	var bad *refusal // of verify
	var op *net.OpError
	switch {
	case errors.As(err, &refused):
		refused.Node = s.node
	case errors.As(err, &bad) && err != errClosed:
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	case errors.As(err, &op) && op.Op == "remote error": // an alert of TLS
		return fmt.Errorf("%w: the other side refuses this node's: %w", ErrCertificate, err)
	}
	return err
}
