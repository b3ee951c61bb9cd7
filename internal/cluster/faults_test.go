package cluster

import (
	"errors"
	"slices"
	"time"

	"ticketing/runtime/store"
)

// faults are what may happen to a cluster. Each ends with a cluster that is whole again, except for changes of members, which go on beside
// what comes next.
var faults = []struct {
	name   string
	weight int
	happen func(*world) error
}{
	{"crash of one", 3, (*world).crashOne},
	{"crash of a minority", 2, (*world).crashMinority},
	{"crash of all", 2, (*world).crashAll},
	{"crash at a change of the disk", 4, (*world).crashAtChange},
	{"partition", 3, (*world).partition},
	{"one-way partition", 3, (*world).oneWay},
	{"leader isolated", 4, (*world).isolateLeader},
	{"leaders transferred", 4, (*world).transfer},
	{"leadership there and back", 5, (*world).thereAndBack},
	{"storm", 2, (*world).storm},
	{"node that stands still", 4, (*world).slowNode},
	{"lag and crash in the install", 3, (*world).lag},
	{"replica moved", 3, (*world).moveReplica},
	{"disk lost", 2, (*world).loseDisk},
}

// rounds lets some faults happen.
func (w *world) rounds(n int) error {
	total := 0
	faults := slices.Clone(faults)
	for i, f := range faults {
		if *faultFlag != "" && f.name != *faultFlag {
			faults[i].weight = 0
		}
		total += faults[i].weight
	}
	for range n {
		w.progress(w.plan.IntN(60), 5*time.Second)
		r := w.plan.IntN(total)
		for _, f := range faults {
			if r -= f.weight; r >= 0 {
				continue
			}
			w.sum.add("fault: "+f.name, 1)
			w.log.Info("fault", "what", f.name)
			if err := f.happen(w); err != nil {
				return errors.Join(err, w.oracle.err())
			}
			break
		}
		if w.aborted() {
			return nil
		}
	}
	return nil
}

// progress waits until some more additions were acknowledged, but not for long: there may be no quorum.
func (w *world) progress(n int, limit time.Duration) {
	h := w.history
	size := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.order)
	}
	goal := size() + n
	w.until(limit, func() bool { return size() >= goal })
}

// outage is how long something is away.
func (w *world) outage() time.Duration {
	return pick(w.plan, 20*time.Millisecond, heartbeat, 2*heartbeat, 5*time.Second) + w.plan.upTo(heartbeat)
}

func (w *world) victim() string { return pick(w.plan, w.names...) }

// some returns a random part of the nodes, of the given size, and the rest.
func (w *world) some(n int) (part, rest []string) {
	names := append([]string(nil), w.names...)
	for i := range n {
		j := i + w.plan.IntN(len(names)-i)
		names[i], names[j] = names[j], names[i]
	}
	return names[:n], names[n:]
}

