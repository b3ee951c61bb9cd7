package clustertest

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// fromEnv reads a number that make chaos sets.
func fromEnv(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// Clients read, edit, delete and create comments through random nodes, and compete for e-mail addresses, while processes are killed and stopped,
// connections are cut, and leaders move. What they see is linearizable, item by item; afterwards the replicas are the same bytes, and everything
// acknowledged is there once.
func TestChaosIsLinearizable(t *testing.T) { chaos(t, Options{}) }

func chaos(t *testing.T, o Options) {
	t.Helper()
	length := time.Duration(fromEnv("CHAOS_SECONDS", 20)) * time.Second
	seed := fromEnv("CHAOS_SEED", 42)
	if os.Getenv("CHAOS_SEED") == "" && os.Getenv("CHAOS_SECONDS") != "" {
		seed = uint64(time.Now().UnixNano()) // make chaos tries something new each time
	}
	t.Logf("seed %d, %v", seed, length)
	kinds := all
	if length > time.Minute {
		kinds = append(kinds[:len(kinds):len(kinds)], long...)
		o.Disks = true
	}
	c := Start(t, o)
	w := c.newWorkload("chaos")
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run(ctx, 12, seed, 90*time.Second)
	}()
	f := &faults{c: c, rng: rand.New(rand.NewPCG(seed, 0)), ctx: ctx, did: map[string]int{}}
	for ctx.Err() == nil {
		one := f.pick(kinds)
		f.did[one.name]++
		before := w.count.Load()
		what := one.do(f)
		t.Logf("%s: %s; %d answers meanwhile", one.name, what, w.count.Load()-before)
		f.recover()
	}
	ended := time.Now()
	c.Net.Heal()
	for _, n := range c.Nodes() {
		if !n.Running() {
			n.Start()
		}
		n.WaitReady()
	}
	<-done
	c.WaitSettled()
	t.Logf("settled %v after the last fault", time.Since(ended).Round(10*time.Millisecond))
	for _, n := range c.Nodes() {
		w.final(n)
	}
	w.load.Finish(t)
	t.Logf("read %v after", time.Since(ended).Round(10*time.Millisecond))
	c.check(w.seen, w.first)
	t.Logf("checked %v after", time.Since(ended).Round(10*time.Millisecond))
	a := c.Audit()
	a.Has(w.load)
	t.Logf("%d operations in the history, %d answers, %d attempts without one, %d comments; faults %v; %d pairs of replicas are the same bytes",
		len(w.seen.ops), w.count.Load(), w.unknown.Load(), w.load.Acked(), f.did, a.Replicas)
}
