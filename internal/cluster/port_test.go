package cluster

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"ticketing/runtime/store"
)

// How long Raft's messages wait for an answer.
const (
	callTimeout   = 500 * time.Millisecond
	streamTimeout = 10 * time.Second
)

// port is a replica's connection to the other replicas of its group: a raft.Transport over the network. A message names the server that it
// is for, and is not answered by another one: a replica that took a lost one's place on the node must not speak for it.
type port struct {
	net   *network
	node  *node
	shard store.ShardID
	id    raft.ServerID
	inbox chan raft.RPC
	quit  chan struct{} // closed when the replica leaves the node

	mu        sync.Mutex
	heartbeat func(raft.RPC)
}

func (n *network) open(owner *node, shard store.ShardID, id string) *port {
	p := &port{net: n, node: owner, shard: shard, id: raft.ServerID(id), inbox: make(chan raft.RPC, 16), quit: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports[place{owner.name, shard}] = p
	return p
}

// silent reports whether nothing comes from here any more.
func (p *port) silent() bool {
	select {
	case <-p.quit:
		return true
	case <-p.node.gone:
		return true
	default:
		return p.node.dead.Load()
	}
}

// find returns the port of a server, nil if it does not run.
func (n *network) find(id raft.ServerID, shard store.ShardID) *port {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.ports[place{nodeOf(string(id)), shard}]
	if p == nil || p.id != id || p.silent() {
		return nil
	}
	return p
}

// call sends a request and waits for its answer.
func (p *port) call(id raft.ServerID, command any, data io.Reader, timeout time.Duration) (any, error) {
	answer := make(chan raft.RPCResponse, 2)
	p.send(id, command, data, answer)
	return p.wait(answer, timeout)
}

func (p *port) send(id raft.ServerID, command any, data io.Reader, answer chan raft.RPCResponse) {
	if p.silent() {
		return
	}
	to := nodeOf(string(id))
	p.net.carry(p.node.name, to, func() {
		peer := p.net.find(id, p.shard)
		if peer == nil {
			return
		}
		if data != nil {
			data = p.net.tear(data, p, peer)
		}
		r, ok := peer.handle(copied(command), data)
		if ok {
			p.net.carry(to, p.node.name, func() {
				select {
				case answer <- r:
				default: // the second of two
				}
			}, false)
		}
	}, data == nil)
}

func (p *port) wait(answer chan raft.RPCResponse, timeout time.Duration) (any, error) {
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case r := <-answer:
		if p.silent() {
			return nil, errDead
		}
		return r.Response, r.Error
	case <-t.C:
		return nil, errTimeout
	case <-p.quit:
		return nil, errDead
	case <-p.node.gone:
		return nil, errDead
	}
}

// handle hands a request to this port's Raft; ok is false if the node dies before it has answered.
func (p *port) handle(command any, data io.Reader) (r raft.RPCResponse, ok bool) {
	out := make(chan raft.RPCResponse, 1)
	rpc := raft.RPC{Command: command, Reader: data, RespChan: out}
	if handler := p.heartbeatHandler(); handler != nil && isHeartbeat(command) {
		handler(rpc) // beside the main loop, as connections do it
	} else {
		select {
		case p.inbox <- rpc:
		case <-p.quit:
			return r, false
		case <-p.node.gone:
			return r, false
		}
	}
	select {
	case r = <-out:
		return r, !p.silent()
	case <-p.quit:
		return r, false
	case <-p.node.gone:
		return r, false
	}
}

func isHeartbeat(command any) bool {
	a, ok := command.(*raft.AppendEntriesRequest)
	return ok && a.Term != 0 && a.PrevLogEntry == 0 && a.PrevLogTerm == 0 && len(a.Entries) == 0 && a.LeaderCommitIndex == 0
}

func (p *port) heartbeatHandler() func(raft.RPC) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heartbeat
}

// copied is a request as it comes out of a connection: Raft uses the sender's again.
func copied(command any) any {
	a, ok := command.(*raft.AppendEntriesRequest)
	if !ok {
		return command
	}
	c := *a
	c.Entries = make([]*raft.Log, len(a.Entries))
	for i, e := range a.Entries {
		l := *e
		l.Data, l.Extensions = bytes.Clone(e.Data), bytes.Clone(e.Extensions)
		c.Entries[i] = &l
	}
	return &c
}

// tear lets a stream be interrupted.
func (n *network) tear(data io.Reader, from, to *port) io.Reader {
	n.sum.add("snapshot streams", 1)
	s := &torn{Reader: data, net: n, from: from, to: to, left: -1}
	if n.rng.permille(5 * n.weather().drop) {
		s.left = n.rng.IntN(8 << 10)
	}
	return s
}

// Consumer implements raft.Transport.
func (p *port) Consumer() <-chan raft.RPC { return p.inbox }

