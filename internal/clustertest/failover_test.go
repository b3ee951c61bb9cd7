package clustertest

import (
	"context"
	"slices"
	"testing"
	"time"
)

// failoverLimit is how long a shard may take no writes after its leader was killed.
const failoverLimit = 3 * time.Second

// A leader that is killed under load is replaced within three seconds, and nothing that was acknowledged is lost.
func TestLeaderIsKilled(t *testing.T) {
	c := Start(t, Options{})
	l := c.NewLoad("failover")
	var outages []time.Duration
	for round := range rounds(4) {
		victim := c.Leader("comments", round%c.shards)
		lost := c.ledBy(victim, "comments")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Run(ctx, 8, func() *Node { return c.anyBut(victim) })
		}()
		began := time.Now()
		c.until("the load runs", func() bool { return l.since(began) > 100 })
		killed := time.Now()
		victim.Kill()
		c.until("every shard takes writes again", func() bool { return l.everyShard(killed) || time.Since(killed) > 20*time.Second })
		again := time.Now()
		c.until("the load goes on", func() bool { return l.since(again) > 500 || time.Since(again) > 20*time.Second })
		cancel()
		<-done
		for _, shard := range lost {
			outage := l.outage(shard, killed)
			outages = append(outages, outage)
			if outage > failoverLimit {
				t.Errorf("round %d: after %s was killed, shard %d of comments took no write for %v", round, victim.Name, shard, outage)
			}
		}
		victim.Start()
		victim.WaitReady()
		c.WaitSettled()
	}
	l.Finish(t)
	l.Verify(t, c.Nodes()...)
	a := c.Audit()
	a.Has(l)
	slices.Sort(outages)
	t.Logf("fail-over: %v; %d acknowledged writes; %d pairs of replicas are the same bytes", outages, l.Acked(), a.Replicas)
}

// A leader that is cut off from the others while clients write through it acknowledges nothing that is lost when it is killed.
func TestLeaderIsCutOff(t *testing.T) {
	c := Start(t, Options{})
	inside, outside := c.NewLoad("inside"), c.NewLoad("outside")
	for round := range rounds(2) {
		victim := c.Leader("comments", round%c.shards)
		began := time.Now()
		inside.during(t, 8, func() *Node { return victim }, func() {
			c.Net.Split(Hold, []string{victim.Name}, c.Names(victim.Name))
			cut := time.Now()
			outside.during(t, 4, func() *Node { return c.anyBut(victim) }, func() {
				c.until("every shard takes writes again", func() bool { return outside.everyShard(cut) })
			})
			victim.Kill()
			c.Net.Drop(victim.Name)
			c.Net.Heal()
			victim.Start()
			victim.WaitReady()
		})
		t.Logf("round %d: %s acknowledged %d writes", round, victim.Name, inside.since(began))
		c.WaitSettled()
	}
	inside.Finish(t)
	outside.Finish(t)
	inside.Verify(t, c.Nodes()...)
	outside.Verify(t, c.Nodes()...)
	a := c.Audit()
	a.Has(inside)
	a.Has(outside)
}
