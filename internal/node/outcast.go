package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"ticketing/runtime/peer"
)

// helloPurpose names streams that say nothing: that one is accepted, or why not, is the answer.
const helloPurpose = "hello"

// outcastAfter is how many times in a row, a second apart, most other nodes must refuse this one before it believes that it was removed. A
// single node may have an old map.
const outcastAfter = 5

// outcast counts how often this node was refused. A node that was removed hears no more of the map, so it has to be told.
type outcast struct{ rounds int }

// look asks the other nodes whether they still know this one, after it could not report. It ends the node if they do not.
func (o *outcast) look(ctx context.Context, n *Node) {
	m, ok := n.members.current()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reportEvery)
	defer cancel()
	others, refusals := 0, make(chan *peer.Refused, len(m.Members))
	for _, member := range m.Members {
		if member.Node == n.name {
			continue
		}
		others++
		go func() { refusals <- n.refusedBy(ctx, member.Node) }()
	}
	refused, last := 0, (*peer.Refused)(nil)
	for range others {
		if r := <-refusals; r != nil {
			refused, last = refused+1, r
		}
	}
	if 2*refused <= others {
		o.rounds = 0
		return
	}
	if o.rounds++; o.rounds >= outcastAfter {
		n.opts.Fatal(fmt.Errorf("the cluster does not know this node any more: %w", last))
	}
}

// refusedBy says hello to a node, and returns its refusal.
func (n *Node) refusedBy(ctx context.Context, node string) *peer.Refused {
	conn, err := n.peers.Open(ctx, node, helloPurpose, nil)
	if err == nil {
		_ = conn.Close()
	}
	var r *peer.Refused
	if errors.As(err, &r) {
		return r
	}
	return nil
}

// hello answers that a node is known.
func hello(conn net.Conn, _ string, _ []byte) {
	_ = conn.SetDeadline(time.Now().Add(reportEvery))
	_ = conn.Close()
}
