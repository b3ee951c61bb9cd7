package replica

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// transport stands between raft and the given transport. It clamps what a leader claims to be committed, never sends a placeholder, skips
// received entries that were compacted here, lets this replica be a candidate at once, and remembers who accepted this node as a leader and
// when, for [Replica.Verify].
type transport struct {
	raft.Transport
	preVote raft.WithPreVote
	inbox   chan raft.RPC
	// compacted returns the newest snapshot's last entry; index 0: there is none.
	compacted func() (index, term uint64)
	quit      chan struct{}
	forwarded chan struct{} // closed when nothing more comes to inbox
	once      sync.Once
	noClamp   bool // tests only
	teller    *teller
	// keep is called around a snapshot that is sent.
	keep func(id raft.ServerID, term uint64, send func() error) error

	sent     atomic.Uint64 // requests so far
	mu       sync.Mutex
	answers  map[raft.ServerID]answer
	matches  map[raft.ServerID]match
	answered chan struct{} // closed at the next answer, see news
}

// answer is a peer's newest acceptance of this node as a leader.
type answer struct{ term, request uint64 }

// match is up to where a peer has said that its log is the same as that of this node as the leader of a term.
type match struct{ term, index uint64 }

var (
	errAlone       = errors.New("replica: nobody is connected")
	errPlaceholder = errors.New("replica: the entry was compacted away in the meantime")
)

func newTransport(c *Config, compacted func() (index, term uint64)) (*transport, error) {
	t := &transport{Transport: c.Transport, inbox: make(chan raft.RPC), compacted: compacted, quit: make(chan struct{}),
		forwarded: make(chan struct{}), noClamp: c.hooks.noClamp,
		keep:    func(_ raft.ServerID, _ uint64, send func() error) error { return send() },
		answers: map[raft.ServerID]answer{}, matches: map[raft.ServerID]match{}, answered: make(chan struct{})}
	switch {
	case c.Transport != nil:
	case c.Network != nil:
		n, err := newNetTransport(c)
		if err != nil {
			return nil, err
		}
		t.Transport = n
	default:
		t.Transport = &loner{addr: raft.ServerAddress(c.Node)}
	}
	var ok bool
	if t.preVote, ok = t.Transport.(raft.WithPreVote); !ok {
		return nil, errors.New("the transport does not support pre-vote")
	}
	t.teller = newTeller(t.quit)
	t.teller.send = t.Transport.AppendEntries
	if n, ok := t.Transport.(*netTransport); ok {
		t.teller.send = n.append // which does not wait for a node to come back
	}
	if _, alone := t.Transport.(*loner); !alone {
		go t.teller.run()
	}
	if inner := t.Transport.Consumer(); inner != nil {
		go t.forward(inner)
	} else {
		close(t.forwarded)
	}
	return t, nil
}

// forward hands on what the inner transport receives.
func (t *transport) forward(inner <-chan raft.RPC) {
	defer close(t.forwarded)
	for {
		select {
		case rpc := <-inner:
			switch q := rpc.Command.(type) {
			case *raft.AppendEntriesRequest:
				rpc.Command = t.skip(q)
			case *raft.InstallSnapshotRequest:
				if t.has(q) {
					go decline(rpc, q)
					continue
				}
			}
			select {
			case t.inbox <- rpc:
			case <-t.quit:
				return
			}
		case <-t.quit:
			return
		}
	}
}

// skip returns a received request without the entries that a snapshot of this replica contains: they were committed, so they are the same.
// Raft would look for them in the log and, if they were compacted, refuse the request. Its leader, which only does not know how far this
// replica is because answers were lost, would go back further, and at last send a snapshot that is older than ours.
func (t *transport) skip(a *raft.AppendEntriesRequest) *raft.AppendEntriesRequest {
	index, term := t.compacted()
	if a.PrevLogEntry >= index || a.PrevLogEntry == 0 && len(a.Entries) == 0 {
		return a // and heartbeats name no entry
	}
	c := *a
	c.PrevLogEntry, c.PrevLogTerm, c.Entries = index, term, nil
	if n := index - a.PrevLogEntry; n <= uint64(len(a.Entries)) {
		if l := a.Entries[n-1]; l.Index != index || l.Term != term {
			return a // raft says what it thinks of it
		}
		c.Entries = a.Entries[n:]
	}
	return &c
}

