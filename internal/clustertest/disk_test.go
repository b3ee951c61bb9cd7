package clustertest

import (
	"context"
	"os"
	"testing"
	"time"
)

// A node whose disk is slow, fails, or is full harms nobody but itself: it ends with one clear line where it must, the others go on, and it comes
// back without a loss.
func TestDisks(t *testing.T) {
	needsStrace(t)
	c := Start(t, Options{Disks: true})
	l := c.NewLoad("disks")
	c.through(t, l, []episode{
		{"failing fsync", failingSync},
		{"slow fsync", slowSync},
		{"full", fullDisk},
		{"full where compiled rules are", unpreparedRules},
	})
}

func needsStrace(t *testing.T) {
	t.Helper()
	if err := straceWorks(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("strace does not work here: %v", err)
	}
}

func failingSync(t *testing.T, c *Cluster, l *Load) {
	victim := c.Leader("comments", 0)
	l.during(t, 8, func() *Node { return c.anyBut(victim) }, func() {
		at := time.Now()
		c.FailSync(victim)
		c.until("every shard takes writes again", func() bool { return l.everyShard(at) })
	})
	if lines := fatalLines(victim); len(lines) != 1 {
		t.Errorf("%d lines say why it ended: %q", len(lines), lines)
	}
	victim.Start()
	victim.WaitReady()
	c.WaitSettled()
}

func slowSync(t *testing.T, c *Cluster, l *Load) {
	victim := c.Leader("comments", 0)
	began := time.Now()
	l.during(t, 8, c.anyLive, func() {
		stop := victim.trouble("fsync,fdatasync:delay_enter=100ms")
		c.until("writes go on", func() bool { return l.since(began) > 300 })
		stop()
	})
	if victim.Pid() == 0 {
		t.Errorf("a slow disk ended %s\n%s", victim.Name, tail(victim.Log(), 20))
	}
	t.Logf("with fsyncs of 100 ms on %s: %d writes in %v, p50 %v, p99 %v", victim.Name, l.since(began), time.Since(began).Round(time.Millisecond),
		l.quantile(0.5, began), l.quantile(0.99, began))
	c.WaitSettled()
}

// Clients work with the same comments while the disks of two nodes run out of room in turn; what they see is linearizable.
func fullDisk(t *testing.T, c *Cluster, _ *Load) {
	w := c.newWorkload("full")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run(ctx, 8, 42, 30*time.Second)
	}()
	for _, spare := range []int64{0, 1 << 20} {
		victim := c.Leader("comments", 0)
		before := w.count.Load()
		t.Logf("%s, started without room, %s", victim.Name, c.FillDisk(victim, spare))
		c.until("the others go on", func() bool { return w.count.Load() > before+200 })
		giveRoom(t, victim.Dir)
		if !victim.Running() {
			victim.Start()
		}
		victim.WaitReady()
		c.WaitSettled()
	}
	cancel()
	<-done
	for _, n := range c.Nodes() {
		w.final(n)
	}
	w.load.Finish(t)
	c.check(w.seen, w.first)
}
