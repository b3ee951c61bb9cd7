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
	if err := t.begin(); err != nil {
		return out, err
	}
	if t.out.Shards == t.out.Backup.Shards {
		err = t.load(ctx, t.n.cfg.Data)
	} else {
		err = t.reshard(ctx)
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

// begin marks the directory as one that is restored into, and removes what an earlier try has left.
func (t *restore) begin() error {
	fsys, dir := t.n.opts.FS, t.n.cfg.Data
	cluster, err := certified(t.n.cfg)
	if err != nil {
		return err
	}
	was, found, err := readCluster(fsys, dir)
	switch {
	case err != nil:
		return err
	case found && !was.Restoring && !was.Creating:
		return fmt.Errorf("%s holds a cluster already; name an empty directory", dir)
	case !found:
		if err := emptyDir(fsys, dir); err != nil {
			return err
		}
	}
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	lock, err := fsys.Lock(fsys.PathJoin(dir, "LOCK"))
	if err != nil {
		return fmt.Errorf("the data directory %s is in use: %w", dir, err)
	}
	fresh := t.n.cfg
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
	err = writeCluster(fsys, dir, t.record)
	if err == nil && found {
		err = t.n.removeData()
	}
	return errors.Join(err, lock.Close())
}

// emptyDir refuses a directory that has something in it.
func emptyDir(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != "LOCK" && name != "lost+found" {
			return fmt.Errorf("%s holds %s; name an empty directory", dir, name)
		}
	}
	return nil
}

// removeData removes the databases of a directory that was never a cluster's: certificates and the like stay.
func (n *Node) removeData() error {
	var errs []error
	for _, name := range append(n.storeOptions(n.cfg).Services, "log", "spool", oldShards) {
		for _, suffix := range []string{"", ".new"} {
			err := n.opts.FS.RemoveAll(n.opts.FS.PathJoin(n.cfg.Data, name+suffix))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(append(errs, store.SyncDir(n.opts.FS, n.cfg.Data))...)
}

// place opens a directory's databases to restore into.
func (t *restore) place(dir string, epoch uint64) (backup.Place, error) {
	o := t.n.storeOptions(t.n.cfg)
	o.Dir = dir
	s, err := store.Open(o)
	p := backup.Place{Store: s, Numbers: map[string]int{}, Node: t.record.Node, Epoch: epoch, Secrets: t.secrets}
	for _, svc := range t.n.services() {
		p.Numbers[svc.name] = svc.number
	}
	return p, err
}

// load restores into a directory, with as many shards as before.
func (t *restore) load(ctx context.Context, dir string) error {
	p, err := t.place(dir, t.out.Epoch)
	if err != nil {
		return err
	}
	err = t.backup.Load(ctx, p, func(p backup.Progress) { t.Progress("restoring", p) })
	return errors.Join(err, p.Store.Close())
}

// reshard restores with as many shards as before, lets a node deliver all events there, and distributes what there is then.
func (t *restore) reshard(ctx context.Context) error {
	p, err := t.place(t.n.cfg.Data, t.out.Epoch+1)
	if err != nil {
		return err
	}
	old := t.n.opts.FS.PathJoin(t.n.cfg.Data, oldShards)
	err = t.deliver(ctx, old)
	if err == nil {
		err = t.distribute(old, p)
	}
	t.out.Epoch++
	return errors.Join(err, p.Store.Close(), t.n.opts.FS.RemoveAll(old), store.SyncDir(t.n.opts.FS, t.n.cfg.Data))
}

// deliver makes a cluster of the backup in a directory of its own, and ends it when every event has been delivered.
func (t *restore) deliver(ctx context.Context, dir string) error {
	if err := t.n.opts.FS.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := t.load(ctx, dir); err != nil {
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

// distribute copies the state of a directory's shards into another number of shards.
func (t *restore) distribute(dir string, to backup.Place) error {
	o := t.n.storeOptions(t.n.cfg)
	o.Dir = dir
	from, err := store.Open(o)
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
	return errors.Join(backup.Reshard(from, services, to), from.Close())
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
