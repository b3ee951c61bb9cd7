package clustertest

import (
	"maps"
	"path/filepath"
	"testing"
)

// TestRestoredClusterGrows: a backup of three nodes under load becomes the first node of a cluster with another number of shards, which two more
// join. All that was acknowledged before the backup is on every node; writes go on, and one of the three may be killed.
func TestRestoredClusterGrows(t *testing.T) {
	old := Start(t, Options{})
	l := old.NewLoad("restored")
	path := filepath.Join(t.TempDir(), "backup.tar.zst")
	var before map[string]comment
	l.during(t, 4, old.anyLive, func() {
		l.mu.Lock()
		before = maps.Clone(l.acked)
		l.mu.Unlock()
		if out, err := old.command(old.Nodes()[1], "backup", path); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
	l.Finish(t)
	for _, n := range old.Nodes() {
		n.Kill()
	}

	c := Start(t, Options{Shards: 4, Backup: path})
	l.c, l.user = c, c.SignIn(c.Nodes()[0], "restored@example.org", "a long passphrase") // tokens of before are worth nothing
	missing := 0
	for key, m := range l.acked {
		if !l.there(c.Nodes()[2], m) {
			if _, early := before[key]; early {
				t.Errorf("%s was acknowledged before the backup, and is not restored", key)
			}
			missing++
			delete(l.acked, key)
		}
	}
	if len(before) == 0 {
		t.Fatal("the load had not begun")
	}
	l.Verify(t, c.Nodes()...)
	victim := c.Leader("comments", 3)
	l.during(t, 4, func() *Node { return c.anyBut(victim) }, victim.Kill)
	victim.Start()
	victim.WaitReady()
	c.WaitSettled()
	l.Finish(t)
	l.Verify(t, c.Nodes()...)
	t.Logf("%d writes before the backup, %d of those during it that are not in it; %d in the end", len(before), missing, l.Acked())
}