// has reports whether a snapshot is older than this replica's own. A leader sends one if it has compacted its log beyond what it knows this
// replica to have.
func (t *transport) has(q *raft.InstallSnapshotRequest) bool {
	index, _ := t.compacted()
	return q.LastLogIndex < index
}

// decline says that a snapshot's content is here already, which lets the leader go on behind it.
func decline(rpc raft.RPC, q *raft.InstallSnapshotRequest) {
	_, err := io.Copy(io.Discard, rpc.Reader) // the connection goes on behind it
	rpc.Respond(&raft.InstallSnapshotResponse{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}, Term: q.Term, Success: err == nil}, err)
}

// elect makes this replica a candidate: raft takes a request to be one at once, as it would from a leader that steps down.
func (t *transport) elect(self raft.ServerID) {
	req := &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(self), Addr: t.EncodePeer(self, t.LocalAddr())}}
	select {
	case t.inbox <- raft.RPC{Command: req, RespChan: make(chan raft.RPCResponse, 1)}:
	case <-t.quit:
	}
}

// stop ends what this replica hears. What it sends goes on.
func (t *transport) stop() {
	t.once.Do(func() { close(t.quit) })
	<-t.forwarded
}

// Consumer implements raft.Transport.
func (t *transport) Consumer() <-chan raft.RPC { return t.inbox }

// guard returns a request as it may be sent.
//
// A follower takes commit = min(the leader's, its last index), also when its entries behind those of this request are of an old term and
// will be replaced. So the leader claims no more than the request itself shows to be the same.
//
// A placeholder stands for an entry that was compacted away while the request was put together; sent, it would replace a command by
// nothing. Raft sees the error, looks again and sends a snapshot.
func (t *transport) guard(a *raft.AppendEntriesRequest) (*raft.AppendEntriesRequest, error) {
	for _, e := range a.Entries {
		if len(e.Extensions) > 0 {
			return nil, errPlaceholder
		}
	}
	if shown := a.PrevLogEntry + uint64(len(a.Entries)); a.LeaderCommitIndex > shown && !t.noClamp {
		c := *a // raft uses its request again
		c.LeaderCommitIndex = shown
		a = &c
	}
	return a, nil
}

// AppendEntries implements raft.Transport. Heartbeats come this way.
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, a *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	a, err := t.guard(a)
	if err != nil {
		return err
	}
	request := t.sent.Add(1)
	t.teller.sending(id, target, a)
	if quorum || len(a.Entries) == 0 {
		err = t.Transport.AppendEntries(id, target, a, resp)
	} else {
		t.assume(id, target, a, resp)
	}
	if err == nil && resp.Success && resp.Term == a.Term {
		t.accept(id, answer{a.Term, request})
		t.agree(id, a)
		t.teller.shown(id, a)
	}
	return err
}

// InstallSnapshot implements raft.Transport.
func (t *transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, a *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.keep(id, a.Term, func() error { return t.Transport.InstallSnapshot(id, target, a, resp, data) })
}

// agree notes that a peer has what a request showed.
func (t *transport) agree(id raft.ServerID, a *raft.AppendEntriesRequest) {
	m := match{a.Term, a.PrevLogEntry + uint64(len(a.Entries))}
	t.mu.Lock()
	defer t.mu.Unlock()
	if was := t.matches[id]; m.term > was.term || m.term == was.term && m.index > was.index {
		t.matches[id] = m
		t.stir()
	}
}

// matched returns up to where a peer's log is the same as that of this node as the leader of a term.
func (t *transport) matched(id raft.ServerID, term uint64) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.matches[id]; m.term == term {
		return m.index
	}
	return 0
}

func (t *transport) accept(id raft.ServerID, a answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if was := t.answers[id]; a.request > was.request {
		t.answers[id] = a
	}
	t.stir()
}

// stir wakes whoever waits for news. held: mu
func (t *transport) stir() {
	close(t.answered)
	t.answered = make(chan struct{})
}

// accepted reports whether a peer has accepted this node as the leader of a term, in its answer to a request after a mark.
func (t *transport) accepted(id raft.ServerID, term, since uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.answers[id]
	return a.term == term && a.request > since
}

