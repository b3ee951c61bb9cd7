package clustertest

import (
	"sync"
)

// readyNodes are the nodes that say that they are ready.
type readyNodes struct {
	c *Cluster

	mu    sync.Mutex
	nodes []*Node
	next  int
}

// look asks all nodes.
func (r *readyNodes) look() {
	var ready []*Node
	for _, n := range r.c.Live() {
		if n.Ready() {
			ready = append(ready, n)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nodes = ready
}

// pick returns one of them in turn; nil if there is none.
func (r *readyNodes) pick() *Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.nodes) == 0 {
		return nil
	}
	r.next++
	return r.nodes[r.next%len(r.nodes)]
}
