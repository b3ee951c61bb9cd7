package clustertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A node whose disk is slow, fails, or is full harms nobody but itself: it ends with one clear line where it must, the others go on, and it comes
// back without a loss.
func TestDisks(t *testing.T) {
	needsStrace(t)
	c := Start(t, Options{Small: "n3"})
	l := c.NewLoad("disks")
	for _, step := range []struct {
		name string
		do   func(*testing.T, *Cluster, *Load)
	}{
		{"failing fsync", failingSync},
		{"slow fsync", slowSync},
		{"full", fullDisk},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(t, c, l) }) {
			return
		}
	}
	l.Finish(t)
	l.Verify(t, c.Nodes()...)
	c.Audit().Has(l)
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

// fatalLines are the lines in which a process says why it ends.
func fatalLines(n *Node) (lines []string) {
	for _, line := range strings.Split(n.Log(), "\n") {
		if strings.Contains(line, "input/output error") || strings.Contains(line, "no space left") {
			lines = append(lines, line)
		}
	}
	return lines
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

func fullDisk(t *testing.T, c *Cluster, l *Load) {
	victim := c.Node("n3")
	ballast := filepath.Join(victim.Dir, "ballast")
	l.during(t, 8, func() *Node { return c.anyBut(victim) }, func() {
		f, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for block := make([]byte, 1<<20); err == nil; {
			_, err = f.Write(block)
		}
		at := time.Now()
		code := victim.Ended(60 * time.Second)
		if lines := fatalLines(victim); code != 1 || len(lines) != 1 {
			t.Errorf("with a full disk %s ended with exit code %d and said %q", victim.Name, code, lines)
		}
		c.until("every shard takes writes again", func() bool { return l.everyShard(at) })
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	victim.Start()
	victim.WaitReady()
	c.WaitSettled()
}
