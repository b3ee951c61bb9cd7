package contract

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
)

// The services' numbers and what their logs hold, as internal/node lays them out.
var serviceNumbers = map[string]int{"users": 1, "posts": 2, "comments": 3, "moderation": 4, "tickets": 5}

// audit is what a stopped node's event logs say.
type audit struct {
	events    map[string]int
	created   map[ticketing.ID]int    // comments: CommentCreated events
	automatic map[string]int          // "subject/rev" → automatic decisions
	statuses  map[ticketing.ID]string // the last status that comments announced
	// generation → rule → digests that judged under it
	generations map[uint64]map[string]map[ticketing.Digest]bool
}

// auditNode reads every event log of a stopped node, and fails the test on a gap.
func auditNode(t *testing.T, fs vfs.FS, dir string) *audit {
	t.Helper()
	shards := shardsOf(t, fs, dir)
	names := []string{"query", "control"}
	for n := range serviceNumbers {
		names = append(names, n)
	}
	st, err := store.Open(store.Options{FS: fs, Dir: dir, Services: names, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Fatal: func(err error) { t.Fatal(err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	a := &audit{map[string]int{}, map[ticketing.ID]int{}, map[string]int{}, map[ticketing.ID]string{}, map[uint64]map[string]map[ticketing.Digest]bool{}}
	for name, number := range serviceNumbers {
		for i := range shards {
			m, err := shard.NewMachine(store.ShardID(number<<8|i), st.State(name), func(err error) { t.Fatal(err) })
			if err != nil {
				t.Fatal(err)
			}
			a.read(t, name, i, m)
		}
	}
	return a
}

// shardsOf reads how many shards a cluster was created with.
func shardsOf(t *testing.T, fs vfs.FS, dir string) int {
	t.Helper()
	f, err := fs.Open(fs.PathJoin(dir, "cluster.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var record struct{ Shards int }
	if err := json.NewDecoder(f).Decode(&record); err != nil || record.Shards == 0 {
		t.Fatalf("%d shards, %v", record.Shards, err)
	}
	return record.Shards
}

func (a *audit) read(t *testing.T, name string, index int, m *shard.Machine) {
	t.Helper()
	at := shard.Cursor{Epoch: m.Meta().Epoch, Seq: m.Meta().First - 1}
	for at.Seq < m.Meta().Head {
		evs, upto, err := m.Feed().Poll(t.Context(), shard.Consumer{Service: "audit"}, at, 0, 0)
		if err != nil {
			t.Fatalf("%s/%02d after %d of %d: %v", name, index, at.Seq, m.Meta().Head, err)
		}
		for _, ev := range evs {
			if ev.Seq != at.Seq+1 {
				t.Fatalf("%s/%02d: event %d follows event %d", name, index, ev.Seq, at.Seq)
			}
			at.Seq = ev.Seq
			a.note(name, &ev)
		}
		at = upto
	}
}

func (a *audit) note(name string, ev *ticketing.Event) {
	a.events[name]++
	switch e := ev.Data.(type) {
	case *ticketing.CommentCreated:
		a.created[ev.Subject]++
	case *ticketing.Moderated:
		if e.Decision.By.IsZero() {
			a.automatic[fmt.Sprintf("%v/%d", ev.Subject, ev.Rev)]++
			a.judged(&e.Decision)
		}
	case *ticketing.CommentModerated:
		a.statuses[e.ID] = e.Status.String()
	}
}

// check fails the test unless every comment was created once, and every revision judged once.
func (a *audit) check(t *testing.T) {
	t.Helper()
	for id, n := range a.created {
		if n != 1 {
			t.Errorf("comment %v was created %d times", id, n)
		}
		if got := a.automatic[fmt.Sprintf("%v/1", id)]; got != 1 {
			t.Errorf("comment %v has %d automatic decisions", id, got)
		}
		if a.statuses[id] == "" {
			t.Errorf("the decision about comment %v did not come back", id)
		}
	}
	for key, n := range a.automatic {
		if n != 1 {
			t.Errorf("revision %s has %d automatic decisions", key, n)
		}
	}
}

func (a *audit) judged(d *ticketing.Decision) {
	rules := a.generations[d.Generation]
	if rules == nil {
		rules = map[string]map[ticketing.Digest]bool{}
		a.generations[d.Generation] = rules
	}
	for _, o := range d.Rules {
		if rules[o.Rule] == nil {
			rules[o.Rule] = map[ticketing.Digest]bool{}
		}
		rules[o.Rule][o.Digest] = true
	}
}

// oneVersion fails the test if two versions of a rule judged under one generation.
func (a *audit) oneVersion(t *testing.T) {
	t.Helper()
	for g, rules := range a.generations {
		for name, digests := range rules {
			if len(digests) != 1 {
				t.Errorf("under generation %d the rule %s judged with %d versions", g, name, len(digests))
			}
		}
	}
}
