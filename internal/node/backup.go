package node

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"time"

	"ticketing"
	"ticketing/gateway"
	"ticketing/internal/backup"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// backups makes backups of the cluster for the gateway.
type backups struct{ n *Node }

var _ gateway.Backups = backups{}

// BeginBackup implements gateway.Backups.
func (b backups) BeginBackup(ctx context.Context, recipient string) (gateway.Backup, error) {
	n := b.n
	running, cancel := context.WithCancel(n.lifetime)
	r, err := backup.Begin(running, localShards{n, ctx}, backup.Options{Version: programVersion(), Cluster: n.record.ID, Shards: n.cfg.Shards, Recipient: recipient, Now: n.opts.Now})
	if err != nil {
		cancel()
		return nil, ticketing.Wrap("node.BeginBackup", err)
	}
	n.log.Info("a backup is made", "shards", len(n.groups))
	n.running.Add(1)
	return &runningBackup{n: n, r: r, cancel: cancel}, nil
}

// runningBackup is a backup that is read. The node does not close its databases before it is closed.
type runningBackup struct {
	n      *Node
	r      *backup.Running
	cancel context.CancelFunc
}

// WriteTar implements gateway.Backup.
func (b *runningBackup) WriteTar(w io.Writer) error {
	began := time.Now()
	m, err := b.r.Write(backup.NewTar(w), nil)
	if err != nil {
		b.n.log.Warn("a backup failed", "error", err)
		return ticketing.Wrap("node.WriteTar", err)
	}
	b.n.log.Info("a backup was made", "bytes", m.Bytes(), "seconds", time.Since(began).Seconds())
	return nil
}

// Close implements gateway.Backup.
func (b *runningBackup) Close() {
	b.cancel()
	if err := b.r.Close(); err != nil {
		b.n.log.Warn("closing a backup", "error", err)
	}
	b.n.running.Done()
}

// localShards are the shards of a cluster whose leaders are all here.
type localShards struct {
	n   *Node
	ctx context.Context // of the request that asks for the backup
}

// Shards implements backup.Source.
func (l localShards) Shards() (all []backup.Shard) {
	for _, s := range l.n.services() {
		for i := range s.shards {
			all = append(all, backup.Shard{Service: s.name, Number: s.number, Index: i})
		}
	}
	return all
}

func (l localShards) actor(s backup.Shard) (*shard.Actor, error) {
	shards := l.n.sys.Shards(s.Service)
	if s.Index >= len(shards) {
		return nil, ticketing.Errorf(ticketing.Unavailable, "The shard %s is not here.", system.Name(s.Service, s.Index))
	}
	return shards[s.Index].Actor, nil
}

// orderAgain is the pause between two tries to reach a shard that has no leader at the moment.
const orderAgain = 50 * time.Millisecond

// order repeats what a shard could not do because of its leadership, until it is asked to stop or the request is over.
func (l localShards) order(ctx context.Context, s backup.Shard, do func(context.Context, *shard.Actor) error) error {
	a, err := l.actor(s)
	if err != nil {
		return err
	}
	for {
		err := do(ctx, a)
		if ticketing.KindOf(err) != ticketing.Unavailable || a.Leading() {
			return err
		}
		t := time.NewTimer(orderAgain)
		select {
		case <-t.C:
		case <-ctx.Done():
			return err
		case <-l.ctx.Done():
			return err
		}
	}
}

// Freeze implements backup.Source.
func (l localShards) Freeze(ctx context.Context, s backup.Shard, id string, until time.Time) error {
	return l.order(ctx, s, func(ctx context.Context, a *shard.Actor) error { return a.Freeze(ctx, id, until) })
}

// Thaw implements backup.Source.
func (l localShards) Thaw(ctx context.Context, s backup.Shard, id string) error {
	return l.order(ctx, s, func(ctx context.Context, a *shard.Actor) error { return a.Thaw(ctx, id) })
}

// Cut implements backup.Source.
func (l localShards) Cut(ctx context.Context, s backup.Shard, id string) (io.ReadCloser, error) {
	a, err := l.actor(s)
	if err != nil {
		return nil, err
	}
	c, err := a.Cut(id)
	if err != nil {
		return nil, err
	}
	return streamCut(ctx, c), nil
}

// Secrets implements backup.Source.
func (l localShards) Secrets(ctx context.Context) ([]byte, error) { return l.n.control.Secrets(ctx) }

// cutStream is a cut that somebody reads.
type cutStream struct {
	*io.PipeReader
	done chan error // gets what closing the cut returned
}

// streamCut writes a cut, which it closes, to whoever reads the stream. It ends with the context, too.
func streamCut(ctx context.Context, c *shard.Cut) *cutStream {
	r, w := io.Pipe()
	s := &cutStream{r, make(chan error, 1)}
	stop := context.AfterFunc(ctx, func() { _ = r.CloseWithError(ctx.Err()) })
	go func() {
		_, err := c.WriteTo(w)
		_ = w.CloseWithError(err) // never fails
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

// programVersion names this build in what it makes.
func programVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

var errStopped = errors.New("node: it stops")
