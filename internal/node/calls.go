package node

import (
	"context"

	"ticketing"
	"ticketing/runtime/wire"
)

// Calls between nodes, besides questions to shards. The numbers are on the wire: never use one for anything else.
const (
	callPoll = iota + 1
	callLog
	callLast
	callAck
	callReport
	callJoin
	callChange
	callPrepare
	callStatus
	callSetMember
	callFreeze
	callReached
	callPing
	callUsage
	callLogs
)

type nothing struct{}

// call asks a node, which may be this one.
func call[R, Q any](ctx context.Context, n *Node, node string, op byte, q Q) (r R, err error) {
	b, err := n.sys.Call(ctx, node, op, wire.Marshal(q))
	if err != nil {
		return r, err
	}
	return r, wire.Unmarshal(b, &r)
}

// answer says who answers a call.
func answer[Q, R any](n *Node, op byte, fn func(ctx context.Context, from string, q Q) (R, error)) {
	n.sys.HandleCall(op, func(ctx context.Context, from string, request []byte) ([]byte, error) {
		var q Q
		if err := wire.Unmarshal(request, &q); err != nil {
			return nil, &ticketing.Error{Kind: ticketing.Unavailable, Msg: "This node does not understand the call; it may be of another version.", Err: err}
		}
		r, err := fn(ctx, from, q)
		if err != nil {
			return nil, err
		}
		return wire.Marshal(r), nil
	})
}
