package clustertest

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/runtime/wire"
)

// TestRollingUpgrade replaces the program of every node in turn, at half load, and back again in the middle. The new program knows a cluster
// format that the old one does not; it is used only after the last node has the new program and an operator said so, and from then on the
// old program is refused. TICKETING_OLD_BINARY names the program to begin with, such as one of an earlier version.
func TestRollingUpgrade(t *testing.T) {
	before, next := os.Getenv("TICKETING_OLD_BINARY"), Next(t)
	c := startWith(t, before)
	l := c.NewLoad("upgrade")
	from, to := c.WaitSettled().Format, wire.Formats().Newest+1
	rollUpgrade(t, c, l, before, next, from, to)
	if t.Failed() {
		return
	}
	away := c.Nodes()[2]
	read := fmt.Sprintf("format %d; this program knows the formats", to)
	told := fmt.Sprintf("This cluster is of format %d; the program on %s knows the formats", to, away.Name)
	away.Stop()
	c.raiseFormat(t, http.StatusOK)
	l.during(t, 4, func() *Node { return c.anyBut(away) }, func() {
		oldProgramIsRefused(t, c, away, before, next, read, told) // it hears of the new format when it is here again: it reads it, or is told before
	})
	away.Stop()
	oldProgramIsRefused(t, c, away, before, next, read) // its data know it
	fresh := c.Add()
	fresh.Program = before
	fresh.refused(t, "a new node with the old program", fmt.Sprintf("This cluster is of format %d; the program on %s knows the formats", to, fresh.Name))
	c.forget(fresh)
	if s := c.WaitSettled(); s.Format != to {
		t.Errorf("the cluster is of format %d", s.Format)
	}
	l.Finish(t)
	l.Verify(t, c.Nodes()...)
	a := c.Audit()
	a.Has(l)
	t.Logf("%d acknowledged writes; %d pairs of replicas are the same bytes", l.Acked(), a.Replicas)
}

// startWith starts three nodes with a program; empty: the one under test.
func startWith(t *testing.T, program string) *Cluster {
	if program != "" {
		t.Setenv("TICKETING_BINARY", program)
	}
	return Start(t, Options{})
}

// rollUpgrade gives every node the next program while clients write, and takes the first one back once.
func rollUpgrade(t *testing.T, c *Cluster, l *Load, before, next string, from, to int) {
	full := l.saturation(t, 16)
	l.Rate, l.Retries = full/2, 1
	defer func() { l.Rate, l.Retries = 0, -1 }()
	ready := c.watchReady(t)
	began := time.Now()
	var steps []string
	l.during(t, 16, func() *Node { return ready() }, func() {
		nodes := c.Nodes()
		for _, step := range []struct {
			node    *Node
			program string
		}{{nodes[0], next}, {nodes[0], before}, {nodes[0], next}, {nodes[1], next}, {nodes[2], next}} {
			c.exchange(t, step.node, step.program)
			steps = append(steps, step.node.Name)
			if step.node != nodes[2] && before == "" {
				if s := c.WaitSettled(); s.Format != from || s.Common != from {
					t.Errorf("after %v: format %d, and all know %d", steps, s.Format, s.Common)
				}
			}
			if step.program == next && step.node != nodes[2] {
				c.raiseFormat(t, http.StatusConflict)
				if from < ticketing.PlatformFormat {
					c.platformWaits(t, step.node)
				}
			}
		}
	})
	for _, f := range l.failures() {
		t.Error(f)
	}
	if s := c.WaitSettled(); s.Format != from || s.Common != to {
		t.Errorf("all have the next program: format %d, and all know %d", s.Format, s.Common)
	}
	t.Logf("exchanged %v in %v at %.0f writes/s of %.0f: %d writes, p50 %v, p99 %v, longest %v", steps, time.Since(began).Round(time.Millisecond), full/2, full,
		l.since(began), l.quantile(0.5, began).Round(time.Microsecond), l.quantile(0.99, began).Round(time.Microsecond), l.quantile(1, began).Round(time.Microsecond))
}

// exchange gives a node another program, as docs/OPERATIONS.md says: drain, stop, start, and wait until all is well.
func (c *Cluster) exchange(t *testing.T, n *Node, program string) {
	t.Helper()
	if err := c.Member(http.MethodPost, n.Name, "/drain"); err != nil {
		t.Fatal(err)
	}
	c.WaitStatus(30*time.Second, func(s ticketing.ClusterStatus) string {
		for _, m := range s.Nodes {
			if m.Node == n.Name && m.Leaders > 0 {
				return n.Name + " still leads"
			}
		}
		return ""
	})
	n.Stop()
	n.Program = program
	n.Start()
	n.WaitReady()
	c.WaitSettled()
}

// raiseFormat asks for what ticketing cluster upgrade asks, and expects a status.
func (c *Cluster) raiseFormat(t *testing.T, want int) {
	t.Helper()
	for _, n := range c.Live() { // while programs are mixed, the old one does not know the question
		r, err := c.Operator().Do(t.Context(), n, http.MethodPost, "/api/cluster/format", nil)
		if err == nil && (r.Status == http.StatusServiceUnavailable || r.Status == http.StatusNotFound || r.Status == http.StatusMethodNotAllowed) {
			continue
		}
		if err != nil || r.Status != want {
			t.Errorf("raising the format by %s: %d %s, %v", n.Name, r.Status, r.Raw, err)
		}
		return
	}
	if want == http.StatusOK {
		t.Error("no node raises the format")
	}
}

// platformWaits asks a node of the new program for what the old one does not know. It says what is to be done first.
func (c *Cluster) platformWaits(t *testing.T, n *Node) {
	t.Helper()
	r, err := c.Operator().Do(t.Context(), n, http.MethodPost, "/api/backtests", map[string]any{"rule": "spam", "digest": ticketing.Digest{1}})
	if err != nil || r.Status != http.StatusConflict || !strings.Contains(string(r.Raw), "ticketing cluster upgrade") {
		t.Errorf("a backtest in a cluster of an older format: %d %s, %v", r.Status, r.Raw, err)
	}
}

// oldProgramIsRefused starts a node with the old program in a cluster that has left its format behind, which ends it with one of some lines, and
// then with the next one.
func oldProgramIsRefused(t *testing.T, c *Cluster, n *Node, before, next string, lines ...string) {
	n.Program = before
	n.Start()
	code := n.Ended(time.Minute)
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(n.Log(), line) }) || code != 1 {
		t.Errorf("the old program ends with %d:\n%s", code, tail(n.Log(), 10))
	}
	t.Logf("the old program says: %s", tail(n.Log(), 1))
	n.Program = next
	n.Start()
	n.WaitReady()
	c.WaitSettled()
}
