package peer

import (
	"errors"
	"log/slog"
	"maps"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Config is what a node needs to connect to others and to be connected to.
type Config struct {
	Cluster string // ID
	Node    string // this node's name

	// Paths of PEM files: the authority's certificate, this node's, and its key. They are read again when they change, so that a
	// certificate is renewed without a restart.
	CA, Cert, Key string

	// Resolve returns the address (host:port) of a node. It is called often, and must be safe for use from everywhere.
	Resolve func(node string) (address string, ok bool)
	// Admit says whether a node with a valid certificate may open something: a stream's purpose, or [Actors]. The error refuses it; on
	// streams its text goes to the other side, so it is a sentence for people, up to 255 bytes. It is called at every connection, from
	// everywhere, and bounded in time by the handshake's.
	Admit func(node, purpose string) error

	Log        *slog.Logger     // default slog.Default()
	Now        func() time.Time // default time.Now
	Handshake  time.Duration    // within which a connection must be made, on either side; default 5 s
	Handshakes int              // how many run at once; as many again wait, and more are refused; default 256
}

// Actors is the purpose that [Config.Admit] gets for connections of gRPC.
const Actors = "actors"

// Handler serves an accepted stream of a node. It owns the connection, and returns soon after it is closed.
type Handler func(conn net.Conn, node string, arg []byte)

// Peers are the connections of a node to the others. Its methods are safe for use from everywhere.
type Peers struct {
	cfg      Config
	keeper   keeper
	refusals refusals
	slots    chan struct{} // of running handshakes
	waiting  chan struct{} // of handshakes that run or wait

	mu        sync.Mutex
	handlers  map[string]handler
	conns     map[*stream]struct{}
	listeners map[net.Listener]struct{}
	closed    chan struct{}
	running   sync.WaitGroup // handlers
}

type handler struct {
	admit func(arg []byte) error // nil: every argument
	serve Handler
}

// New reads the certificates. Its errors say what to do about.
func New(c Config) (*Peers, error) {
	if c.Resolve == nil || c.Admit == nil {
		return nil, errors.New("peer: Resolve and Admit must be given")
	}
	if !validNode(c.Node) {
		return nil, badNode(c.Node)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Handshake == 0 {
		c.Handshake = 5 * time.Second
	}
	if c.Handshakes == 0 {
		c.Handshakes = 256
	}
	p := &Peers{cfg: c, slots: make(chan struct{}, c.Handshakes), waiting: make(chan struct{}, 2*c.Handshakes), handlers: map[string]handler{},
		conns: map[*stream]struct{}{}, listeners: map[net.Listener]struct{}{}, closed: make(chan struct{})}
	p.refusals = refusals{log: c.Log, now: c.Now, last: map[refusalKey]time.Time{}}
	p.keeper.p = p
	stamps, err := p.keeper.stamps()
	if err != nil {
		return nil, err
	}
	p.keeper.stamp = stamps
	if err := p.keeper.load(); err != nil {
		return nil, err
	}
	return p, nil
}

// Expires returns when this node's certificate ends.
func (p *Peers) Expires() time.Time { return p.keeper.get().expires }

// Handle serves the streams of a purpose, each in a goroutine of its own. A panic ends the stream and is reported. Purposes have up to
// 255 bytes; a later handler of the same purpose takes the place of the earlier one.
func (p *Peers) Handle(purpose string, fn Handler) { p.handle(purpose, handler{serve: fn}) }

func (p *Peers) handle(purpose string, h handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers[purpose] = h
}

// Expel ends what nodes have open that [Config.Admit] would not let them open any more. It is called when those who are admitted have changed.
func (p *Peers) Expel() {
	for _, s := range p.all() {
		if p.cfg.Admit(s.node, s.purpose) != nil {
			_ = s.NetConn().Close()
		}
	}
}

// all returns the connections that are open.
func (p *Peers) all() []*stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.conns))
}

// Close ends all connections and refuses new ones. It returns when all handlers have.
func (p *Peers) Close() error {
	p.mu.Lock()
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	var errs []error
	for ln := range p.listeners {
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	p.mu.Unlock()
	for _, s := range p.all() { // no more are kept
		_ = s.NetConn().Close() // without a farewell, for which a peer that does not read would make us wait
	}
	p.running.Wait()
	return errors.Join(errs...)
}

var errClosed = refusef("closed", "this node is stopping")

func (p *Peers) stopping() bool {
	select {
	case <-p.closed:
		return true
	default:
		return false
	}
}

// run starts a handler for an accepted stream.
func (p *Peers) run(s *stream, purpose string, h handler, arg []byte) {
	go func() {
		defer p.running.Done()
		defer func() {
			if r := recover(); r != nil {
				p.cfg.Log.Error("a stream's handler failed", "purpose", purpose, "node", s.node, "panic", r, "stack", string(debug.Stack()))
				_ = s.Close()
			}
		}()
		h.serve(s, s.node, arg)
	}()
}
