package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/actors/control"
	"ticketing/actors/moderation"
	"ticketing/config"
	"ticketing/internal/backup"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
)

// Restoration says how a backup is restored.
type Restoration struct {
	Shards     int    // of every service in the new cluster, a power of two; 0: as many as before
	Passphrase string // of the backup's keys; empty: new ones are made, and everybody signs in again
	// Progress, if set, hears how far a step is; the steps are "verifying", "restoring", "delivering" and "distributing".
	Progress func(step string, p backup.Progress)
}

// Restored is what was restored.
type Restored struct {
	Backup  backup.Manifest
	Cluster string // id of the new cluster
	Node    string
	Shards  int
	Epoch   uint64 // of all event logs
	Events  uint64 // that the backup's logs hold
	Keys    bool   // the backup's keys were restored
}

// oldShards is where a backup is restored to first whose shards are distributed anew, below the data directory.
const oldShards = "old-shards"

// Restore makes the data directory of the first node of a new cluster from a backup. The directory is empty, or was made by [InitCluster], or
// by a restore that did not end. A directory whose restore was interrupted is refused by [Open] until a restore into it has ended.
func Restore(ctx context.Context, cfg config.Config, path string, r Restoration, opts Options) (out Restored, err error) {
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if r.Progress == nil {
		r.Progress = func(string, backup.Progress) {}
	}
	if cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return out, err
	}
	t := &restore{Restoration: r, n: &Node{cfg: cfg, opts: opts, log: opts.Log}}
	if err := t.read(ctx, path); err != nil {
		return out, err
	}
	err = t.begin()
	switch {
	case err != nil:
	case t.out.Shards == t.out.Backup.Shards:
		err = t.load(ctx, t.n.store)
	default:
		err = t.reshard(ctx)
	}
	if t.n.store != nil {
		err = errors.Join(err, t.n.store.Close())
	}
	if err != nil {
		return out, err
	}
	t.record.Restoring = false
	return t.out, writeCluster(opts.FS, t.n.cfg.Data, t.record)
}

// restore is one that runs.
type restore struct {
	Restoration
	n       *Node // not open: its config, options and services
	backup  *backup.Backup
	secrets []byte
	record  clusterRecord
	out     Restored
}

// read checks the backup before anything is written.
func (t *restore) read(ctx context.Context, path string) (err error) {
	t.backup, err = backup.Verify(ctx, path, func(p backup.Progress) { t.Progress("verifying", p) })
	if err != nil {
		return err
	}
	if t.Passphrase != "" {
		if t.secrets, err = t.backup.Keys(t.Passphrase); err != nil {
			return err
		}
	}
	t.out = Restored{Backup: t.backup.Manifest, Shards: t.Shards, Events: t.backup.Events(), Keys: t.secrets != nil,
		// Seconds since 1970, so that two restores of one backup do not share an epoch.
		Epoch: max(t.backup.MaxEpoch()+1, uint64(max(t.n.opts.Now().Unix(), 0)))}
	if t.out.Epoch >= math.MaxUint64-1 {
		return errors.New("the backup's event logs are in their last epoch")
	}
	if t.out.Shards == 0 {
		t.out.Shards = t.backup.Manifest.Shards
	}
	if n := t.out.Shards; n < 1 || n > 64 || n&(n-1) != 0 {
		return fmt.Errorf("shards: %d is not a power of two from 1 to 64", n)
	}
	return nil
}

// begin opens the directory, marks it as one that is restored into, and removes what an earlier try has left.
func (t *restore) begin() (err error) {
	n := t.n
	cluster, err := certified(n.cfg)
	if err != nil {
		return err
	}
	was, found, err := readCluster(n.opts.FS, n.cfg.Data)
	if err == nil && found && !was.Restoring && !was.Creating {
		err = fmt.Errorf("%s holds a cluster already; name an empty directory", n.cfg.Data)
	}
	if err != nil {
		return err
	}
	if n.store, err = store.Open(n.storeOptions(n.cfg)); err != nil {
		return err
	}
	if !found {
		if err := n.emptyLog(); err != nil {
			return err
		}
	}
	fresh := n.cfg
	fresh.Shards = t.out.Shards
	if fresh.NodeID == "" && found {
		fresh.NodeID = was.Node
	}
	if cluster == "" && found {
		cluster = was.Cluster
	}
	t.record = newCluster(fresh, cluster)
	t.record.Creating, t.record.Restoring = false, true
	t.out.Cluster, t.out.Node = t.record.Cluster, t.record.Node
	return errors.Join(writeCluster(n.opts.FS, n.cfg.Data, t.record), n.wipe())
}

// emptyLog refuses a directory that has lost its record.
func (n *Node) emptyLog() error {
	it, err := n.store.Log().NewIter(shardBounds())
	if err != nil {
		return err
	}
	holds := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	if holds {
		return fmt.Errorf("%s holds data, but no %s; name an empty directory", n.cfg.Data, clusterFile)
	}
	return nil
}

// shardBounds are the bounds of all shards' keys, in either kind of database.
func shardBounds() *pebble.IterOptions {
	lo, _ := store.ShardRange(0)
	_, hi := store.ShardRange(0xfffe)
	return &pebble.IterOptions{LowerBound: lo, UpperBound: hi}
}

