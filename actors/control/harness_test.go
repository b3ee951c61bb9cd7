package control_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/actors/control"
	"ticketing/runtime/replica"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
	"ticketing/runtime/system"
	"ticketing/runtime/wire"
)

var began = time.UnixMilli(1_700_000_000_000).UTC()

var operator = ticketing.Principal{Name: "op", Roles: ticketing.RoleUser | ticketing.RoleOperator}

// open runs the service on a replica of its own.
func open(t testing.TB) (control.Client, *shard.Actor) {
	t.Helper()
	return openSpec(t, newControl, func() int { return wire.Formats().Newest })
}

func newControl() shard.Spec { return control.New(control.Policy{}) }

// openSpec runs a service like control in a cluster of a format.
func openSpec(t testing.TB, spec func() shard.Spec, format func() int) (control.Client, *shard.Actor) {
	t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	fatal := func(err error) { t.Error(err) }
	node, err := store.Open(store.Options{FS: vfs.NewMem(), Dir: "data", Services: []string{control.Name}, Fatal: fatal, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	m, err := shard.NewMachine(0, node.State(control.Name), fatal)
	if err != nil {
		t.Fatal(err)
	}
	r, err := replica.Open(replica.Config{Node: "n1", Name: control.Name, Store: node, Service: control.Name, Machine: m, Bootstrap: true, Single: true, Fatal: fatal, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	a := shard.NewActor(shard.Config{Shards: 1, Log: r, Machine: m, Spec: spec, Retention: time.Hour, MaxQueue: 64, Format: format, Now: time.Now, Fatal: fatal, Logger: quiet})
	sys := system.New(quiet)
	sys.Define(control.Name, 1)
	ref, err := sys.Shard(control.Name, 0).Spawn(a)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.Start(ctx, ref)
	t.Cleanup(func() {
		cancel()
		sys.Stop()
		a.Stop()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := node.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := a.WaitLeading(t.Context()); err != nil {
		t.Fatal(err)
	}
	return control.NewClient(sys), a
}

// founded is a cluster of the node n1 and of the services given.
func founded(t testing.TB, replication int, services ...ticketing.ServiceShards) (control.Client, *shard.Actor) {
	t.Helper()
	c, a := open(t)
	must(t, c.Found(t.Context(), founding(replication, services...)))
	return c, a
}

func founding(replication int, services ...ticketing.ServiceShards) ticketing.FoundCluster {
	services = append([]ticketing.ServiceShards{{Service: control.Name, Shards: 1}}, services...)
	return ticketing.FoundCluster{Cluster: "c", Node: "n1", Address: "n1:1", Format: ticketing.FirstFormat, Formats: ticketing.Formats{Oldest: 1, Newest: 2},
		Replication: replication, Shards: 4, Services: services}
}

func joining(node, token string) ticketing.JoinCluster {
	return ticketing.JoinCluster{Node: node, Address: node + ":1", Formats: ticketing.Formats{Oldest: 1, Newest: 1}, Token: token}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mapOf(t testing.TB, c control.Client) ticketing.ClusterMap {
	t.Helper()
	m, err := c.Map(t.Context())
	must(t, err)
	return m
}
