package node

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"ticketing"
	"ticketing/gateway"
	"ticketing/internal/backup"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
	"ticketing/runtime/wire"
)

// backups makes backups of the cluster for the gateway.
type backups struct {
	n       *Node
	mu      sync.Mutex
	stopped bool               // held: mu
	open    sync.WaitGroup     // views that are used
	life    context.Context    // ends when the views must be closed
	end     context.CancelFunc // of life
}

var _ gateway.Backups = (*backups)(nil)

func newBackups(n *Node) *backups {
	b := &backups{n: n}
	b.life, b.end = context.WithCancel(context.Background())
	return b
}

// enter notes that a view is used, until leave; false: the node stops.
func (b *backups) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.stopped {
		b.open.Add(1)
	}
	return !b.stopped
}

func (b *backups) leave() { b.open.Done() }

// stop ends the backups that are made. Nobody waits for a backup that may take an hour.
func (b *backups) stop() {
	b.mu.Lock()
	b.stopped = true
	b.mu.Unlock()
	b.end()
	b.open.Wait()
}

var errStopping error = &ticketing.Error{Kind: ticketing.Unavailable, Msg: "This node is stopping.", RetryAfter: time.Second}

// BeginBackup implements gateway.Backups.
func (b *backups) BeginBackup(ctx context.Context, recipient string) (gateway.Backup, error) {
	if !b.enter() {
		return nil, errStopping
	}
	r, err := backup.Begin(b.life, everywhere{b, ctx}, backup.Options{Version: b.n.opts.Version, Cluster: b.n.record.Cluster, Shards: b.n.cfg.Shards,
		Recipient: recipient, Now: b.n.opts.Now})
	if err != nil {
		b.leave()
		return nil, ticketing.Wrap("node.BeginBackup", err)
	}
	return &runningBackup{b, r}, nil
}

// runningBackup is a backup that is read.
type runningBackup struct {
	b *backups
	r *backup.Running
}

// WriteTar implements gateway.Backup.
func (r *runningBackup) WriteTar(w io.Writer) error {
	m, err := r.r.Write(backup.NewTar(w), nil)
	if err == nil {
		r.b.n.log.Info("a backup was made", "bytes", m.Bytes(), "shards", len(m.Cuts))
	}
	return ticketing.Wrap("node.WriteTar", err)
}

// Context implements gateway.Backup.
func (r *runningBackup) Context() context.Context { return r.b.life }

// Close implements gateway.Backup.
func (r *runningBackup) Close() {
	if err := r.r.Close(); err != nil {
		r.b.n.log.Warn("closing a backup", "error", err)
	}
	r.b.leave()
}

// everywhere are the shards of the cluster, wherever they lead.
type everywhere struct {
	b   *backups
	ctx context.Context // of whoever asks for the backup
}

var _ backup.Source = everywhere{}

// Shards implements backup.Source.
func (e everywhere) Shards() []backup.Shard { return e.b.n.everyShard() }

func (n *Node) everyShard() (all []backup.Shard) {
	for _, s := range n.services() {
		for i := range s.shards {
			all = append(all, backup.Shard{Service: s.name, Number: s.number, Index: i})
		}
	}
	return all
}

type freezeShard struct {
	Service string    `cbor:"1,keyasint"`
	Index   int       `cbor:"2,keyasint"`
	ID      string    `cbor:"3,keyasint"`
	Until   time.Time `cbor:"4,keyasint,omitzero"` // zero: thaw
}

// Freeze implements backup.Source.
func (e everywhere) Freeze(ctx context.Context, s backup.Shard, id string, until time.Time) error {
	return e.order(ctx, freezeShard{s.Service, s.Index, id, until})
}

// Thaw implements backup.Source.
func (e everywhere) Thaw(ctx context.Context, s backup.Shard, id string) error {
	return e.order(ctx, freezeShard{Service: s.Service, Index: s.Index, ID: id})
}

const (
	orderAgain = 50 * time.Millisecond // pause between two tries to reach a shard's leader
	orderWait  = 5 * time.Second       // for a shard to have one
)

// order has a shard's leader do something, and looks for it for a while.
func (e everywhere) order(ctx context.Context, q freezeShard) error {
	n := e.b.n
	ctx, cancel := context.WithTimeout(ctx, orderWait)
	defer cancel()
	for {
		leader := n.sys.Shard(q.Service, q.Index).Leader()
		err := error(&ticketing.Error{Kind: ticketing.Unavailable, Msg: "The shard " + system.Name(q.Service, q.Index) + " has no leader.", RetryAfter: time.Second})
		if leader == n.name || !n.cfg.Clustered() {
			_, err = e.b.freeze(ctx, n.name, q)
		} else if leader != "" {
			_, err = call[nothing](ctx, n, leader, callFreeze, q)
		}
		if ticketing.KindOf(err) != ticketing.Unavailable {
			return err
		}
		n.pause(ctx, orderAgain)
		if ctx.Err() != nil || e.ctx.Err() != nil {
			return err
		}
	}
}

// freeze freezes or thaws a shard that leads here.
func (b *backups) freeze(ctx context.Context, _ string, q freezeShard) (nothing, error) {
	a, err := b.actor(q.Service, q.Index)
	if err != nil {
		return nothing{}, err
	}
	if q.Until.IsZero() {
		return nothing{}, a.Thaw(ctx, q.ID)
	}
	return nothing{}, a.Freeze(ctx, q.ID, q.Until)
}

func (b *backups) actor(service string, index int) (*shard.Actor, error) {
	if sh := b.n.sys.Shard(service, index); sh != nil && sh.Local() != nil {
		return sh.Local(), nil
	}
	return nil, ticketing.Errorf(ticketing.Unavailable, "There is no replica of %s here.", system.Name(service, index))
}

