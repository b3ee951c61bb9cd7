package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ticketing"
	"ticketing/client"
)

func (a *app) clusterDrain() *cobra.Command {
	var r remote
	var w waiting
	c := &cobra.Command{Use: "drain NODE", Short: "Let a node lead nothing, before planned work on it", Args: between(1, 1),
		Long: "The node keeps its replicas, and hands over what it leads. Its next start ends that, or undrain."}
	r.flags(c)
	w.flags(c, "until the node leads nothing")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := r.connect(c.Context())
		if err != nil {
			return err
		}
		if err := api.Drain(c.Context(), args[0]); err != nil {
			return err
		}
		if w.on {
			if err := a.wait(c.Context(), api, w, drained(args[0])); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "%s leads nothing\n", args[0])
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s hands over what it leads\n", args[0])
		return err
	}
	return c
}

func (a *app) clusterUndrain() *cobra.Command {
	var r remote
	c := &cobra.Command{Use: "undrain NODE", Short: "Take a node back that was drained, or that has not left yet", Args: between(1, 1)}
	r.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := r.connect(c.Context())
		if err != nil {
			return err
		}
		if err := api.Undrain(c.Context(), args[0]); err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s is up\n", args[0])
		return err
	}
	return c
}

func (a *app) clusterUpgrade() *cobra.Command {
	var r remote
	c := &cobra.Command{Use: "upgrade", Short: "Let the cluster use what all its programs know, after the last node has the new one", Args: between(0, 0),
		Long: `Until then the cluster stores and sends only what the old program understands, and every node may go back to it. Afterwards nodes that
run an older program are refused. If there is nothing newer, nothing changes.`}
	r.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := r.connect(c.Context())
		if err != nil {
			return err
		}
		format, err := api.RaiseFormat(c.Context())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "the cluster is of format %d\n", format)
		return err
	}
	return c
}

func (a *app) clusterRemove() *cobra.Command {
	var r remote
	var w waiting
	var dead bool
	c := &cobra.Command{Use: "remove NODE", Short: "Take a node out of the cluster", Args: between(1, 1),
		Long: `The node's replicas are moved to others first, one by one; then it can be stopped. Until it is gone, undrain takes it back.
With --dead its replicas are given up: for a node that will not come back. It is refused while the node is alive.`}
	r.flags(c)
	w.flags(c, "until the cluster has forgotten the node")
	c.Flags().BoolVar(&dead, "dead", false, "the node will not come back")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := r.connect(c.Context())
		if err != nil {
			return err
		}
		remove := api.RemoveNode
		if dead {
			remove = api.RemoveDeadNode
		}
		if err := remove(c.Context(), args[0]); err != nil {
			return err
		}
		if w.on {
			if err := a.wait(c.Context(), api, w, gone(args[0])); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "%s is no member any more\n", args[0])
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s leaves; cluster status shows how far that is\n", args[0])
		return err
	}
	return c
}

// waiting is whether and how long a command waits for what it has brought about.
type waiting struct {
	on           bool
	limit, every time.Duration
}

func (w *waiting) flags(c *cobra.Command, until string) {
	c.Flags().BoolVar(&w.on, "wait", false, "wait "+until)
	w.every = watchEvery
	c.Flags().DurationVar(&w.limit, "timeout", 30*time.Minute, "wait so long at most")
}

// goal says how far the cluster is: how many are left of something, 0 when all is done.
type goal struct {
	what, unit string // for the progress: "n2 leads" and "shards"
	left       func(ticketing.ClusterStatus) (int, error)
	lasts      time.Duration // how long nothing must be left before it counts
}

// settled is reached when nothing is wrong and no replica moves, for longer than the cluster believes that a node is alive which has just
// ended.
func settled() goal {
	return goal{"the cluster has", "faults and moves", func(s ticketing.ClusterStatus) (int, error) { return len(s.Faults) + len(s.Moves), nil }, 5 * time.Second}
}

// drained is reached when the node leads nothing.
func drained(node string) goal {
	return goal{node + " leads", "shards", func(s ticketing.ClusterStatus) (int, error) {
		n := findNode(s, node)
		switch {
		case n == nil:
			return 0, fmt.Errorf("the cluster has no node %s any more", node)
		case n.State == ticketing.MemberUp:
			return 0, fmt.Errorf("%s was taken back", node)
		}
		return n.Leaders, nil
	}, 0}
}

// gone is reached when the cluster has forgotten the node.
func gone(node string) goal {
	return goal{node + " holds", "shards", func(s ticketing.ClusterStatus) (int, error) {
		n := findNode(s, node)
		switch {
		case n == nil:
			return 0, nil
		case n.State.Stays():
			return 0, fmt.Errorf("%s was taken back", node)
		}
		return max(1, n.Replicas), nil
	}, 0}
}

func findNode(s ticketing.ClusterStatus, node string) *ticketing.NodeStatus {
	for i := range s.Nodes {
		if s.Nodes[i].Node == node {
			return &s.Nodes[i]
		}
	}
	return nil
}

// wait asks for the status until the goal is reached, and shows how far it is. A server that cannot answer for a moment is asked again.
func (a *app) wait(ctx context.Context, api *client.Client, w waiting, g goal) error {
	ctx, cancel := context.WithTimeout(ctx, w.limit)
	defer cancel()
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	var bar *progress
	total, left := 0, 0
	var since time.Time // since when nothing is left
	for {
		s, err := api.Cluster(ctx)
		var refused *client.Error
		switch {
		case err == nil:
			if left, err = g.left(s); err != nil {
				return err
			}
			if bar == nil {
				total = left
				p := a.progress(int64(max(1, total)), g.what, g.unit)
				bar = &p
			}
			total = max(total, left)
			bar.set(total - left)
			if left > 0 {
				since = time.Time{}
				break
			}
			if since.IsZero() {
				since = time.Now()
			}
			if time.Since(since) >= g.lasts {
				bar.done()
				return nil
			}
		case ctx.Err() == nil && !(errors.As(err, &refused) && refused.Status >= 500):
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s still %d %s after %v", g.what, left, g.unit, w.limit)
		case <-tick.C:
		}
	}
}