// restart starts nodes; one may crash again while it starts.
func (w *world) restart(names ...string) error {
	for _, name := range names {
		fuse := 0
		if w.plan.IntN(4) == 0 {
			fuse = 1 + w.plan.IntN(60)
		}
		if err := w.start(name, fuse); err != nil {
			return err
		}
		if w.named(name) == nil { // it did
			if err := w.start(name, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *world) bounce(names ...string) error {
	var nodes []*node
	for _, name := range names {
		if n := w.named(name); n != nil {
			nodes = append(nodes, n)
		}
	}
	w.crash(nodes...)
	for _, name := range names {
		w.down(name)
	}
	time.Sleep(w.outage())
	return w.restart(names...)
}

func (w *world) crashOne() error { return w.bounce(w.victim()) }

func (w *world) crashMinority() error {
	part, _ := w.some((len(w.names) - 1) / 2)
	return w.bounce(part...)
}

func (w *world) crashAll() error { return w.bounce(w.names...) }

func (w *world) crashAtChange() error {
	name := w.victim()
	n := w.named(name)
	if n == nil {
		return nil
	}
	n.disk.fuse.Store(int64(1 + w.plan.IntN(300)))
	w.until(5*time.Second, n.dead.Load)
	return w.bounce(name)
}

func (w *world) partition() error {
	a, b := w.some(1 + w.plan.IntN(len(w.names)-1))
	w.net.sever(a, b)
	w.net.sever(b, a)
	time.Sleep(w.outage())
	w.net.heal()
	return nil
}

func (w *world) oneWay() error {
	a, b := w.some(1 + w.plan.IntN(len(w.names)-1))
	w.net.sever(a, b)
	time.Sleep(w.outage())
	w.net.heal()
	return nil
}

func (w *world) anyShard() store.ShardID {
	return store.NewShardID(w.plan.IntN(len(services)), w.plan.IntN(shards))
}

func (w *world) isolateLeader() error {
	way := w.plan.IntN(4)
	id, away := w.anyShard(), w.outage()
	g := w.leader(id)
	if g == nil {
		return nil
	}
	name := []string{nodeOf(g.id)}
	if way != 0 {
		w.net.sever(name, w.names)
	}
	if way != 1 {
		w.net.sever(w.names, name)
	}
	time.Sleep(away)
	w.net.heal()
	return nil
}

// transfer moves leaderships some times in a row.
func (w *world) transfer() error {
	for range 1 + w.plan.IntN(6) {
		id := w.anyShard()
		wait := w.plan.upTo(heartbeat)
		if g := w.leader(id); g != nil {
			_ = g.rep.Transfer("")
			w.sum.add("leaderships transferred", 1)
		}
		time.Sleep(wait)
	}
	return nil
}

// thereAndBack lets a shard's leader lose its leadership and get it back while its goroutines stand still now and then: what they hold is
// of a time before somebody else led.
func (w *world) thereAndBack() error {
	id := w.anyShard()
	g := w.leader(id)
	if g == nil {
		return nil
	}
	n := w.named(nodeOf(g.id))
	if n == nil {
		return nil
	}
	n.slow.Store(true)
	defer n.slow.Store(false)
	for range 6 {
		_ = g.rep.Transfer("")
		w.until(2*heartbeat, func() bool { other := w.leader(id); return other != nil && other != g })
		w.progress(3, heartbeat)
		if other := w.leader(id); other != nil && other != g {
			_ = other.rep.Transfer(g.id)
		}
		w.until(heartbeat, g.actor.Leading)
		w.sum.add("leaderships there and back", 1)
	}
	return nil
}

func (w *world) storm() error {
	was := w.net.turn(weather{drop: 150, double: 100, late: 200, delay: 20 * time.Millisecond})
	time.Sleep(w.outage())
	w.net.turn(was)
	return nil
}

// slowNode lets a node's goroutines stand still now and then, while leaderships move.
func (w *world) slowNode() error {
	n := w.named(w.victim())
	if n == nil {
		return nil
	}
	n.slow.Store(true)
	defer n.slow.Store(false)
	return w.transfer()
}

// lag cuts a node off until the others have compacted their logs, and crashes it while it gets a snapshot.
func (w *world) lag() error {
	name := w.victim()
	isolate := w.plan.IntN(2) == 0
	fuse := 1 + w.plan.IntN(80)
	if isolate {
		_, others := w.some(0)
		w.net.sever([]string{name}, others)
		w.net.sever(others, []string{name})
	} else {
		w.down(name)
	}
	w.progress(int(w.threshold+w.trailing)*5, 20*time.Second)
	w.mu.Lock()
	w.hit[name] = fuse
	w.mu.Unlock()
	w.net.heal()
	if err := w.start(name, 0); err != nil {
		return err
	}
	w.until(3*time.Second, func() bool { return w.named(name) == nil })
	w.mu.Lock()
	delete(w.hit, name)
	w.mu.Unlock()
	if w.named(name) != nil {
		return nil
	}
	w.sum.add("crashes in an install", 1)
	w.down(name)
	return w.restart(name)
}

// arrives is told that a snapshot is sent to a node.
func (w *world) arrives(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.nodes[name]; n != nil && w.hit[name] > 0 {
		n.disk.fuse.Store(int64(w.hit[name]))
		delete(w.hit, name)
	}
}

// moveReplica begins to move a replica, or to lend one.
func (w *world) moveReplica() error {
	id := w.anyShard()
	seats, to := w.seatsOf(id), w.free(id)
	from, lend := pick(w.plan, seats...), w.plan.IntN(3) == 0
	if to == "" {
		return nil
	}
	w.rearrange(func() error {
		if lend {
			return w.visit(id, to)
		}
		return w.move(id, from, to)
	})
	return nil
}

func (w *world) loseDisk() error {
	name := w.victim()
	w.rearrange(func() error { return w.lose(name) })
	return nil
}
