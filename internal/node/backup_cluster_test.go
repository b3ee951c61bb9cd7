//go:build !race

// Several nodes in one process: proto.actor sets gRPC's logger, which is the whole process's, whenever a node starts to listen, so the race
// detector cannot watch. make test runs this file without it.

package node

import (
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing/runtime/peer"
)

// member opens a node of a cluster on loopback, with files of its own.
func member(t *testing.T, ca *peer.Authority, name string, first *Node, log *slog.Logger) *Node {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := smallConfig(2)
	cfg.Data, cfg.NodeID, cfg.ClusterListen = filepath.Join(t.TempDir(), name), name, ln.Addr().String()
	cert, key, err := ca.Issue(name, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	authority, _ := ca.PEM()
	cfg.ClusterCA, cfg.ClusterCert, cfg.ClusterKey = string(authority), string(cert), string(key)
	if first != nil {
		cfg.Dev, cfg.ClusterJoin = false, []string{first.cfg.ClusterListen}
		cfg.Hosts = []string{"localhost"}
		if cfg.ClusterToken, err = ca.Token(name, time.Hour, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if first == nil {
		if _, err := InitCluster(cfg, ca.Cluster(), slog.New(slog.DiscardHandler), func(err error) { t.Error(err) }); err != nil {
			t.Fatal(err)
		}
	}
	n, err := Open(t.Context(), cfg, Options{compiler: compiler(), Log: log, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	return n
}

// three opens a cluster of three nodes.
func three(t *testing.T) []*Node {
	t.Helper()
	ca, err := peer.NewAuthority("testcluster", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	first := member(t, ca, "n1", nil, quiet)
	return []*Node{first, member(t, ca, "n2", first, quiet), member(t, ca, "n3", first, quiet)}
}

// TestBackupOfCluster: a backup by a node that leads only some of the shards, and has replicas of others, while people write on another one.
func TestBackupOfCluster(t *testing.T) {
	nodes := three(t)
	first := nodes[0]
	eventually(t, "several nodes lead something", func() bool {
		leads := map[string]bool{}
		m, _ := first.members.current()
		for _, p := range m.Placements {
			if node := first.sys.Shard(p.Service, p.Shard).Leader(); node != "" {
				leads[node] = true
			}
		}
		return len(leads) > 1
	})
	w := newTown(t, nodes[1])
	stop := w.busy(21)
	eventually(t, "people write", func() bool { acked, _ := w.written(); return len(acked) > 100 })
	acked, keyed := w.written()
	path := filepath.Join(t.TempDir(), "b.tar.zst")
	v := newVisitor(t, nodes[2], w.users)
	v.backup(path, "")
	stop()

	fs := vfs.NewMem()
	out, err := Restore(t.Context(), smallConfig(0), path, Restoration{}, quietOptions(t, fs))
	if err != nil || out.Backup.Cluster != "testcluster" {
		t.Fatalf("%+v, %v", out, err)
	}
	n := openShards(t, fs, 0)
	settled(t, n, w.users, acked, keyed)
	newVisitor(t, n, w.users).post(rand.New(rand.NewPCG(22, 22)))
}
