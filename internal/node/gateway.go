package node

import (
	"strings"

	"ticketing/gateway"
)

// gatewayConfig is the part of the config that the gateway needs.
func (n *Node) gatewayConfig() gateway.Config {
	return gateway.Config{Dev: n.cfg.Dev, HTTP: n.cfg.Address(), Hosts: n.cfg.Hosts, MaxConns: n.cfg.Connections, Now: n.opts.Now,
		PublicURL: strings.TrimRight(n.cfg.PublicURL, "/"), PasswordMin: n.cfg.PasswordMin, SignUpStrict: n.cfg.SignUpStrict}
}