// news is closed at the next answer of a peer, or when nothing is being appended any more that a transfer waits for.
func (t *transport) news() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.answered
}

// AppendEntriesPipeline implements raft.Transport.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	if !quorum {
		return nil, raft.ErrPipelineReplicationNotSupported
	}
	inner, err := t.Transport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	p := &pipeline{AppendPipeline: inner, t: t, id: id, target: target, done: make(chan raft.AppendFuture), quit: make(chan struct{})}
	go p.collect()
	return p, nil
}

// pipeline guards what is sent, and ends with the first bad answer. Raft reads no more answers behind that one; if it goes on to send,
// which it decides by chance, it would wait for ever for room among the answers that nobody reads, and its peer for entries.
type pipeline struct {
	raft.AppendPipeline
	t      *transport
	id     raft.ServerID
	target raft.ServerAddress
	done   chan raft.AppendFuture
	quit   chan struct{}
	once   sync.Once
}

func (p *pipeline) AppendEntries(a *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	a, err := p.t.guard(a)
	if err != nil {
		return nil, err
	}
	p.t.teller.sending(p.id, p.target, a)
	return p.AppendPipeline.AppendEntries(a, resp)
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.done }

// collect hands on the answers up to the first bad one.
func (p *pipeline) collect() {
	for {
		select {
		case f := <-p.AppendPipeline.Consumer():
			bad := f.Error() != nil || !f.Response().Success
			if !bad {
				p.t.agree(p.id, f.Request())
			}
			if !bad && f.Response().Term == f.Request().Term {
				p.t.teller.shown(p.id, f.Request())
			}
			select {
			case p.done <- f:
			case <-p.quit:
				return
			}
			if bad {
				_ = p.AppendPipeline.Close() // what is being sent returns
				return
			}
		case <-p.quit:
			return
		}
	}
}

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	p.once.Do(func() { close(p.quit) })
	return p.AppendPipeline.Close()
}

// RequestPreVote implements raft.WithPreVote.
func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, a *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.preVote.RequestPreVote(id, target, a, resp)
}

// sever ends connections, so that requests on them end.
func (t *transport) sever() {
	if n, ok := t.Transport.(*netTransport); ok {
		n.sever()
	}
}

// discard gives up a transport that raft was not started with. One that was given stays the giver's.
func (t *transport) discard() {
	t.stop()
	if n, ok := t.Transport.(*netTransport); ok {
		_ = n.Close()
	}
}

// Close implements raft.WithClose.
func (t *transport) Close() error {
	if c, ok := t.Transport.(raft.WithClose); ok {
		return c.Close()
	}
	return nil
}

// loner is the transport of a replica that nobody else reaches.
type loner struct{ addr raft.ServerAddress }

func (l *loner) Consumer() <-chan raft.RPC     { return nil }
func (l *loner) LocalAddr() raft.ServerAddress { return l.addr }

func (l *loner) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, errAlone
}

func (l *loner) AppendEntries(raft.ServerID, raft.ServerAddress, *raft.AppendEntriesRequest, *raft.AppendEntriesResponse) error {
	return errAlone
}

func (l *loner) RequestVote(raft.ServerID, raft.ServerAddress, *raft.RequestVoteRequest, *raft.RequestVoteResponse) error {
	return errAlone
}

func (l *loner) RequestPreVote(raft.ServerID, raft.ServerAddress, *raft.RequestPreVoteRequest, *raft.RequestPreVoteResponse) error {
	return errAlone
}

func (l *loner) InstallSnapshot(raft.ServerID, raft.ServerAddress, *raft.InstallSnapshotRequest, *raft.InstallSnapshotResponse, io.Reader) error {
	return errAlone
}

func (l *loner) TimeoutNow(raft.ServerID, raft.ServerAddress, *raft.TimeoutNowRequest, *raft.TimeoutNowResponse) error {
	return errAlone
}

func (l *loner) EncodePeer(_ raft.ServerID, addr raft.ServerAddress) []byte { return []byte(addr) }
func (l *loner) DecodePeer(b []byte) raft.ServerAddress                     { return raft.ServerAddress(b) }
func (l *loner) SetHeartbeatHandler(func(raft.RPC))                         {}
