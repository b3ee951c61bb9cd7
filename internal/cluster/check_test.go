package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
	"ticketing/runtime/wire"
)

// Bounds of the end of a run, in virtual time.
const (
	healTimeout   = 4 * time.Minute // until all nodes, leaders and members are as they should be
	settleTimeout = 4 * time.Minute // until all events have arrived, and all replicas are the same
)

// heal ends all faults, and waits for the changes of members that are under way.
func (w *world) heal() error {
	w.net.heal()
	w.net.turn(weather{delay: time.Millisecond})
	for _, name := range w.names {
		if n := w.named(name); n != nil {
			n.disk.fuse.Store(0)
			n.slow.Store(false)
			continue
		}
		w.down(name)
		if err := w.start(name, 0); err != nil {
			return err
		}
	}
	free := w.until(healTimeout, func() bool {
		select {
		case w.admin <- struct{}{}:
			<-w.admin
			return true
		default:
			return false
		}
	})
	if !free && !w.aborted() {
		return errChange
	}
	return nil
}

// verify checks what must hold once everything has healed and nobody asks any more.
func (w *world) verify() error {
	var err error
	same := 0
	settled := w.until(settleTimeout, func() bool {
		time.Sleep(heartbeat)
		if err = w.settled(); err != nil {
			same = 0
			return false
		}
		same++
		return same == 2
	})
	switch {
	case w.aborted():
		return w.oracle.err()
	case !settled:
		w.log.Error("the cluster does not come to rest", "goroutines", stacks())
		return fmt.Errorf("the cluster does not come to rest: %w", err)
	}
	return errors.Join(w.identical(), w.effects(), w.logs(), w.cursors())
}

// all calls fn with the leader of every shard.
func (w *world) all(fn func(id store.ShardID, g *group) error) (err error) {
	for service := range services {
		for i := range shards {
			id := store.NewShardID(service, i)
			g := w.leader(id)
			if g == nil {
				return fmt.Errorf("shard %v has no leader", id)
			}
			err = errors.Join(err, fn(id, g))
		}
	}
	return err
}

