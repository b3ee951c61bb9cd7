package clustertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ticketing"
)

// A follower that is cut off until the others have dropped the log that it needs gets a snapshot. Its disk is full in the middle of receiving it: it ends
// with one line that says so, and its next start removes the part. Killed in the middle of another one, it gets a third, and ends the same bytes as the
// others.
func TestInterruptedSnapshots(t *testing.T) {
	c := Start(t, Options{Shards: 1, Disks: true})
	l := c.NewLoad("snapshot")
	leader := c.Leader("posts", 0)
	victim := c.anyBut(leader)
	c.Net.Split(Cut, []string{victim.Name}, c.Names(victim.Name))
	began := time.Now()
	written := c.bulk(t, l.user, victim, 48<<20)
	t.Logf("%d posts in %v while %s was cut off", written, time.Since(began).Round(time.Millisecond), victim.Name)

	s := c.WaitStatus(30*time.Second, func(s ticketing.ClusterStatus) string {
		if g := Group(s, "posts", 0); !g.Serving {
			return "posts has no leader"
		}
		return ""
	})
	leader = c.Node(Group(s, "posts", 0).Leader)
	victim.Kill() // what it holds now is all it has
	spool := filepath.Join(victim.Dir, "spool")
	receive := func() { // about half of a snapshot
		before := c.Net.Sent(leader.Name, victim.Name)
		c.Net.Heal()
		for _, name := range c.Names(victim.Name) {
			c.Net.Delay(name, victim.Name, 2*time.Millisecond) // so that the middle is long enough to be met
		}
		c.until("a snapshot is half received", func() bool {
			return c.Net.Sent(leader.Name, victim.Name)-before > 8<<20 && spooled(spool) > 4<<20
		})
	}
	victim.Start()
	receive()
	takeRoom(t, victim.Dir, 0)
	c.endedFull(victim)
	full := spooled(spool)
	c.Net.Split(Cut, []string{victim.Name}, c.Names(victim.Name))
	giveRoom(t, victim.Dir)
	victim.Start()
	c.until("the part is removed", func() bool { return spooled(spool) == 0 })

	receive()
	victim.Kill()
	half := spooled(spool)
	c.Net.Heal()
	victim.Start()
	victim.WaitReady()
	c.WaitSettled()
	c.WaitStatus(time.Minute, func(s ticketing.ClusterStatus) string { // a voter that lacks a snapshot is settled, too
		for _, r := range Group(s, "posts", 0).Replicas {
			if r.Node == victim.Name && (!r.Alive || r.Lag > 0 || spooled(spool) > 0) {
				return fmt.Sprintf("%s lacks %d entries, and has %d MiB of a snapshot", r.Node, r.Lag, spooled(spool)>>20)
			}
		}
		return ""
	})
	a := c.Audit()
	t.Logf("%s had no room for more than %d MiB of a snapshot, and was killed with %d MiB of the next; %d pairs of replicas are the same bytes", victim.Name,
		full>>20, half>>20, a.Replicas)
	if left := spooled(spool); left != 0 {
		t.Errorf("%d bytes of snapshots are left in %s", left, spool)
	}
}

// spooled returns the bytes of received snapshots in a node's spool.
func spooled(dir string) (size int64) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".sst") && !strings.HasPrefix(e.Name(), "query-") {
			size += info.Size()
		}
	}
	return size
}

// bulk writes posts of the greatest length until their texts have a size, and returns how many.
func (c *Cluster) bulk(t *testing.T, user *Client, not *Node, size int64) int64 {
	t.Helper()
	const length = 20_000
	body := incompressible(length)
	var next, done atomic.Int64
	count := size / int64(len(body))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			own := user.with(patience)
			for i := next.Add(1); i <= count && !t.Failed(); i = next.Add(1) {
				for end := time.Now().Add(time.Minute); ; pause() {
					n := c.anyBut(not)
					r, err := own.Do(context.Background(), n, http.MethodPost, "/api/posts", map[string]string{"title": fmt.Sprintf("Number %d", i), "body": body},
						"Idempotency-Key", fmt.Sprintf("bulk-%06d", i))
					if err == nil && r.Status == http.StatusCreated {
						done.Add(1)
						break
					}
					if err == nil && r.Status != http.StatusServiceUnavailable || time.Now().After(end) {
						t.Errorf("status %d %.200s, %v", r.Status, r.Raw, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	return done.Load()
}

// incompressible is a text of a length that compression makes little shorter, always the same one.
func incompressible(length int) string {
	rng := rand.New(rand.NewPCG(1, 2))
	text := make([]rune, length)
	for i := range text {
		text[i] = '\u4e00' + rng.Int32N(20_000)
	}
	return string(text)
}