// Cut implements backup.Source.
func (e everywhere) Cut(ctx context.Context, s backup.Shard, id string) (io.ReadCloser, error) {
	n := e.b.n
	if sh := n.sys.Shard(s.Service, s.Index); sh.Leader() == n.name || !n.cfg.Clustered() {
		return e.b.cut(s.Service, s.Index, id)
	}
	return e.b.fetch(ctx, s, id)
}

// cut opens a cut of a replica on this node.
func (b *backups) cut(service string, index int, id string) (io.ReadCloser, error) {
	a, err := b.actor(service, index)
	if err != nil {
		return nil, err
	}
	c, err := a.Cut(id)
	if err != nil {
		return nil, err
	}
	return b.stream(c), nil
}

// cutStream is a cut that somebody reads.
type cutStream struct {
	*io.PipeReader
	done chan error // gets what closing the cut returned
}

// stream writes a cut, which it closes, to whoever reads the stream, until that one closes it or the node stops.
func (b *backups) stream(c *shard.Cut) *cutStream {
	r, w := io.Pipe()
	s := &cutStream{r, make(chan error, 1)}
	stop := context.AfterFunc(b.life, func() { _ = r.CloseWithError(errStopping) })
	go func() {
		_, err := c.WriteTo(w)
		_ = w.CloseWithError(err) // neither of them fails
		stop()
		s.done <- c.Close()
	}()
	return s
}

// Close returns when the database is not used any more.
func (s *cutStream) Close() error {
	_ = s.PipeReader.Close() // never fails
	return <-s.done
}

// cutPurpose names the streams that carry a shard's cut. The argument is a freezeShard; what comes is 1 when the view is open, the cut, and
// the end.
const cutPurpose = "cut"

// fetch opens a cut on the node that leads a shard, or on another one that holds a replica and has applied the freeze.
func (b *backups) fetch(ctx context.Context, s backup.Shard, id string) (io.ReadCloser, error) {
	n := b.n
	nodes := n.members.holders(s.Service, s.Index)
	if leader := n.sys.Shard(s.Service, s.Index).Leader(); leader != "" {
		nodes = append([]string{leader}, nodes...)
	}
	var errs []error
	for _, node := range nodes {
		if node == n.name {
			c, err := b.cut(s.Service, s.Index, id)
			if err == nil {
				return c, nil
			}
			errs = append(errs, err)
			continue
		}
		conn, err := n.peers.Open(ctx, node, cutPurpose, wire.Marshal(freezeShard{Service: s.Service, Index: s.Index, ID: id}))
		if err == nil {
			if err = begun(conn); err == nil {
				return &fetched{conn, context.AfterFunc(ctx, func() { conn.Close() })}, nil
			}
			conn.Close()
		}
		errs = append(errs, err)
	}
	return nil, &ticketing.Error{Kind: ticketing.Unavailable, Msg: "No replica of " + system.Name(s.Service, s.Index) + " can be copied at the moment.",
		RetryAfter: time.Second, Err: errors.Join(errs...)}
}

// begun waits until the other node has opened its view.
func begun(conn net.Conn) error {
	_ = conn.SetReadDeadline(time.Now().Add(frameTimeout)) // reading reports what is wrong with the connection
	var b [1]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return errors.New("the other node could not open a view of the shard")
	}
	return nil
}

// fetched is a cut from another node.
type fetched struct {
	net.Conn
	stop func() bool
}

// cutPatience is how long a cut's reader or writer may keep the other waiting: the shards of a backup are read one after another.
const cutPatience = time.Hour

// Read implements io.Reader.
func (f *fetched) Read(b []byte) (int, error) {
	_ = f.SetReadDeadline(time.Now().Add(frameTimeout)) // as above
	return f.Conn.Read(b)
}

// Close implements io.Closer.
func (f *fetched) Close() error {
	f.stop()
	return f.Conn.Close()
}

// sendCut answers another node's fetch.
func (b *backups) sendCut(conn net.Conn, _ string, arg []byte) {
	defer conn.Close()
	var q freezeShard
	if wire.Unmarshal(arg, &q) != nil || !b.enter() {
		return
	}
	defer b.leave()
	c, err := b.cut(q.Service, q.Index, q.ID)
	if err != nil {
		b.n.log.Debug("a cut was refused", "shard", system.Name(q.Service, q.Index), "error", err)
		return
	}
	defer c.Close()
	defer context.AfterFunc(b.life, func() { _ = conn.Close() })() // its reader may not come for long
	_ = conn.SetWriteDeadline(time.Now().Add(cutPatience))         // writing reports what is wrong with the connection
	if _, err = conn.Write([]byte{1}); err == nil {
		_, err = io.Copy(&patient{conn}, c)
	}
	if err != nil {
		b.n.log.Debug("a cut was not sent whole", "shard", system.Name(q.Service, q.Index), "error", err)
	}
}

// patient gives every write a deadline of its own.
type patient struct{ conn net.Conn }

func (p *patient) Write(b []byte) (int, error) {
	_ = p.conn.SetWriteDeadline(time.Now().Add(cutPatience)) // as above
	return p.conn.Write(b)
}

// Secrets implements backup.Source.
func (e everywhere) Secrets(ctx context.Context) ([]byte, error) { return e.b.n.control.Secrets(ctx) }

// answerBackups lets other nodes back this one's shards up.
func (n *Node) answerBackups() {
	answer(n, callFreeze, n.backups.freeze)
	n.peers.Handle(cutPurpose, n.backups.sendCut)
}