// settled says what is still under way: replicas that lag behind, and events that have not arrived.
func (w *world) settled() error {
	err := w.all(func(id store.ShardID, g *group) error {
		for _, s := range w.seatsOf(id) {
			n := w.named(s.node)
			if n == nil || n.group(id) == nil {
				return fmt.Errorf("shard %v: %s does not run", id, s.id)
			}
			if a, b := n.group(id).rep.Applied(), g.rep.Applied(); a != b {
				return fmt.Errorf("shard %v: %s has applied %d, the leader %d", id, s.id, a, b)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.feeds(true)
}

// value reads a count from a shard's state.
func value(g *group, k shard.Key) (n uint64, err error) {
	v, c, err := g.rep.DB().Get(store.StateKey(g.shard, store.KindState, k))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return n, wire.Unmarshal(v, &n)
}

// feeds checks that every event had exactly one effect in its consumer, or was parked there; missing events are only tolerated as the
// reason to wait for them.
func (w *world) feeds(waiting bool) error {
	return w.all(func(id store.ShardID, _ *group) error {
		for i, raw := range w.oracle.log(id) {
			ev, err := wire.ReadEventHeader(uint64(i)+1, raw)
			if err == nil {
				err = wire.DecodeEventData(&ev)
			}
			if err != nil {
				return err
			}
			if err := w.arrived(id, &ev); err != nil {
				if !waiting || !errors.Is(err, errMissing) {
					w.oracle.fail("%w", err)
				}
				return err
			}
		}
		return nil
	})
}

var errMissing = errors.New("has not arrived")

// arrived checks one event's effect.
func (w *world) arrived(producer store.ShardID, ev *ticketing.Event) error {
	g := w.leader(shardOf(ev.Author))
	if g == nil {
		return errMissing
	}
	table, text := byte(tabHeard), ""
	switch d := ev.Data.(type) {
	case *ticketing.CommentCreated:
		text = d.Comment.Text
	case *ticketing.PostCreated:
		table, text = tabEcho, d.Post.Title
	}
	num, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return err
	}
	n, err := value(g, key(table, ev.Author, num))
	if err != nil {
		return err
	}
	want := uint64(1)
	if table == tabHeard && poisonous(num) {
		want = 0
		parked, err := isParked(g, producer, ev.Seq)
		if err != nil || !parked {
			return errors.Join(err, fmt.Errorf("shard %v: event %d %w in the dead letters of %v", producer, ev.Seq, errMissing, g.shard))
		}
	}
	switch {
	case n == want:
		return nil
	case n < want:
		return fmt.Errorf("shard %v: event %d %w in %v", producer, ev.Seq, errMissing, g.shard)
	}
	return fmt.Errorf("shard %v: event %d had %d effects in %v", producer, ev.Seq, n, g.shard)
}

func cursorKey(producer store.ShardID) []byte {
	return binary.BigEndian.AppendUint16([]byte(services[producer.Service()]+"/"), uint16(producer.Shard()))
}

func isParked(g *group, producer store.ShardID, seq uint64) (bool, error) {
	_, c, err := g.rep.DB().Get(store.StateKey(g.shard, store.KindDead, cursorKey(producer), binary.BigEndian.AppendUint64(nil, seq)))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, c.Close()
}

// identical checks that all replicas of a shard are the same, byte by byte.
func (w *world) identical() error {
	return w.all(func(id store.ShardID, g *group) error {
		want, err := store.Hash(g.rep.DB(), id)
		if err != nil {
			return err
		}
		for _, s := range w.seatsOf(id) {
			got, err := store.Hash(w.named(s.node).group(id).rep.DB(), id)
			if err != nil {
				return err
			}
			if got != want {
				return fmt.Errorf("shard %v: the replica %s differs from the leader's", id, s.id)
			}
		}
		return nil
	})
}

// effects checks that every acknowledged addition was done once, every other one at most once, and a refused one never.
func (w *world) effects() error {
	h := w.history
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	bad := func(format string, args ...any) {
		if len(errs) < maxFaults {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	totals := map[ticketing.ID]uint64{}
	seen := map[ticketing.ID]map[uint64]uint64{}
	for num, c := range h.asked {
		g := w.leader(shardOf(c.Item))
		if g == nil {
			return fmt.Errorf("shard %v has no leader", shardOf(c.Item))
		}
		n, err := value(g, key(tabDone, c.Item, num))
		if err != nil {
			return err
		}
		totals[c.Item] += n
		at, acked := h.counts[num]
		switch {
		case acked && n != 1:
			bad("addition %d was acknowledged and is there %d times", num, n)
		case c.Fail && n != 0:
			bad("addition %d is refused and is there %d times", num, n)
		case n > 1:
			bad("addition %d is there %d times", num, n)
		}
		if !acked {
			continue
		}
		if seen[c.Item] == nil {
			seen[c.Item] = map[uint64]uint64{}
		}
		if other, ok := seen[c.Item][at]; ok {
			bad("the additions %d and %d were both acknowledged with the count %d", num, other, at)
		}
		seen[c.Item][at] = num
	}
	for item, total := range totals {
		g := w.leader(shardOf(item))
		n, err := value(g, shard.KeyOf(tabCount, item))
		if err != nil {
			return err
		}
		if n != total || n < h.floor[item] {
			bad("item %v: the count is %d after %d additions, and %d was known", item, n, total, h.floor[item])
		}
	}
	w.sum.add("acknowledged", len(h.counts))
	return errors.Join(errs...)
}

// logs checks that a shard keeps its events without a gap up to the head, and as they were.
func (w *world) logs() error {
	return w.all(func(id store.ShardID, g *group) error {
		meta, log := g.machine.Meta(), w.oracle.log(id)
		if meta.Head != uint64(len(log)) {
			return fmt.Errorf("shard %v: the head is %d, but there were %d events", id, meta.Head, len(log))
		}
		lo, hi := store.KindRange(id, store.KindEvent)
		it, err := g.rep.DB().NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
		if err != nil {
			return err
		}
		next := meta.First
		for ok := it.First(); ok; ok = it.Next() {
			if seq := binary.BigEndian.Uint64(it.Key()[len(it.Key())-8:]); seq != next || string(log[seq-1]) != string(it.Value()) {
				return errors.Join(fmt.Errorf("shard %v: event %d where %d should be, or not as it was", id, seq, next), it.Close())
			}
			next++
		}
		w.sum.add("events", len(log))
		w.sum.add("events dropped behind all consumers", int(meta.First-1))
		if next != meta.Head+1 {
			return errors.Join(fmt.Errorf("shard %v: the events end with %d, the head is %d", id, next-1, meta.Head), it.Close())
		}
		return errors.Join(it.Error(), it.Close())
	})
}

// cursors checks that nobody has read further than a log goes.
func (w *world) cursors() error {
	return w.all(func(id store.ShardID, g *group) error {
		for i := range shards {
			producer := store.NewShardID(1-id.Service(), i)
			v, c, err := g.rep.DB().Get(store.StateKey(id, store.KindCursor, cursorKey(producer)))
			if errors.Is(err, pebble.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			seq := binary.BigEndian.Uint64(v[8:])
			if err := c.Close(); err != nil {
				return err
			}
			if head := uint64(len(w.oracle.log(producer))); seq > head {
				return fmt.Errorf("shard %v has read up to event %d of %v, which has %d", id, seq, producer, head)
			}
		}
		return nil
	})
}
