package clustertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketing"
)

// TestRecovery: two of three nodes are lost while they acknowledge what the third, cut off, does not hear of. Alone it says what may be lost, goes
// on with all that it had, and takes writes and a new node. Those that were lost are started with their data after all: they are a majority of what
// they know, and serve, and end as soon as one of them reaches the survivor; started beside it they end at once.
func TestRecovery(t *testing.T) {
	c := Start(t, Options{})
	survivor, others := c.Nodes()[0], c.Nodes()[1:]
	kept, lost := c.NewLoad("kept"), c.NewLoad("lost")
	kept.during(t, 4, c.anyLive, func() {})
	kept.Finish(t)
	c.waitLevel(survivor)
	c.Net.Split(Cut, []string{survivor.Name}, c.Names(survivor.Name))
	lost.during(t, 4, func() *Node { return c.anyBut(survivor) }, func() {
		c.until("the two go on", func() bool { return lost.Acked() > 200 })
		for _, n := range others {
			n.Kill()
		}
	})
	c.Net.Heal()
	survivor.Kill()
	c.recoverAlone(t, survivor)

	refused := func() {
		for _, n := range others {
			if code := n.Ended(time.Minute); code != 1 || !strings.Contains(n.Log(), "recovered without this node, as n1") {
				t.Errorf("%s ends with %d:\n%s", n.Name, code, tail(n.Log(), 10))
			}
		}
	}
	for _, n := range others { // nobody can tell them
		n.Start()
	}
	for _, n := range others {
		n.WaitReady()
	}
	survivor.Start()
	survivor.WaitReady()
	refused()
	for _, n := range others { // the survivor tells them before they vote
		n.Start()
	}
	refused()
	for _, n := range others {
		c.forget(n)
	}
	c.WaitSettled()

	kept.Verify(t, survivor)
	if left := lost.left(t, survivor); left > 0 {
		t.Errorf("%s has %d comments that it cannot have", survivor.Name, left)
	}
	after := c.NewLoad("after")
	fresh := c.Add()
	after.during(t, 4, c.anyLive, func() {
		fresh.Start()
		fresh.WaitReady()
		c.WaitSettled()
	})
	after.Finish(t)
	for _, l := range []*Load{kept, after} {
		l.Verify(t, survivor, fresh)
	}
	a := c.Audit()
	a.Has(kept)
	a.Has(after)
	t.Logf("%d acknowledged writes kept, %d lost, %d after; %d pairs of replicas are the same bytes", kept.Acked(), lost.Acked(), after.Acked(), a.Replicas)
}

// waitLevel waits until a node has all that its groups' leaders have.
func (c *Cluster) waitLevel(n *Node) {
	c.tb.Helper()
	c.WaitStatus(30*time.Second, func(s ticketing.ClusterStatus) string {
		for _, g := range s.Groups {
			for _, r := range g.Replicas {
				if r.Node == n.Name && (!r.Alive || r.Lag > 0) {
					return fmt.Sprintf("%s lacks %d entries of %s/%d", n.Name, r.Lag, g.Service, g.Shard)
				}
			}
		}
		return settled(s)
	})
}

// recoverAlone makes a stopped node the only one. What it says before and after names, for every shard, the nodes whose acknowledgements may be
// lost, and the entry after which they are.
func (c *Cluster) recoverAlone(t *testing.T, n *Node) {
	t.Helper()
	before, done := n.survey(t), n.survey(t, "--unsafe")
	if before.Done || !done.Done || !slices.Equal(before.Loss, done.Loss) {
		t.Errorf("before: %+v\nafter: %+v", before, done)
	}
	for i, s := range before.Shards {
		want := fmt.Sprintf("%s acknowledged after entry %d of term %d is lost", c.Names(n.Name), s.Last, s.Term)
		if !slices.Equal(s.Others, c.Names(n.Name)) || s.Last == 0 || !strings.Contains(before.Loss[i], want) {
			t.Errorf("%s/%d: %q, with %+v", s.Service, s.Shard, before.Loss[i], s)
		}
	}
}

// survey is what is said of a stopped node that is to go on alone, or does.
type survey struct {
	Shards []struct {
		Service    string
		Shard      int
		Here       bool
		Others     []string
		Last, Term uint64
	}
	Loss []string // of each of the shards
	Done bool
}

// survey runs cluster recover on a stopped node, which must succeed.
func (n *Node) survey(t *testing.T, flags ...string) (s survey) {
	t.Helper()
	out, err := n.recover(append(flags, "--json")...)
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return s
}

// recover runs cluster recover on a stopped node, and returns what it prints.
func (n *Node) recover(flags ...string) (string, error) {
	out, err := exec.Command(Binary(n.tb), append([]string{"cluster", "recover", "--config", n.config}, flags...)...).CombinedOutput()
	return string(out), err
}

// left counts what was acknowledged of a load and a node has.
func (l *Load) left(t *testing.T, n *Node) (count int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.acked {
		if r := l.user.mustEither(t, n, "/api/posts/"+m.post+"/comments/"+m.id); r.Status == http.StatusOK {
			count++
		}
	}
	return count
}

// recoverPart loses every node of a stopped cluster but one, which has a replica of only some shards. It goes on alone only if it is told that what it
// lacks begins empty, and says what that costs. What it has is there, what it had not is gone, and every shard takes writes.
func recoverPart(t *testing.T, c *Cluster, l *Load) {
	survivor, has := c.leastOf(t, "comments")
	for _, n := range c.Nodes() {
		if n != survivor {
			c.forget(n)
		}
	}
	if out, err := survivor.recover("--unsafe"); err == nil || !strings.Contains(out, "this node has no replica of") {
		t.Fatalf("without being told: %v: %s", err, out)
	}
	done := survivor.survey(t, "--unsafe", "--empty-missing")
	missing := 0
	for i, s := range done.Shards {
		if lost := strings.HasSuffix(done.Loss[i], "this node has no replica of it: everything in it is lost"); lost == s.Here {
			t.Errorf("%q, with %+v", done.Loss[i], s)
		} else if lost {
			missing++
		}
	}
	survivor.Start()
	survivor.WaitReady()
	c.WaitSettled()
	want := 0
	for _, m := range l.acked {
		if has[c.shardOf(m.post)] {
			want++
		}
	}
	if got := l.left(t, survivor); got != want || got == 0 || missing == 0 {
		t.Errorf("%s lacked %d shards, and has %d comments of %d, want %d", survivor.Name, missing, got, l.Acked(), want)
	}
	after := c.NewLoad("after")
	after.during(t, 4, c.anyLive, func() { c.until("every shard takes writes", func() bool { return after.everyShard(time.Time{}) }) })
	after.Finish(t)
	after.allDecided(t)
	t.Logf("%s lacked %d of %d shards, and went on with %d of %d acknowledged writes", survivor.Name, missing, len(done.Shards), want, l.Acked())
}

// leastOf returns the stopped node that has the fewest shards of a service, but any, and which.
func (c *Cluster) leastOf(t *testing.T, service string) (least *Node, shards map[int]bool) {
	t.Helper()
	for _, n := range c.Nodes() {
		has := map[int]bool{}
		for _, s := range n.survey(t).Shards {
			if s.Service == service && s.Here {
				has[s.Shard] = true
			}
		}
		if len(has) > 0 && (least == nil || len(has) < len(shards)) {
			least, shards = n, has
		}
	}
	return least, shards
}
