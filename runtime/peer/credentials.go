package peer

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"
)

// Info is what gRPC knows of an authenticated connection (peer.Peer.AuthInfo there).
type Info struct {
	credentials.TLSInfo
	Node string // who is at the other end
}

// PeerNode returns who is at the other end.
func (i Info) PeerNode() string { return i.Node }

// Credentials returns what gRPC connects and accepts with. A client's target is a node's name, dialed by [Peers.DialContext]. A server's
// listener is the node's one port: streams are taken out before gRPC sees them.
func (p *Peers) Credentials() credentials.TransportCredentials { return grpcCredentials{p} }

type grpcCredentials struct{ p *Peers }

// ClientHandshake implements credentials.TransportCredentials.
func (c grpcCredentials) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	node := authority
	if host, _, err := net.SplitHostPort(authority); err == nil {
		node = host
	}
	if !validNode(node) {
		return nil, nil, badNode(node)
	}
	ctx, cancel := context.WithTimeout(ctx, c.p.cfg.Handshake)
	defer cancel()
	conn := tls.Client(raw, c.p.client(c.p.keeper.get(), node, protoActors))
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, nil, err
	}
	return conn, info(conn, node), nil
}

// ServerHandshake implements credentials.TransportCredentials.
func (c grpcCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	from := raw.RemoteAddr()
	a, err := c.serve(raw)
	if err != nil {
		if err != credentials.ErrConnDispatched {
			c.p.refused(from, err)
		}
		return nil, nil, err // gRPC closes the connection, unless it is dispatched
	}
	s := &stream{a.Conn, c.p, a.node, Actors}
	if err := c.p.keep(s, 0); err != nil {
		return nil, nil, err
	}
	return s, info(a.Conn, a.node), nil
}

func (c grpcCredentials) serve(raw net.Conn) (*accepted, error) {
	leave, err := c.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	a, err := c.p.shake(raw, func(m *material) *tls.Config { return m.both })
	if err != nil {
		return nil, err
	}
	switch a.ConnectionState().NegotiatedProtocol {
	case protoActors:
		if err := c.p.cfg.Admit(a.node, Actors); err != nil {
			return nil, refusef("not admitted: "+a.node+" "+Actors, "%w", err)
		}
		return a, nil
	case protoStream:
		a.raw.detach()
		if err := c.p.receive(a); err != nil {
			return nil, err
		}
		return nil, credentials.ErrConnDispatched
	}
	return nil, refusef("protocol", "it names no protocol that this node speaks")
}

func info(conn *tls.Conn, node string) Info {
	return Info{credentials.TLSInfo{State: conn.ConnectionState(), CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}, node}
}

// Info implements credentials.TransportCredentials.
func (c grpcCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone implements credentials.TransportCredentials.
func (c grpcCredentials) Clone() credentials.TransportCredentials { return c }

// OverrideServerName implements credentials.TransportCredentials. Nodes have no other names.
func (c grpcCredentials) OverrideServerName(string) error { return nil }
