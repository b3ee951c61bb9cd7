package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"ticketing/runtime/replica"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
)

// batchSize is how many bytes are written to a database at a time.
const batchSize = 1 << 20

// A Place says what is restored to: the databases of the first node of a new cluster, which hold nothing yet.
type Place struct {
	Store   *store.Node
	Numbers map[string]int // of the services that this version has
	Node    string         // name of the node; its replicas are called the same
	Epoch   uint64         // of all event logs; above that of every log before
	Secrets []byte         // the keys from [Backup.Keys]; nil: new ones are made
}

// MaxEpoch is the highest epoch of the backup's event logs.
func (b *Backup) MaxEpoch() (epoch uint64) {
	for _, c := range b.cuts {
		epoch = max(epoch, c.Epoch)
	}
	return epoch
}

// Load writes the backup's shards, as many as there were, into empty databases, durably. Each is then a group of one voter. An error leaves
// databases that nobody may use. progress may be nil.
func (b *Backup) Load(ctx context.Context, p Place, progress func(Progress)) error {
	if err := b.fits(p); err != nil {
		return fmt.Errorf("%s: %w", b.path, err)
	}
	again := &Backup{path: b.path, cuts: b.cuts}
	w := &writer{place: p, services: map[store.ShardID]string{}, renewal: shard.Renewal{Epoch: p.Epoch, Logs: map[shard.Producer]shard.Meta{}}}
	for i := range b.Manifest.Cuts {
		c := &b.Manifest.Cuts[i]
		w.services[c.shard().ID()] = c.Service
		w.renewal.Logs[c.shard().producer()] = b.cuts[c.shard().producer()].Meta
	}
	defer w.close()
	if err := errors.Join(again.scan(ctx, progress, w.pair), w.flush()); err != nil {
		return fmt.Errorf("%s: %w", b.path, err)
	}
	groups := map[string][]replica.Sole{}
	for i := range b.Manifest.Cuts {
		c := &b.Manifest.Cuts[i]
		db, id := p.Store.State(c.Service), c.shard().ID()
		if err := putUint64(db, store.AppliedKey(id), c.Applied); err != nil {
			return err
		}
		groups[c.Service] = append(groups[c.Service], replica.Sole{Shard: id, ID: p.Node, Node: p.Node, Index: max(c.Applied, 2), Term: 1})
	}
	return seed(p.Store, groups)
}

// fits refuses a backup of services that this version does not have, or that lacks one.
func (b *Backup) fits(p Place) error {
	have := map[string]bool{}
	for i := range b.Manifest.Cuts {
		c := &b.Manifest.Cuts[i]
		if n, ok := p.Numbers[c.Service]; !ok || n != c.Number {
			return fmt.Errorf("this version does not know the service %s", c.Service)
		}
		have[c.Service] = true
	}
	for name := range p.Numbers {
		if !have[name] {
			return fmt.Errorf("the backup has no service %s", name)
		}
	}
	return nil
}

func seed(s *store.Node, groups map[string][]replica.Sole) error {
	for service, all := range groups {
		if err := replica.Seed(s, service, all); err != nil {
			return err
		}
	}
	return nil
}

func putUint64(db *pebble.DB, key []byte, v uint64) error {
	return db.Set(key, beUint64(v), pebble.NoSync)
}

// writer writes what becomes of pairs.
type writer struct {
	place    Place
	services map[store.ShardID]string
	renewal  shard.Renewal
	batch    *pebble.Batch
	service  string // of the batch
	key      []byte
}

func (w *writer) pair(id store.ShardID, kind store.Kind, key, value []byte) error {
	service, ok := w.services[id]
	if !ok {
		return fmt.Errorf("there is no shard %v", id)
	}
	value, keep, err := w.renewal.Pair(kind, key, value)
	if err == nil && kind == store.KindState {
		if len(key) < 3 {
			return fmt.Errorf("the key %x is of an unknown format", key)
		}
		if service == controlName {
			value, keep, err = rewriteControl(key, value, w.place)
		}
	}
	if err != nil || !keep {
		return err
	}
	return w.put(service, id, kind, key, value)
}

func (w *writer) put(service string, id store.ShardID, kind store.Kind, key, value []byte) error {
	if w.batch != nil && (w.service != service || w.batch.Len() >= batchSize) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if w.batch == nil {
		w.batch, w.service = w.place.Store.State(service).NewBatch(), service
	}
	w.key = store.AppendStateKey(w.key[:0], id, kind, key)
	return w.batch.Set(w.key, value, nil)
}

func (w *writer) flush() error {
	if w.batch == nil {
		return nil
	}
	err := w.batch.Commit(pebble.NoSync)
	w.close()
	return err
}

func (w *writer) close() {
	if w.batch != nil {
		_ = w.batch.Close() // of memory only
		w.batch = nil
	}
}
