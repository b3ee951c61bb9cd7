//go:build !race

// For the reason that backup_cluster_test.go gives.

package node

import (
	"bytes"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketing"
	"ticketing/runtime/peer"
)

// notes keeps what a node logs.
type notes struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notes) count(what string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Count(n.text.String(), what)
}

// TestJoinTakesCopy: a node that joins takes over the copy of query that another has, and follows on from there. Where all that it is sent is of no use,
// it builds its own, which is no other.
func TestJoinTakesCopy(t *testing.T) {
	ca, err := peer.NewAuthority("testcluster", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	first := member(t, ca, "n1", nil, slog.New(slog.DiscardHandler))
	w := newTown(t, first)
	write := func(seed uint64, count int) {
		stop := w.busy(seed)
		eventually(t, "people write", func() bool { acked, _ := w.written(); return len(acked) > count })
		stop()
	}
	write(51, 60)
	nodes := []*Node{first}
	join := func(name string) *notes {
		var log notes
		n := member(t, ca, name, first, slog.New(slog.NewTextHandler(&log, nil)))
		nodes = append(nodes, n)
		return &log
	}
	agree := func() {
		t.Helper()
		for _, n := range nodes[1:] {
			eventually(t, n.name+" shows what the first node shows", func() bool { return reflect.DeepEqual(shown(t, n), shown(t, first)) })
		}
	}
	log := join("n2")
	if log.count("copy of query was taken over") != 1 || log.count("was not taken over") != 0 || nodes[1].copied.Load() == 0 {
		t.Errorf("n2 has built its own: %d bytes came", nodes[1].copied.Load())
	}
	agree()
	write(52, 120)
	agree()
	for _, n := range nodes {
		n.peers.Handle(copyPurpose, func(conn net.Conn, _ string, _ []byte) {
			_, _ = conn.Write([]byte("\x01tktsnap nonsense"))
			_ = conn.Close()
		})
	}
	log = join("n3")
	if log.count("was not taken over") != 2 || log.count("copy of query was taken over") != 0 {
		t.Error("n3 has taken over nonsense")
	}
	agree()
}

// shown is what a node shows everybody.
func shown(t *testing.T, n *Node) (all struct {
	Feed   ticketing.FeedPage
	Found  ticketing.SearchPage
	Totals ticketing.Totals
}) {
	t.Helper()
	var err error
	if all.Feed, err = n.query.Feed(t.Context(), ticketing.Viewer{}, ticketing.Page{Limit: 50}); err != nil {
		t.Fatal(err)
	}
	if all.Found, err = n.query.Search(t.Context(), "body", ticketing.Page{Limit: 50}); err != nil {
		t.Fatal(err)
	}
	if all.Totals, err = n.query.Totals(t.Context()); err != nil {
		t.Fatal(err)
	}
	return all
}
