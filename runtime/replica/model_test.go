package replica

import (
	"errors"
	"testing"

	"ticketing/runtime/store/storetest"
)

func memFS() *storetest.Disk { return storetest.NewDisk() }

// TestModelFaults: what a fault does to the state and to the proposer.
func TestModelFaults(t *testing.T) {
	n := openStore(t, memFS(), nil)
	defer func() { _ = n.Close() }()
	m := &counting{shard: 3, db: n.State(service)}
	l, err := NewModel(3, n.State(service), m)
	if err != nil {
		t.Fatal(err)
	}
	l.Inject(None, Lost, Drop, Refuse, Depose)
	for i, tc := range []struct {
		want    error
		applied uint64
	}{{nil, 1}, {ErrUnknown, 2}, {ErrUnknown, 2}, {ErrNotLeader, 2}, {ErrUnknown, 2}, {ErrNotLeader, 2}} {
		if _, _, err := l.Propose(command(uint64(i))); !errors.Is(err, tc.want) || m.total() != tc.applied {
			t.Errorf("proposal %d: error %v, %d applied; want %v, %d", i, err, m.total(), tc.want, tc.applied)
		}
	}
	select {
	case <-l.Leadership():
	default:
		t.Error("losing leadership does not pulse")
	}
	if err := l.Lead(t.Context()); !errors.Is(err, ErrNotLeader) {
		t.Errorf("Lead: %v", err)
	}
	if id, self := l.Leader(); self || id == "" {
		t.Errorf("the leader is %q", id)
	}
	if _, _, err := l.Commit(command(9)); err != nil || m.total() != 3 { // another leader's
		t.Error(err)
	}
	l.SetLeading(true)
	<-l.Leadership()
	if err := l.Lead(t.Context()); err != nil {
		t.Error(err)
	}
	if got := len(l.Entries()); got != 3 {
		t.Errorf("%d entries", got)
	}
}

// TestModelHold: proposals in flight wait for the test.
func TestModelHold(t *testing.T) {
	n := openStore(t, memFS(), nil)
	defer func() { _ = n.Close() }()
	m := &counting{shard: 3, db: n.State(service)}
	l, err := NewModel(3, n.State(service), m)
	if err != nil {
		t.Fatal(err)
	}
	release := l.Hold()
	done := make(chan error)
	go func() { _, _, err := l.Propose(command(1)); done <- err }()
	if _, _, err := l.Commit(command(2)); err != nil { // overtakes
		t.Fatal(err)
	}
	release()
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	again, err := NewModel(3, n.State(service), m)
	if err != nil || again.Applied() != l.Applied() || again.Applied() != 2 {
		t.Errorf("a second model begins at %d, want 2 (%v)", again.Applied(), err)
	}
}
