package clustertest

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
)

// numbers are the services', as internal/node lays them out.
var numbers = map[string]int{"control": 0, "users": 1, "posts": 2, "comments": 3, "moderation": 4, "tickets": 5}

// Audit is what the data of stopped nodes say.
type Audit struct {
	Replicas int                     // that were compared
	Created  map[ticketing.ID]int    // comments → CommentCreated events
	texts    map[string]ticketing.ID // of those
	uneven   []string                // replicas that have not applied what others have
	problems []string
	replicas map[string][]replicaData // by shard
}

type replicaData struct {
	node    string
	applied uint64
	hash    [32]byte
}

// Audit stops the nodes and reads their data. It fails the test on replicas that are not the same bytes, on a gap in an event log, and on a
// comment that was made twice. The last entries before a stop may not have reached everybody: then the nodes start once more to get them.
func (c *Cluster) Audit() *Audit {
	c.tb.Helper()
	var a *Audit
	for range 5 {
		at := time.Now()
		c.StopAll()
		c.tb.Logf("stopped in %v", time.Since(at).Round(time.Millisecond))
		if a = c.read(); len(a.uneven) == 0 {
			break
		}
		c.tb.Logf("once more: some replicas lack the last entries: %q", a.uneven)
		for _, n := range c.Nodes() {
			n.Start()
		}
		for _, n := range c.Nodes() {
			n.WaitReady()
		}
		c.WaitSettled()
	}
	if len(a.uneven) > 0 {
		a.fault("the replicas never have the same entries: %q", a.uneven)
	}
	for _, p := range a.problems[:min(20, len(a.problems))] {
		c.tb.Error(p)
	}
	return a
}

// StopAll stops all nodes at once, as an operator does.
func (c *Cluster) StopAll() {
	c.tb.Helper()
	for _, n := range c.Nodes() {
		n.Resume()
		n.Interrupt()
	}
	for _, n := range c.Nodes() {
		if n.current() != nil {
			n.Stopped()
		}
	}
}

func (c *Cluster) read() *Audit {
	c.tb.Helper()
	a := &Audit{Created: map[ticketing.ID]int{}, texts: map[string]ticketing.ID{}, replicas: map[string][]replicaData{}}
	for _, n := range c.Nodes() {
		if _, err := os.Stat(filepath.Join(n.Dir, "cluster.json")); err == nil {
			c.readNode(a, n)
		}
	}
	for name, replicas := range a.replicas {
		a.compare(name, replicas)
	}
	for id, count := range a.Created {
		if count != len(a.replicas[fmt.Sprintf("comments/%d", id.Slot().Shard(c.shards))]) {
			a.fault("comment %v was created %d times in all replicas together", id, count)
		}
	}
	return a
}

func (a *Audit) fault(format string, args ...any) {
	a.problems = append(a.problems, fmt.Sprintf(format, args...))
}

// compare compares the replicas of a shard.
func (a *Audit) compare(name string, replicas []replicaData) {
	for _, r := range replicas[1:] {
		a.Replicas++
		first := replicas[0]
		switch {
		case r.applied != first.applied:
			a.uneven = append(a.uneven, fmt.Sprintf("%s: %s %d, %s %d", name, first.node, first.applied, r.node, r.applied))
		case r.hash != first.hash:
			a.fault("%s: the replicas of %s and %s differ after entry %d", name, first.node, r.node, r.applied)
		}
	}
}

// read reads one node's replicas.
func (c *Cluster) readNode(a *Audit, n *Node) {
	c.tb.Helper()
	names := []string{"query"}
	for name := range numbers {
		names = append(names, name)
	}
	slices.Sort(names)
	fatal := func(err error) { a.fault("%s: %v", n.Name, err) }
	st, err := store.Open(store.Options{FS: vfs.Default, Dir: n.Dir, Services: names, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Fatal: fatal})
	if err != nil {
		c.tb.Fatalf("%s: %v", n.Name, err)
	}
	defer st.Close()
	for name, number := range numbers {
		count := c.shards
		if name == "control" {
			count = 1
		}
		for i := range count {
			id := store.NewShardID(number, i)
			m, err := shard.NewMachine(id, st.State(name), fatal)
			if err != nil {
				c.tb.Fatalf("%s: %s/%d: %v", n.Name, name, i, err)
			}
			if m.Meta().Base == 0 {
				continue // no replica here
			}
			hash, err := store.Hash(st.State(name), id)
			if err != nil {
				c.tb.Fatalf("%s: %s/%d: %v", n.Name, name, i, err)
			}
			key := fmt.Sprintf("%s/%d", name, i)
			a.replicas[key] = append(a.replicas[key], replicaData{n.Name, m.Meta().Base, hash})
			c.events(a, n, name, i, m)
		}
	}
}

// events reads a replica's event log.
func (c *Cluster) events(a *Audit, n *Node, name string, index int, m *shard.Machine) {
	c.tb.Helper()
	at := shard.Cursor{Epoch: m.Meta().Epoch, Seq: m.Meta().First - 1}
	for at.Seq < m.Meta().Head {
		evs, upto, err := m.Feed().Poll(c.tb.Context(), shard.Consumer{Service: "audit"}, at, 0, 0)
		if err != nil {
			c.tb.Fatalf("%s: %s/%d after %d of %d: %v", n.Name, name, index, at.Seq, m.Meta().Head, err)
		}
		for _, ev := range evs {
			if ev.Seq != at.Seq+1 {
				a.fault("%s: %s/%d: event %d follows event %d", n.Name, name, index, ev.Seq, at.Seq)
			}
			at.Seq = ev.Seq
			if made, ok := ev.Data.(*ticketing.CommentCreated); ok {
				a.created(ev.Subject, made)
			}
		}
		at = upto
	}
}

func (a *Audit) created(id ticketing.ID, made *ticketing.CommentCreated) {
	a.Created[id]++
	if other, ok := a.texts[made.Comment.Text]; ok && other != id {
		a.fault("%q was created as %v and as %v", made.Comment.Text, other, id)
	}
	a.texts[made.Comment.Text] = id
}

// Has fails the test unless everything that a load was told is in the event logs.
func (a *Audit) Has(l *Load) {
	l.c.tb.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	missing := 0
	for key, m := range l.acked {
		if id, err := ticketing.ParseID(m.id); err != nil || a.Created[id] == 0 {
			if missing++; missing < 10 {
				l.c.tb.Errorf("the acknowledged comment %s (%s) is in no event log", m.id, key)
			}
		}
	}
	if missing > 0 {
		l.c.tb.Errorf("%d of %d acknowledged comments are missing", missing, len(l.acked))
	}
}

// record is what a data directory says of itself.
type record struct {
	Cluster     string `json:"cluster"`
	Node        string `json:"node"`
	Incarnation uint64 `json:"incarnation"`
	Control     string `json:"control"`
}

// Record reads which node of which cluster a data directory is.
func (n *Node) Record() (r record) {
	n.tb.Helper()
	b, err := os.ReadFile(filepath.Join(n.Dir, "cluster.json"))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		n.tb.Fatal(err)
	}
	return r
}
