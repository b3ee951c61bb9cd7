package clustertest

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestLeftBehindByRecovery: after one node has gone on alone, the two others are started with the data that they have. They are a majority of what
// they know. As soon as one of them reaches the survivor, it ends: at once at its start, and within seconds if both have served meanwhile.
func TestLeftBehindByRecovery(t *testing.T) {
	c := Start(t, Options{})
	survivor, others := c.Nodes()[0], c.Nodes()[1:]
	for _, n := range c.Nodes() {
		n.Kill()
	}
	if out, err := exec.Command(Binary(t), "cluster", "recover", "--unsafe", "--config", survivor.config).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	refused := func() {
		for _, n := range others {
			if code := n.Ended(time.Minute); code == 0 || !strings.Contains(n.Log(), "recovered without this node, as n1") {
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
	if survivor.Ready(); !survivor.Running() {
		t.Errorf("the survivor has ended:\n%s", tail(survivor.Log(), 10))
	}
}
