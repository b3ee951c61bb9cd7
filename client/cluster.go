package client

import (
	"context"
	"net/http"
	"net/url"

	"ticketing"
)

// Cluster says how the nodes and shards are; for operators.
func (c *Client) Cluster(ctx context.Context) (ticketing.ClusterStatus, error) {
	var s ticketing.ClusterStatus
	_, err := c.get(ctx, "/api/cluster", nil, &s)
	return s, err
}

// Drain lets a node lead nothing, before planned work on it. It returns when that is decided, and not when it is done.
func (c *Client) Drain(ctx context.Context, node string) error {
	return c.setMember(ctx, request{method: http.MethodPost, path: nodePath(node) + "/drain"})
}

// Undrain takes a node back that was drained, or that has not left yet.
func (c *Client) Undrain(ctx context.Context, node string) error {
	return c.setMember(ctx, request{method: http.MethodPost, path: nodePath(node) + "/undrain"})
}

// RemoveNode lets a node leave after it has handed over its replicas. It returns when that is decided, and not when it is done.
func (c *Client) RemoveNode(ctx context.Context, node string) error {
	return c.setMember(ctx, request{method: http.MethodDelete, path: nodePath(node)})
}

// RemoveDeadNode gives up a node that will not come back; the server refuses it while the node is alive.
func (c *Client) RemoveDeadNode(ctx context.Context, node string) error {
	return c.setMember(ctx, request{method: http.MethodDelete, path: nodePath(node), query: url.Values{"dead": {"true"}}})
}

// RaiseFormat lets the cluster use the newest format that the programs of all nodes know, and returns it. Older programs are refused from then on.
func (c *Client) RaiseFormat(ctx context.Context) (format int, err error) {
	var out struct {
		Format int `json:"format"`
	}
	_, err = c.call(ctx, request{method: http.MethodPost, path: "/api/cluster/format", keyed: true}, &out)
	return out.Format, err
}

func nodePath(node string) string { return "/api/cluster/nodes/" + url.PathEscape(node) }

func (c *Client) setMember(ctx context.Context, r request) error {
	r.keyed = true
	_, err := c.call(ctx, r, nil)
	return err
}