// wipe removes all shards' data, and what an interrupted restore has left beside them.
func (n *Node) wipe() error {
	all := shardBounds()
	if err := n.store.Log().DeleteRange(all.LowerBound, all.UpperBound, pebble.Sync); err != nil {
		return err
	}
	for _, s := range n.services() {
		db := n.store.State(s.name)
		if err := db.DeleteRange(all.LowerBound, all.UpperBound, pebble.NoSync); err != nil {
			return err
		}
		for i := range 256 {
			if err := db.Delete(store.FloorKey(store.NewShardID(s.number, i)), pebble.NoSync); err != nil {
				return err
			}
		}
	}
	return errors.Join(n.store.Flush(), n.removeOld())
}

// removeOld removes the directory in which old shards were restored.
func (n *Node) removeOld() error {
	err := n.opts.FS.RemoveAll(n.opts.FS.PathJoin(n.cfg.Data, oldShards))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, store.SyncDir(n.opts.FS, n.cfg.Data))
}

// place is where the backup goes.
func (t *restore) place(s *store.Node, epoch uint64) backup.Place {
	p := backup.Place{Store: s, Numbers: map[string]int{}, Node: t.record.Node, Epoch: epoch, Secrets: t.secrets}
	for _, svc := range t.n.services() {
		p.Numbers[svc.name] = svc.number
	}
	return p
}

// load restores as many shards as there were.
func (t *restore) load(ctx context.Context, s *store.Node) error {
	return t.backup.Load(ctx, t.place(s, t.out.Epoch), func(p backup.Progress) { t.Progress("restoring", p) })
}

// reshard restores with as many shards as before, lets a node deliver all events there, and distributes what there is then.
func (t *restore) reshard(ctx context.Context) error {
	old := t.n.opts.FS.PathJoin(t.n.cfg.Data, oldShards)
	err := t.deliver(ctx, old)
	if err == nil {
		t.out.Epoch++
		err = t.distribute(old)
	}
	return errors.Join(err, t.n.removeOld())
}

// deliver makes a cluster of the backup in a directory of its own, and ends it when every event has been delivered.
func (t *restore) deliver(ctx context.Context, dir string) error {
	s, err := t.open(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(t.load(ctx, s), s.Close()); err != nil {
		return err
	}
	cfg := config.Default()
	cfg.Data, cfg.Dev, cfg.Shards, cfg.Cache, cfg.MemTable = dir, true, t.out.Backup.Shards, t.n.cfg.Cache, t.n.cfg.MemTable
	r := newCluster(cfg, "")
	r.Node, r.Creating = t.record.Node, false
	if err := writeCluster(t.n.opts.FS, dir, r); err != nil {
		return err
	}
	opts := t.n.opts
	opts.Log = slog.New(slog.DiscardHandler)
	n, err := Open(ctx, cfg, opts)
	if err != nil {
		return fmt.Errorf("delivering what was under way: %w", err)
	}
	err = n.deliverAll(ctx, func(p backup.Progress) { t.Progress("delivering", p) })
	return errors.Join(err, n.Close(ctx))
}

// open opens the databases of the old shards.
func (t *restore) open(dir string) (*store.Node, error) {
	o := t.n.storeOptions(t.n.cfg)
	o.Dir = dir
	return store.Open(o)
}

// distribute copies the state of a directory's shards into another number of shards.
func (t *restore) distribute(dir string) error {
	from, err := t.open(dir)
	if err != nil {
		return err
	}
	var services []backup.Service
	for _, s := range t.n.services() {
		one := backup.Service{Name: s.name, Number: s.number, From: t.out.Backup.Shards, To: t.out.Shards}
		switch s.name {
		case control.Name:
			one.From, one.To = control.Shards, control.Shards
		case moderation.Name:
			one.PerShard = moderation.PerShard
		}
		services = append(services, one)
	}
	t.Progress("distributing", backup.Progress{Total: len(services)})
	return errors.Join(backup.Reshard(from, services, t.place(t.n.store, t.out.Epoch)), from.Close())
}

// deliverEvery is how often it is looked whether all events have been delivered.
const deliverEvery = 20 * time.Millisecond

// deliverAll waits until every event has been delivered, also those that came of deliveries. Nobody may send commands meanwhile.
func (n *Node) deliverAll(ctx context.Context, progress func(backup.Progress)) error {
	groups := n.replicas()
	for {
		before := heads(groups)
		done := 0
		for _, g := range groups {
			ok, err := g.actor.Delivered(ctx)
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", g.name, err)
			}
			if ok {
				done++
			}
		}
		progress(backup.Progress{Shards: done, Total: len(groups)})
		// Deliveries may have made events that were looked for too early; but then a head has moved.
		if done == len(groups) && slices.Equal(before, heads(groups)) {
			return nil
		}
		if n.pause(ctx, deliverEvery); ctx.Err() != nil {
			return fmt.Errorf("%d of %d shards have taken all events: %w", done, len(groups), ctx.Err())
		}
	}
}

func heads(groups []*group) (all []shard.Cursor) {
	for _, g := range groups {
		all = append(all, g.actor.Feed().Head())
	}
	return all
}
