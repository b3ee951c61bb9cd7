package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/config"
	"ticketing/runtime/peer"
	"ticketing/runtime/wire"
)

// joinPurpose names the streams on which a node asks to be taken in. The argument is a joinRequest; what comes back is a joinReply, then the
// end.
const joinPurpose = "join"

const (
	joinEvery    = time.Second      // between two tries
	joinTimeout  = 10 * time.Second // of one try
	maxJoinReply = 64 << 20
)

type joinRequest struct {
	Address string            `cbor:"1,keyasint"`
	Version string            `cbor:"2,keyasint,omitempty"`
	Formats ticketing.Formats `cbor:"3,keyasint"`
	Token   string            `cbor:"4,keyasint,omitempty"`
	Shards  int               `cbor:"5,keyasint,omitempty"`
}

type joinReply struct {
	Error  *ticketing.Error `cbor:"1,keyasint,omitempty"`
	Joined ticketing.Joined `cbor:"2,keyasint,omitempty"`
}

// peerFiles returns the files of the cluster's authority, and of this node's certificate and its key. What the config holds as text is
// written into the data directory.
func (n *Node) peerFiles() (ca, cert, key string, err error) {
	dir := filepath.Join(n.cfg.Data, "peer")
	file := func(name, value string) string {
		if err != nil || !strings.HasPrefix(strings.TrimSpace(value), "-----BEGIN") {
			return value
		}
		path := filepath.Join(dir, name)
		if err = os.MkdirAll(dir, 0o700); err == nil {
			err = os.WriteFile(path, []byte(value), 0o600)
		}
		return path
	}
	ca, cert, key = file("ca.pem", n.cfg.ClusterCA), file("node.pem", n.cfg.ClusterCert), file("node.key", n.cfg.ClusterKey)
	return ca, cert, key, err
}

// certified returns the ID of the cluster that the config's authority is of; empty for a node that is alone.
func certified(cfg config.Config) (string, error) {
	if !cfg.Clustered() {
		return "", nil
	}
	ca, err := config.ReadPEM(cfg.ClusterCA)
	if err != nil {
		return "", fmt.Errorf("cluster.ca: %w", err)
	}
	cluster, err := peer.ClusterOf(ca)
	if err != nil {
		return "", fmt.Errorf("cluster.ca: %w", err)
	}
	return cluster, nil
}

