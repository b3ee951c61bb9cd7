package cluster

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"ticketing/runtime/replica"
	"ticketing/runtime/store"
	"ticketing/runtime/store/storetest"
)

// changeTimeout bounds one change of a group's members, in which any fault may fall.
const changeTimeout = 3 * time.Minute

var errChange = errors.New("the change of members does not end")

// change asks whoever leads for a change until it is committed. Changes may be asked for again.
func (w *world) change(id store.ShardID, ask func(*replica.Replica) error) error {
	done := w.until(changeTimeout, func() bool {
		g := w.leader(id)
		if g == nil || ask(g.rep) == nil {
			return g != nil
		}
		time.Sleep(heartbeat / 3)
		return false
	})
	if !done && !w.aborted() {
		return fmt.Errorf("shard %v: %w", id, errChange)
	}
	return nil
}

// admit makes a replica that runs, or will, a learner of its group, and a voter once it has caught up.
func (w *world) admit(s seat) error {
	if err := w.change(s.shard, func(r *replica.Replica) error { return r.AddLearner(s.id, s.node) }); err != nil {
		return err
	}
	w.until(changeTimeout, func() bool {
		g, n := w.leader(s.shard), w.named(s.node)
		return g != nil && n != nil && n.group(s.shard) != nil && n.group(s.shard).rep.Applied()+5 >= g.rep.Applied()
	})
	return w.change(s.shard, func(r *replica.Replica) error { return r.Promote(s.id, s.node) })
}

// agree waits until all replicas of a shard, apart from one that is about to leave, know the same members. A voter that does not know of
// another one does not vote for it; if then the one dies that both know, nobody can ever lead.
func (w *world) agree(id store.ShardID, leaving string) error {
	known := w.until(changeTimeout, func() bool {
		g := w.leader(id)
		if g == nil {
			return false
		}
		want := g.rep.Members()
		for _, s := range w.seatsOf(id) {
			n := w.named(s.node)
			if s.id != leaving && (n == nil || n.group(id) == nil || !slices.Equal(n.group(id).rep.Members(), want)) {
				return false
			}
		}
		return true
	})
	if !known && !w.aborted() {
		return fmt.Errorf("shard %v: its replicas do not agree on their members: %w", id, errChange)
	}
	return nil
}

// dismiss takes a replica out of its group.
func (w *world) dismiss(id store.ShardID, server string) error {
	if err := w.agree(id, server); err != nil {
		return err
	}
	return w.change(id, func(r *replica.Replica) error { return r.Remove(server) })
}

// named returns a node that runs, nil if it does not.
func (w *world) named(name string) *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.nodes[name]; n != nil && !n.dead.Load() {
		return n
	}
	return nil
}

// place opens a new replica of a shard on a node, under a new ID.
func (w *world) place(name string, id store.ShardID) seat {
	w.opening <- struct{}{}
	defer func() { <-w.opening }()
	w.mu.Lock()
	w.numbers++
	s := seat{node: name, shard: id, id: fmt.Sprintf("%s.%d", name, w.numbers)}
	w.seats = append(w.seats, s)
	n := w.nodes[name]
	w.mu.Unlock()
	if n != nil && !n.dead.Load() {
		if err := n.join(s); err != nil && !n.dead.Load() {
			w.oracle.fail("%s: %w", name, err)
		}
	}
	return s
}

// vacate takes a seat away: the replica is not opened again.
func (w *world) vacate(s seat) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seats = slices.DeleteFunc(w.seats, func(o seat) bool { return o.id == s.id && o.shard == s.shard })
}

// move gives a shard a replica on a node that has none, and takes another one away. It is run with the right to change members.
func (w *world) move(id store.ShardID, from seat, to string) error {
	w.sum.add("replicas moved", 1)
	if err := w.admit(w.place(to, id)); err != nil {
		return err
	}
	return w.evict(from)
}

// evict removes a replica from its group and stops it.
func (w *world) evict(s seat) error {
	if err := w.dismiss(s.shard, s.id); err != nil {
		return err
	}
	time.Sleep(w.chance.upTo(heartbeat * 3)) // it goes on for a while
	w.vacate(s)
	if n := w.named(s.node); n != nil {
		if err := n.leave(s.shard); err != nil && !n.dead.Load() {
			return err
		}
	}
	return nil
}

// visit gives a shard a learner for some time.
func (w *world) visit(id store.ShardID, name string) error {
	w.sum.add("learners that came and went", 1)
	s := w.place(name, id)
	if err := w.change(id, func(r *replica.Replica) error { return r.AddLearner(s.id, s.node) }); err != nil {
		return err
	}
	time.Sleep(w.chance.upTo(5 * time.Second))
	return w.evict(s)
}

// lose crashes a node, throws its disk away, and replaces its replicas by new ones under new IDs on the empty disk.
func (w *world) lose(name string) error {
	for _, s := range w.seatsOn(name) {
		if err := w.agree(s.shard, s.id); err != nil {
			return err
		}
	}
	w.sum.add("disks lost", 1)
	w.down(name)
	w.mu.Lock()
	w.disks[name] = storetest.NewDisk()
	var lost []seat
	w.seats = slices.DeleteFunc(w.seats, func(s seat) bool {
		if s.node == name {
			lost = append(lost, s)
		}
		return s.node == name
	})
	w.mu.Unlock()
	if err := w.start(name, 0); err != nil {
		return err
	}
	for _, s := range lost {
		if err := w.dismiss(s.shard, s.id); err != nil {
			return err
		}
		if err := w.admit(w.place(name, s.shard)); err != nil {
			return err
		}
	}
	return nil
}

// rearrange does one change of members in the background, unless one is under way.
func (w *world) rearrange(change func() error) bool {
	select {
	case w.admin <- struct{}{}:
	default:
		return false
	}
	w.clients.Go(func() {
		defer func() { <-w.admin }()
		if err := change(); err != nil {
			w.oracle.fail("%w", err)
		}
	})
	return true
}

// free returns a node without a replica of a shard, "" if there is none. It may have data of one that was removed.
func (w *world) free(id store.ShardID) string {
	seats := w.seatsOf(id)
	for _, name := range w.names {
		if !slices.ContainsFunc(seats, func(s seat) bool { return s.node == name }) {
			return name
		}
	}
	return ""
}
