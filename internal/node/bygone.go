package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// recoveryPurpose names streams on which a node says which recovery of the cluster it knows (8 bytes, big endian; 0: none). Whoever has a
// certificate may ask, member or not: it is how nodes that were left behind find that out.
const recoveryPurpose = "recovery"

// bygoneEvery is how often a node asks others for a recovery that it does not know.
const bygoneEvery = 10 * time.Second

// recovery is the number of the last recovery that this node knows.
func (m *members) recovery() uint64 {
	if k := m.known.Load(); k != nil {
		return k.Recovery
	}
	return 0
}

// sayRecovery answers which recovery this node knows.
func (n *Node) sayRecovery(conn net.Conn, _ string, _ []byte) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(pingTimeout))
	_, _ = conn.Write(binary.BigEndian.AppendUint64(nil, n.members.recovery()))
}

// bygone asks all addresses that this node has ever heard of whether the cluster was recovered without it. After that its data are of the past:
// it must neither lead nor vote, even if a majority of the nodes from before is here. Who does not answer is no reason to stop.
func (n *Node) bygone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	asked := map[string]bool{n.cfg.Advertised(): true}
	addresses := n.cfg.ClusterJoin
	m, _ := n.members.current()
	for i := range m.Members {
		addresses = append(addresses[:len(addresses):len(addresses)], m.Members[i].Address)
	}
	found, open := make(chan error), 0
	for _, address := range addresses {
		if address != "" && !asked[address] {
			asked[address] = true
			open++
			go func() { found <- n.bygoneBy(ctx, address) }()
		}
	}
	var first error
	for range open {
		if err := <-found; first == nil {
			first = err
		}
	}
	return first
}

// bygoneBy asks one address.
func (n *Node) bygoneBy(ctx context.Context, address string) error {
	conn, node, err := n.peers.OpenAt(ctx, address, recoveryPurpose, nil)
	if err != nil {
		return nil
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(pingTimeout))
	var b [8]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return nil
	}
	if binary.BigEndian.Uint64(b[:]) <= n.members.recovery() {
		return nil
	}
	return fmt.Errorf("the cluster was recovered without this node, as %s at %s says; to come back it needs an empty data directory and a new join token", node, address)
}

// watchBygone ends a node that was left behind by a recovery.
func (n *Node) watchBygone(running context.Context) {
	for running.Err() == nil {
		if err := n.bygone(running); err != nil && running.Err() == nil {
			n.opts.Fatal(err)
			return
		}
		n.pause(running, bygoneEvery)
	}
}