// join asks the nodes of the config, one after another and again and again, to take this one in. A refusal ends it.
func (n *Node) join(ctx context.Context) (ticketing.Joined, error) {
	arg := wire.Marshal(joinRequest{Address: n.cfg.Advertised(), Version: n.opts.Version, Formats: wire.Formats(), Token: n.cfg.ClusterToken, Shards: n.cfg.Shards})
	var last error
	for {
		for _, address := range n.cfg.ClusterJoin {
			r, err := n.joinAt(ctx, address, arg)
			if err == nil && r.Error == nil {
				return r.Joined, nil
			}
			if err == nil {
				err = errors.New(r.Error.Msg)
			}
			last = fmt.Errorf("joining by %s: %w", address, err)
			var refused *peer.Refused
			if r.Error != nil && r.Error.Kind != ticketing.Unavailable && r.Error.Kind != ticketing.Internal || errors.As(err, &refused) || errors.Is(err, peer.ErrCertificate) {
				return ticketing.Joined{}, last
			}
			if n.refused.first(last.Error(), n.opts.Now()) {
				n.log.Warn("the cluster could not be joined yet", "address", address, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return ticketing.Joined{}, last
		case <-time.After(joinEvery):
		}
	}
}

func (n *Node) joinAt(ctx context.Context, address string, arg []byte) (r joinReply, err error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	conn, _, err := n.peers.OpenAt(ctx, address, joinPurpose, arg)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(joinTimeout))
	b, err := io.ReadAll(io.LimitReader(conn, maxJoinReply))
	if err != nil {
		return r, err
	}
	return r, wire.Unmarshal(b, &r)
}

// joining answers a node that asks to be taken in.
func (n *Node) joining(conn net.Conn, node string, arg []byte) {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(n.life, joinTimeout)
	defer cancel()
	var reply joinReply
	joined, err := n.admitted(ctx, node, arg)
	if err != nil {
		e := &ticketing.Error{Kind: ticketing.Internal, Msg: "The cluster could not take the node in; its log says why."}
		var known *ticketing.Error
		if errors.As(err, &known) && known.Kind != ticketing.Internal {
			e = known
		}
		reply.Error = e
		if n.refused.first(node+": "+e.Msg, n.opts.Now()) {
			n.log.Warn("a node was not taken in", "node", node, "error", err)
		}
	}
	reply.Joined = joined
	_ = conn.SetDeadline(time.Now().Add(joinTimeout))
	_, _ = conn.Write(wire.Marshal(reply))
}

// onceAMinute keeps what repeats out of the log: a node that is refused, or that reaches nobody, asks again every second.
type onceAMinute struct {
	mu   sync.Mutex
	said map[string]time.Time
}

// first reports whether something was not said within the last minute.
func (o *onceAMinute) first(what string, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if at, ok := o.said[what]; ok && now.Sub(at) < time.Minute {
		return false
	}
	if o.said == nil || len(o.said) > 1000 {
		o.said = map[string]time.Time{}
	}
	o.said[what] = now
	return true
}

// admitted checks what a node shows, and asks control's leader to take it in.
func (n *Node) admitted(ctx context.Context, node string, arg []byte) (none ticketing.Joined, err error) {
	var q joinRequest
	if err := wire.Unmarshal(arg, &q); err != nil {
		return none, &ticketing.Error{Kind: ticketing.BadRequest, Msg: "This node does not understand the request to join; it may be of another version.", Err: err}
	}
	cmd := ticketing.JoinCluster{Node: node, Address: q.Address, Version: q.Version, Formats: q.Formats, Shards: q.Shards}
	if q.Token != "" {
		ca, err := config.ReadPEM(n.cfg.ClusterCA)
		if err != nil {
			return none, err
		}
		if cmd.Token, err = peer.CheckToken(ca, q.Token, node, n.opts.Now()); err != nil {
			return none, &ticketing.Error{Kind: ticketing.Forbidden, Msg: "The join token of " + node + " is not accepted: " + err.Error() + ".", Err: err}
		}
	}
	leader := n.sys.Shard(control.Name, 0).Leader()
	if leader == "" {
		return none, ticketing.Errorf(ticketing.Unavailable, "The cluster has no leader at the moment.")
	}
	return call[ticketing.Joined](ctx, n, leader, callJoin, cmd)
}

// pingTimeout bounds how long a node that is asked whether it runs may take.
const pingTimeout = 2 * time.Second

// ping answers that this node runs.
func (n *Node) ping(context.Context, string, nothing) (ticketing.NodeReport, error) {
	return ticketing.NodeReport{Node: n.name, Incarnation: n.incarnation.Load()}, nil
}

// answers reports whether a node answers a ping in time.
func (n *Node) answers(ctx context.Context, node string, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_, err := call[ticketing.NodeReport](ctx, n, node, callPing, nothing{})
	return err == nil
}

// takeIn makes a node a member: it runs on control's leader, which hears of the nodes that are alive.
func (n *Node) takeIn(ctx context.Context, _ string, c ticketing.JoinCluster) (none ticketing.Joined, err error) {
	alive, heard := n.reports.alive(c.Node)
	if !heard {
		return none, ticketing.Errorf(ticketing.Unavailable, "The leader has just changed; it will know in a moment which nodes are alive.")
	}
	c.Alive = alive && n.answers(ctx, c.Node, pingTimeout) // it may just have ended, and come back without its disk
	c.Meta = ticketing.Meta{}
	return n.control.Join(ctx, c)
}

// announceEvery is how often a node that has started tries to say so.
const announceEvery = time.Second

// announce tells control where this node is reached and what it runs, until that is committed; the node then knows that what it reads of
// its own replica of control is no older than its start. A refusal ends the node: its data directory is of no use any more.
func (n *Node) announce(running context.Context) {
	cmd := ticketing.AnnounceMember{Node: n.name, Incarnation: n.record.Incarnation, Address: n.cfg.Advertised(), Version: n.opts.Version, Formats: wire.Formats()}
	for running.Err() == nil {
		err := n.control.Announce(running, cmd)
		switch kind := ticketing.KindOf(err); {
		case kind == ticketing.OK:
			if n.catchUp(running) {
				return
			}
		case kind == ticketing.Forbidden || kind == ticketing.Conflict || kind == ticketing.Invalid:
			if running.Err() == nil {
				n.opts.Fatal(fmt.Errorf("the cluster does not accept this node: %w", err))
			}
			return
		default:
			n.log.Debug("the node could not announce itself yet", "error", err)
		}
		select {
		case <-running.Done():
		case <-time.After(announceEvery):
		}
	}
}

// reached answers up to which entry control's leader, this node, has applied its log.
func (n *Node) reached(context.Context, string, nothing) (uint64, error) {
	a := n.sys.Shard(control.Name, 0).Local()
	if a == nil || !a.Leading() {
		return 0, ticketing.Errorf(ticketing.Unavailable, "This node does not lead control.")
	}
	return a.Applied(), nil
}

// catchUp waits until this node's replica of control has what the leader had, and marks the node's knowledge as current.
func (n *Node) catchUp(running context.Context) bool {
	ctx, cancel := context.WithTimeout(running, 30*time.Second)
	defer cancel()
	sh := n.sys.Shard(control.Name, 0)
	at, err := call[uint64](ctx, n, sh.Leader(), callReached, nothing{})
	if err != nil {
		return false
	}
	for a := sh.Local(); a == nil || a.Applied() < at; a = sh.Local() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	n.readMap()
	n.current.Store(true)
	n.wakeReplicas()
	return true
}
