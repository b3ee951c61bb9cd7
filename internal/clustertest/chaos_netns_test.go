//go:build netns

package clustertest

import (
	"os"
	"testing"
)

// TestChaosIsLinearizable with every node in a network namespace, where packets are lost and nobody's connection is closed for that. make chaos
// runs it, as root.
func TestChaosInNamespaces(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("only root makes network namespaces")
	}
	chaos(t, Options{Spaces: true})
}
