package gateway

import (
	"context"

	"ticketing"
)

// Cluster is what operators see and change of the nodes.
type Cluster interface {
	// ClusterStatus says how the nodes and shards are. If the cluster's leader cannot be reached it is what this node knows by itself, and a
	// fault says so.
	ClusterStatus(ctx context.Context) (ticketing.ClusterStatus, error)
	// SetMember changes what is intended with a node: drain, take back, let leave, or remove one that is dead. Refusals are Conflict,
	// NotFound and Forbidden.
	SetMember(ctx context.Context, c ticketing.SetMember) error
}
