package clustertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"ticketing"
)

// Status asks the nodes how the cluster is, until one answers. A node that only knows itself does not count.
func (c *Cluster) Status() (s ticketing.ClusterStatus, err error) {
	op := c.Operator().with(3 * time.Second)
	err = errNobody
	for _, n := range c.Live() {
		r, doErr := op.Do(context.Background(), n, http.MethodGet, "/api/cluster", nil)
		switch {
		case doErr != nil:
			err = doErr
		case r.Status != http.StatusOK:
			err = fmt.Errorf("%s: status %d: %s", n.Name, r.Status, r.Raw)
		default:
			s = ticketing.ClusterStatus{}
			if err = json.Unmarshal([]byte(r.Raw), &s); err == nil && !alone(s) {
				return s, nil
			}
			err = errNobody
		}
	}
	return s, err
}

// alone reports whether a status is what one node knows without control's leader.
func alone(s ticketing.ClusterStatus) bool {
	return slices.ContainsFunc(s.Faults, func(f string) bool { return strings.Contains(f, "leader of control cannot be reached") })
}

// WaitStatus waits until the cluster is as cond wants it, which says what is missing.
func (c *Cluster) WaitStatus(within time.Duration, cond func(ticketing.ClusterStatus) string) ticketing.ClusterStatus {
	c.tb.Helper()
	missing := ""
	for end := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		s, err := c.Status()
		if err == nil {
			if missing = cond(s); missing == "" {
				return s
			}
		} else {
			missing = err.Error()
		}
		if time.Now().After(end) {
			c.tb.Fatalf("after %v: %s\n%s", within, missing, describe(s))
		}
	}
}

// WaitSettled waits until nothing is left to do: every shard has a leader that serves, all its voters are alive, and nothing moves.
func (c *Cluster) WaitSettled() ticketing.ClusterStatus {
	c.tb.Helper()
	return c.WaitStatus(90*time.Second, settled)
}

// settled says what is left to do.
func settled(s ticketing.ClusterStatus) string {
	if len(s.Faults) > 0 {
		return strings.Join(s.Faults, " ")
	}
	if len(s.Moves) > 0 {
		return fmt.Sprintf("%d replicas move", len(s.Moves))
	}
	if len(s.Groups) == 0 {
		return "there are no shards"
	}
	for _, g := range s.Groups {
		if g.Service == "control" && voters(g) < min(5, len(s.Nodes)) {
			return fmt.Sprintf("control has %d voters", voters(g))
		}
	}
	for _, n := range s.Nodes {
		if !n.Ready {
			return n.Node + " is not ready"
		}
	}
	return ""
}

func voters(g ticketing.ShardStatus) (count int) {
	for _, r := range g.Replicas {
		if r.Stage == ticketing.StageVoter {
			count++
		}
	}
	return count
}

// describe is a status for people.
func describe(s ticketing.ClusterStatus) string {
	var b strings.Builder
	fmt.Fprintf(&b, "map %d\n", s.Version)
	for _, n := range s.Nodes {
		fmt.Fprintf(&b, "  %s %v alive %v ready %v replicas %d leaders %d lag %d\n", n.Node, n.State, n.Alive, n.Ready, n.Replicas, n.Leaders, n.Lag)
	}
	for _, g := range s.Groups {
		fmt.Fprintf(&b, "  %s/%d leader %q serving %v term %d:", g.Service, g.Shard, g.Leader, g.Serving, g.Term)
		for _, r := range g.Replicas {
			fmt.Fprintf(&b, " %s=%v", r.ID, r.Stage)
			if !r.Alive {
				b.WriteString("(silent)")
			}
		}
		b.WriteString("\n")
	}
	for _, f := range s.Faults {
		b.WriteString("  " + f + "\n")
	}
	return b.String()
}

// Group finds a shard in a status.
func Group(s ticketing.ClusterStatus, service string, shard int) ticketing.ShardStatus {
	for _, g := range s.Groups {
		if g.Service == service && g.Shard == shard {
			return g
		}
	}
	return ticketing.ShardStatus{}
}

// Leader waits until a shard has a leader that serves, and returns its node.
func (c *Cluster) Leader(service string, shard int) *Node {
	c.tb.Helper()
	var leader string
	c.WaitStatus(30*time.Second, func(s ticketing.ClusterStatus) string {
		g := Group(s, service, shard)
		if !g.Serving || g.Leader == "" {
			return fmt.Sprintf("%s/%d has no leader", service, shard)
		}
		leader = g.Leader
		return ""
	})
	return c.Node(leader)
}
