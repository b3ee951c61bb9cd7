package clustertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ticketing/runtime/peer"
)

// A node that does not fit is refused with exit code 1 and one line that says why; it leaves no record of a cluster, and a record that it has
// stays as it is. A join token works once, for the name that it was made for, and in its time.
func TestMisfitsAreRefused(t *testing.T) {
	c := Start(t, Options{Nodes: 1})
	n := c.Add()
	t.Run("tokens", func(t *testing.T) { tokens(t, c, n) })
	t.Run("configs", func(t *testing.T) { misfits(t, c, n) })
	t.Run("data", func(t *testing.T) { misplacedData(t, c, n) })
	if s := c.WaitSettled(); len(s.Nodes) != 2 {
		t.Errorf("the cluster has %d nodes", len(s.Nodes))
	}
}

func tokens(t *testing.T, c *Cluster, n *Node) {
	good := c.Token(n.Name)
	late, err := c.authority.Token(n.Name, time.Hour, time.Now().Add(-2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, token, want string }{
		{"no token", "", "token"},
		{"another node's token", c.Token("n7"), "not for n2"},
		{"an expired token", late, "expired"},
		{"a forged token", good[:len(good)-6] + "AAAAAA", "not a join token"},
	} {
		c.JoinBy(n, tc.token)
		n.refused(t, tc.name, tc.want)
		n.Erase()
	}
	c.JoinBy(n, good)
	n.Start()
	n.WaitReady()
	c.WaitSettled()
	c.Leave(n)
	n.Erase()
	c.mu.Lock()
	c.nodes = append(c.nodes, n)
	c.mu.Unlock()
	n.refused(t, "a used token", "used")
	n.Erase()
}

// misfits are refused before they have a record; the last config is a good one, with which the node joins.
func misfits(t *testing.T, c *Cluster, n *Node) {
	for _, tc := range []struct{ name, from, to, want string }{
		{"another number of shards", "\nshards: 2\n", "\nshards: 4\n", "This cluster has 2 shards; n2 is configured with 4, and the number can never change."},
		{"another node's address", "advertise: \"" + n.Peer, "advertise: \"" + c.Nodes()[0].Peer, "The address " + c.Nodes()[0].Peer + " is the node n1's."},
		{"another node's name", "id: n2\n", "id: n3\n", "n2"},
	} {
		c.JoinBy(n, c.Token(n.Name))
		undo := n.edit(tc.from, tc.to)
		n.refused(t, tc.name, tc.want)
		undo()
	}
	ours := c.authority
	c.become(t, n, otherAuthority(t), n.Name)
	n.refused(t, "another cluster's certificate", "a certificate is not accepted")
	c.become(t, n, ours, n.Name)
	n.Start()
	n.WaitReady()
	c.WaitSettled()
}

// misplacedData: the node is a member, and its config or its directory is mistaken for another.
func misplacedData(t *testing.T, c *Cluster, n *Node) {
	n.Stop()
	is := n.Record()
	undo := n.edit("\nshards: 2\n", "\nshards: 4\n")
	n.refused(t, "another number of shards", "was created with 2 shards; the config says 4, and the number can never change")
	undo()
	ours := c.authority
	c.become(t, n, ours, "n3")
	n.refused(t, "another node's config", "is the node n2's; the config says n3, and a node's name can never change")
	other := otherAuthority(t)
	c.become(t, n, other, n.Name)
	n.refused(t, "another cluster's certificate", "belongs to the cluster "+is.Cluster+"; the certificate is of the cluster "+other.Cluster())
	c.become(t, n, ours, n.Name)

	path := filepath.Join(n.Dir, "cluster.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(text), `"format":1`, `"format":2`, 1)
	if err := os.WriteFile(path, []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
	n.refused(t, "a directory of a newer program", "is of format 2; this version knows format 1")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if now := n.Record(); now != is {
		t.Errorf("the record was %+v and is %+v", is, now)
	}
	n.Start()
	n.WaitReady()
}

// refused starts a node, and fails the test unless it ends with exit code 1 and one line in which there is a text. What record its directory has of
// a cluster stays as it is.
func (n *Node) refused(t *testing.T, what, want string) {
	t.Helper()
	path := filepath.Join(n.Dir, "cluster.json")
	before, _ := os.ReadFile(path)
	n.Start()
	code := n.Ended(time.Minute)
	said := strings.TrimSpace(n.Log())
	if last := tail(said, 1); code != 1 || strings.Count(said, " ticketing: ") != 1 || !strings.Contains(last, " ticketing: ") || !strings.Contains(last, want) {
		t.Errorf("%s: exit code %d, want one line with %q:\n%s", what, code, want, tail(said, 10))
	} else {
		t.Logf("%s: %s", what, last)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Errorf("%s: the node's record was %q and is %q", what, before, after)
	}
}

// edit changes a node's config; undo takes that back.
func (n *Node) edit(from, to string) (undo func()) {
	n.tb.Helper()
	text, err := os.ReadFile(n.config)
	if err != nil {
		n.tb.Fatal(err)
	}
	changed := strings.Replace(string(text), from, to, 1)
	if changed == string(text) {
		n.tb.Fatalf("%q is not in the config of %s", from, n.Name)
	}
	write := func(text string) {
		if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
			n.tb.Fatal(err)
		}
	}
	write(changed)
	return func() { write(string(text)) }
}

func otherAuthority(t *testing.T) *peer.Authority {
	t.Helper()
	a, err := peer.NewAuthority("another-cluster", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// become gives a node the config of a name in an authority's cluster.
func (c *Cluster) become(t *testing.T, n *Node, a *peer.Authority, name string) {
	t.Helper()
	c.authority = a
	c.writeConfig(n, strings.TrimPrefix(n.URL, "http://"), c.identity(name, 24*time.Hour, time.Now()))
	if name != n.Name {
		n.edit("id: "+n.Name+"\n", "id: "+name+"\n")
	}
}