// LocalAddr implements raft.Transport.
func (p *port) LocalAddr() raft.ServerAddress { return raft.ServerAddress(p.node.name) }

// EncodePeer implements raft.Transport.
func (p *port) EncodePeer(_ raft.ServerID, addr raft.ServerAddress) []byte { return []byte(addr) }

// DecodePeer implements raft.Transport.
func (p *port) DecodePeer(b []byte) raft.ServerAddress { return raft.ServerAddress(b) }

// SetHeartbeatHandler implements raft.Transport.
func (p *port) SetHeartbeatHandler(fn func(raft.RPC)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heartbeat = fn
}

// AppendEntries implements raft.Transport.
func (p *port) AppendEntries(id raft.ServerID, _ raft.ServerAddress, q *raft.AppendEntriesRequest, r *raft.AppendEntriesResponse) error {
	return reply(r)(p.call(id, copied(q), nil, callTimeout))
}

// RequestVote implements raft.Transport.
func (p *port) RequestVote(id raft.ServerID, _ raft.ServerAddress, q *raft.RequestVoteRequest, r *raft.RequestVoteResponse) error {
	return reply(r)(p.call(id, q, nil, callTimeout))
}

// RequestPreVote implements raft.WithPreVote.
func (p *port) RequestPreVote(id raft.ServerID, _ raft.ServerAddress, q *raft.RequestPreVoteRequest, r *raft.RequestPreVoteResponse) error {
	return reply(r)(p.call(id, q, nil, callTimeout))
}

// InstallSnapshot implements raft.Transport.
func (p *port) InstallSnapshot(id raft.ServerID, _ raft.ServerAddress, q *raft.InstallSnapshotRequest, r *raft.InstallSnapshotResponse, data io.Reader) error {
	p.node.w.arrives(nodeOf(string(id)))
	return reply(r)(p.call(id, q, data, streamTimeout))
}

// TimeoutNow implements raft.Transport.
func (p *port) TimeoutNow(id raft.ServerID, _ raft.ServerAddress, q *raft.TimeoutNowRequest, r *raft.TimeoutNowResponse) error {
	return reply(r)(p.call(id, q, nil, callTimeout))
}

// reply returns a function that copies an answer to where Raft wants it.
func reply[R any](to *R) func(any, error) error {
	return func(got any, err error) error {
		if err == nil {
			*to = *got.(*R)
		}
		return err
	}
}

// AppendEntriesPipeline implements raft.Transport.
func (p *port) AppendEntriesPipeline(id raft.ServerID, _ raft.ServerAddress) (raft.AppendPipeline, error) {
	if !p.node.w.pipelines {
		return nil, raft.ErrPipelineReplicationNotSupported
	}
	pl := &pipeline{port: p, to: id, flights: make(chan *flight, 16), done: make(chan raft.AppendFuture, 16), quit: make(chan struct{})}
	go pl.collect()
	return pl, nil
}

// pipeline sends requests without waiting for the answers, and collects those in order.
type pipeline struct {
	port    *port
	to      raft.ServerID
	flights chan *flight
	done    chan raft.AppendFuture
	quit    chan struct{}
	once    sync.Once
}

// flight is a request of a pipeline; it implements raft.AppendFuture.
type flight struct {
	start  time.Time
	q      *raft.AppendEntriesRequest
	r      *raft.AppendEntriesResponse
	answer chan raft.RPCResponse
	ready  chan struct{}
	err    error
}

func (f *flight) Error() error {
	<-f.ready
	return f.err
}
func (f *flight) Start() time.Time                      { return f.start }
func (f *flight) Request() *raft.AppendEntriesRequest   { return f.q }
func (f *flight) Response() *raft.AppendEntriesResponse { return f.r }

// AppendEntries implements raft.AppendPipeline.
func (pl *pipeline) AppendEntries(q *raft.AppendEntriesRequest, r *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	f := &flight{start: time.Now(), q: q, r: r, answer: make(chan raft.RPCResponse, 2), ready: make(chan struct{})}
	select {
	case <-pl.quit:
		return nil, raft.ErrPipelineShutdown
	default:
	}
	pl.port.send(pl.to, copied(q), nil, f.answer)
	select {
	case pl.flights <- f:
		return f, nil
	case <-pl.quit:
		return nil, raft.ErrPipelineShutdown
	}
}

func (pl *pipeline) collect() {
	for {
		select {
		case f := <-pl.flights:
			f.err = reply(f.r)(pl.port.wait(f.answer, callTimeout))
			close(f.ready)
			select {
			case pl.done <- f:
			case <-pl.quit:
				return
			}
		case <-pl.quit:
			return
		}
	}
}

// Consumer implements raft.AppendPipeline.
func (pl *pipeline) Consumer() <-chan raft.AppendFuture { return pl.done }

// Close implements raft.AppendPipeline.
func (pl *pipeline) Close() error {
	pl.once.Do(func() { close(pl.quit) })
	return nil
}
